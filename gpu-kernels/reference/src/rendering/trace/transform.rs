//! Affine transforms: how nodes are placed, and how rays are brought to a mesh.

use super::vector::Vec3;

/// A linear map by its three columns, and what it adds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine {
    /// Where the first axis goes.
    pub(crate) x: Vec3,
    /// Where the second axis goes.
    pub(crate) y: Vec3,
    /// Where the third axis goes.
    pub(crate) z: Vec3,
    /// Where the origin goes.
    pub(crate) origin: Vec3,
}

/// A placement as glTF writes it: scale, then rotation, then translation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    /// Where to.
    pub(crate) translation: Vec3,
    /// A unit quaternion, its real part last.
    pub(crate) rotation: [f32; 4],
    /// How much along each axis.
    pub(crate) scale: Vec3,
}

impl Affine {
    #[inline(always)]
    pub(crate) fn vector(&self, v: Vec3) -> Vec3 {
        (self.x * v.x + self.y * v.y) + self.z * v.z
    }

    #[inline(always)]
    pub(crate) fn point(&self, p: Vec3) -> Vec3 {
        self.vector(p) + self.origin
    }

    /// `inner` first, then this one.
    pub(crate) fn after(&self, inner: &Self) -> Self {
        Self {
            x: self.vector(inner.x),
            y: self.vector(inner.y),
            z: self.vector(inner.z),
            origin: self.point(inner.origin),
        }
    }

    /// The normals' transform: the columns of the cofactors, which is the inverse transposed up to a positive factor
    /// where the map keeps its hand, and up to a negative one where it mirrors.
    pub(crate) fn cofactors(&self) -> Self {
        Self { x: self.y.cross(self.z), y: self.z.cross(self.x), z: self.x.cross(self.y), origin: Vec3::ZERO }
    }

    /// The volume that a unit cube becomes, with the sign of the hand.
    pub(crate) fn determinant(&self) -> f32 {
        self.x.dot(self.y.cross(self.z))
    }

    /// What undoes this transform, or nothing where it cannot be undone within the range of floats.
    pub(crate) fn inverse(&self) -> Option<Self> {
        let determinant = self.determinant();
        if !(determinant.abs() > f32::MIN_POSITIVE && determinant.is_finite()) {
            return None;
        }
        let factor = 1.0 / determinant;
        let rows = self.cofactors();
        let (a, b, c) = (rows.x * factor, rows.y * factor, rows.z * factor);
        let inverse = Self {
            x: Vec3::new(a.x, b.x, c.x),
            y: Vec3::new(a.y, b.y, c.y),
            z: Vec3::new(a.z, b.z, c.z),
            origin: Vec3::ZERO,
        };
        let inverse = Self { origin: -inverse.vector(self.origin), ..inverse };
        inverse.within(f32::MAX).then_some(inverse)
    }

    /// Whether every number is within the bound.
    pub(crate) fn within(&self, bound: f32) -> bool {
        [self.x, self.y, self.z, self.origin].iter().all(|v| v.within(bound))
    }
}

impl Placement {
    pub(crate) fn affine(&self) -> Affine {
        let [x, y, z, w] = unit(self.rotation);
        let column = |v: Vec3, scale: f32| v * scale;
        Affine {
            x: column(
                Vec3::new(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)),
                self.scale.x,
            ),
            y: column(
                Vec3::new(2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)),
                self.scale.y,
            ),
            z: column(
                Vec3::new(2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)),
                self.scale.z,
            ),
            origin: self.translation,
        }
    }
}

/// A quaternion at length one; one without a length turns nothing.
pub(crate) fn unit([x, y, z, w]: [f32; 4]) -> [f32; 4] {
    let square = (x * x + y * y) + (z * z + w * w);
    if !(square > 0.0 && square.is_finite()) {
        return [0.0, 0.0, 0.0, 1.0];
    }
    let factor = 1.0 / square.sqrt();
    [x * factor, y * factor, z * factor, w * factor]
}

// REN-17: the arc between two rotations is halved 24 times, which takes a square root each and no sine.
/// The rotation at `share` of the shorter arc from one to another.
pub(crate) fn along_the_arc(from: [f32; 4], to: [f32; 4], share: f32) -> [f32; 4] {
    let (mut low, mut high) = (unit(from), unit(to));
    let cosine = (low[0] * high[0] + low[1] * high[1]) + (low[2] * high[2] + low[3] * high[3]);
    if cosine < 0.0 {
        high = high.map(|value| -value);
    }
    let mut rest = share;
    for _ in 0..24 {
        let middle = unit([low[0] + high[0], low[1] + high[1], low[2] + high[2], low[3] + high[3]]);
        rest *= 2.0;
        if rest >= 1.0 {
            rest -= 1.0;
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_undoes() {
        let placement = Placement {
            translation: Vec3::new(1.0, -2.0, 3.0),
            rotation: [0.1, 0.2, -0.3, 0.9],
            scale: Vec3::new(2.0, 0.5, -1.5),
        };
        let there = placement.affine();
        let back = there.inverse().expect("no scale is zero");
        for point in [Vec3::ZERO, Vec3::ONE, Vec3::new(-3.0, 0.25, 7.0)] {
            assert!((back.point(there.point(point)) - point).within(1e-5), "{point:?}");
        }
        assert_eq!(Placement { scale: Vec3::ZERO, ..placement }.affine().inverse(), None);
    }

    #[test]
    fn an_arc_is_walked_evenly() {
        let half = core::f32::consts::FRAC_1_SQRT_2;
        let quarter_turn = [0.0, 0.0, half, half];
        for (share, degrees) in [(0.0, 0.0), (0.25, 22.5), (0.5, 45.0), (0.75, 67.5)] {
            let [_, _, z, w] = along_the_arc([0.0, 0.0, 0.0, 1.0], quarter_turn, share);
            let angle = 2.0 * z.atan2(w).to_degrees();
            assert!((angle - degrees).abs() < 1e-3, "{share}: {angle} instead of {degrees}");
        }
        let [_, _, z, w] = along_the_arc([0.0, 0.0, 0.0, 1.0], quarter_turn.map(|v| -v), 0.5);
        assert!((2.0 * z.atan2(w).to_degrees() - 45.0).abs() < 1e-3, "the shorter arc is taken");
    }
}
