//! How surfaces scatter light: Lambert's diffuse, the microfacets of GGX, and glass.

use super::sampling::{ONE_BY_PI, PI, circle, cosine_direction};
use super::vector::Vec3;
use crate::numerics::float::{clamp, max, sqrt};

/// A surface where it was met, in a frame whose third axis is its normal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bsdf {
    /// What the diffuse part returns.
    pub(crate) diffuse: Vec3,
    /// The reflection straight on, and at grazing angles.
    pub(crate) straight: Vec3,
    pub(crate) grazing: f32,
    /// The square of the roughness; below [`SMOOTH`] the surface is a mirror.
    pub(crate) alpha: f32,
    /// The share that is glass.
    pub(crate) glass: f32,
    /// What glass lets through.
    pub(crate) tint: Vec3,
    /// The refraction from this side to the other.
    pub(crate) eta: f32,
}

/// A direction that light came from, and what it is worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scattered {
    pub(crate) direction: Vec3,
    /// Scattering times cosine, over the density.
    pub(crate) weight: Vec3,
    /// The density of the direction; `None` where no light can be aimed at.
    pub(crate) density: Option<f32>,
}

/// Three random numbers of 32 bits: which part, and two for the direction.
pub(crate) type Draws = [u32; 3];

/// Below this the microfacets are one mirror.
pub(crate) const SMOOTH: f32 = 1.0e-3;

impl Bsdf {
    /// With which probability the opaque part reflects rather than scatters.
    #[inline(always)]
    fn mirror_share(&self, cosine: f32) -> f32 {
        let reflected = self.reflection(cosine).luminance();
        let scattered = self.diffuse.luminance();
        if scattered <= 0.0 {
            return 1.0;
        }
        if reflected <= 0.0 { 0.0 } else { clamp(reflected / (reflected + scattered), 0.1, 0.9) }
    }

    /// Schlick's reflection at a cosine.
    #[inline(always)]
    fn reflection(&self, cosine: f32) -> Vec3 {
        let x = max(1.0 - cosine, 0.0);
        let square = x * x;
        let fifth = square * square * x;
        self.straight * (1.0 - fifth) + Vec3::splat(self.grazing * fifth)
    }

    // REN-24: what reaches the eye from an aimed direction, times its cosine; and the density that sampling gives it.
    /// Scattering from `towards` to `eye`, both away from the surface.
    #[inline(always)]
    pub(crate) fn evaluate(&self, eye: Vec3, towards: Vec3) -> (Vec3, f32) {
        if towards.z <= 0.0 || eye.z <= 0.0 || self.glass >= 1.0 {
            return (Vec3::ZERO, 0.0);
        }
        let opaque = 1.0 - self.glass;
        if self.is_plainly_matte(eye, towards) {
            let density = ONE_BY_PI * towards.z;
            return (self.diffuse * density * opaque, density * opaque);
        }
        let (value, density) = self.coated(eye, towards);
        (value * opaque, density * opaque)
    }

    /// Whether nothing is reflected, and what is left out for that is a finite number times zero: the bits are those of
    /// [`Bsdf::coated`].
    #[inline(always)]
    fn is_plainly_matte(&self, eye: Vec3, towards: Vec3) -> bool {
        // Far from grazing, and the roughness not below `SMOOTH`, no term of the facets is above 10^37.
        let upright = eye.z >= 1.0e-3 && towards.z >= 1.0e-3;
        upright && self.grazing == 0.0 && self.straight == Vec3::ZERO && self.diffuse.luminance() > 0.0
    }

    /// The diffuse part under its coat, and the facets of the coat.
    #[inline(always)]
    fn coated(&self, eye: Vec3, towards: Vec3) -> (Vec3, f32) {
        let share = self.mirror_share(eye.z);
        // What the coat reflects on the way in, and on the way out, does not reach the diffuse part.
        let through = (Vec3::ONE - self.reflection(eye.z)).times(Vec3::ONE - self.reflection(towards.z));
        let mut value = self.diffuse.times(through) * (ONE_BY_PI * towards.z);
        let mut density = (1.0 - share) * (ONE_BY_PI * towards.z);
        if self.alpha >= SMOOTH {
            let half = (eye + towards).normalized();
            let fresnel = self.reflection(eye.dot(half));
            let facets = self.facets(half);
            let (eye_root, towards_root) = (self.root(eye.z), self.root(towards.z));
            // The masking of both directions together, over four times both cosines; one cosine is already cancelled.
            let visible = 0.5 / (towards.z * eye_root + eye.z * towards_root);
            value = value + fresnel * (facets * visible * towards.z);
            density += share * (facets * 0.5 / (eye.z + eye_root));
        }
        (value, density)
    }

    /// The density of facets along a half direction.
    #[inline(always)]
    fn facets(&self, half: Vec3) -> f32 {
        // In these terms nothing cancels where the surface is smooth.
        let (x, y) = (half.x / self.alpha, half.y / self.alpha);
        let sum = (x * x + y * y) + half.z * half.z;
        1.0 / (PI * self.alpha * self.alpha * (sum * sum))
    }

    #[inline(always)]
    fn root(&self, cosine: f32) -> f32 {
        let square = self.alpha * self.alpha;
        sqrt(square + (1.0 - square) * (cosine * cosine))
    }

    /// A direction to go on with, or nothing where light ends.
    #[inline(always)]
    pub(crate) fn sample(&self, eye: Vec3, draws: Draws) -> Option<Scattered> {
        let choice = crate::numerics::float::unit(draws[0]);
        if choice < self.glass {
            return self.through_glass(eye, choice / self.glass, draws);
        }
        // Without glass the division is by one.
        let choice = if self.glass == 0.0 { choice } else { (choice - self.glass) / (1.0 - self.glass) };
        let share = self.mirror_share(eye.z);
        let u = crate::numerics::float::unit(draws[1]);
        if choice < share {
            if self.alpha < SMOOTH {
                let direction = Vec3::new(-eye.x, -eye.y, eye.z);
                let weight = self.reflection(eye.z) * (1.0 / share);
                return Some(Scattered { direction, weight, density: None });
            }
            let half = self.facet(eye, u, draws[2]);
            let direction = mirrored(eye, half);
            return self.valued(eye, direction);
        }
        self.valued(eye, cosine_direction(u, draws[2]))
    }

    #[inline(always)]
    fn valued(&self, eye: Vec3, direction: Vec3) -> Option<Scattered> {
        let (value, density) = self.evaluate(eye, direction);
        // The choice between glass and the rest cancels: both are scaled by the same share.
        (density > 0.0).then(|| Scattered { direction, weight: value * (1.0 / density), density: Some(density) })
    }

    /// A facet that the eye sees, as often as it sees it.
    #[inline(always)]
    fn facet(&self, eye: Vec3, u: f32, turn: u32) -> Vec3 {
        let stretched = Vec3::new(eye.x * self.alpha, eye.y * self.alpha, eye.z).normalized();
        let z = (1.0 - u) * (1.0 + stretched.z) - stretched.z;
        let radius = sqrt(clamp(1.0 - z * z, 0.0, 1.0));
        let (cos, sin) = circle(turn);
        let cap = Vec3::new(radius * cos, radius * sin, z) + stretched;
        Vec3::new(cap.x * self.alpha, cap.y * self.alpha, max(cap.z, 0.0)).normalized()
    }

    /// Reflection or refraction by the dielectric's own law.
    #[inline(always)]
    fn through_glass(&self, eye: Vec3, choice: f32, draws: Draws) -> Option<Scattered> {
        let smooth = self.alpha < SMOOTH;
        let half = if smooth {
            Vec3::new(0.0, 0.0, 1.0)
        } else {
            self.facet(eye, crate::numerics::float::unit(draws[1]), draws[2])
        };
        let cosine = eye.dot(half);
        if cosine <= 0.0 {
            return None;
        }
        let (reflected, inner) = dielectric(cosine, self.eta);
        // The two ways are taken as often as light takes them, so only the colour and the masking are left.
        let (direction, colour) = if choice < reflected {
            (mirrored(eye, half), Vec3::ONE)
        } else {
            (half * (cosine * self.eta - inner) - eye * self.eta, self.tint)
        };
        let same_side = direction.z > 0.0;
        if same_side != (choice < reflected) || direction.z == 0.0 {
            return None;
        }
        let masked = if smooth {
            1.0
        } else {
            let cosine = direction.z.abs();
            2.0 * cosine / (cosine + self.root(cosine))
        };
        Some(Scattered { direction, weight: colour * masked, density: None })
    }
}

#[inline(always)]
fn mirrored(eye: Vec3, half: Vec3) -> Vec3 {
    half * (2.0 * eye.dot(half)) - eye
}

/// What a dielectric reflects at a cosine, and the cosine on the other side.
#[inline(always)]
fn dielectric(cosine: f32, eta: f32) -> (f32, f32) {
    let sine = eta * eta * max(1.0 - cosine * cosine, 0.0);
    if sine >= 1.0 {
        return (1.0, 0.0);
    }
    let inner = sqrt(1.0 - sine);
    let across = (eta * cosine - inner) / (eta * cosine + inner);
    let along = (cosine - eta * inner) / (cosine + eta * inner);
    ((across * across + along * along) * 0.5, inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::Philox;

    fn surface(diffuse: f32, straight: f32, alpha: f32, glass: f32) -> Bsdf {
        Bsdf {
            diffuse: Vec3::splat(diffuse),
            straight: Vec3::splat(straight),
            grazing: if straight > 0.0 { 1.0 } else { 0.0 },
            alpha,
            glass,
            tint: Vec3::ONE,
            eta: 1.0 / 1.5,
        }
    }

    fn eyes() -> impl Iterator<Item = Vec3> {
        [0.05_f32, 0.3, 0.7, 1.0]
            .into_iter()
            .map(|z| Vec3::new((1.0 - z * z).sqrt() * 0.8, (1.0 - z * z).sqrt() * 0.6, z))
    }

    /// What a surface returns of a white world: the mean weight.
    fn returned(surface: &Bsdf, eye: Vec3) -> f32 {
        let random = Philox::new([3, 5]);
        let count = 20_000_u32;
        let sum: f64 = (0..count)
            .map(|index| {
                let [a, b, c, _] = random.at([index, 0, 0, 0]);
                surface.sample(eye, [a, b, c]).map_or(0.0, |s| f64::from(s.weight.x))
            })
            .sum();
        (sum / f64::from(count)) as f32
    }

    // What is left out of a matte surface changes no bit, wherever it is left out.
    #[test]
    fn a_matte_surface_has_the_bits_of_a_coat_that_reflects_nothing() {
        let random = Philox::new([9, 4]);
        let mut plain = 0;
        for index in 0..200_000_u32 {
            let [a, b, c, d] = random.units_at([index, 0, 0, 0]);
            let [e, f, g, h] = random.units_at([index, 1, 0, 0]);
            let direction = |x: f32, z: f32| {
                // Half of the directions graze the surface.
                let z = if index % 2 == 0 { z } else { z * z * z * 0.01 };
                Vec3::new(x - 0.5, x * 0.3, z).normalized()
            };
            let (eye, towards) = (direction(a, b), direction(c, d));
            let alpha = if index % 3 == 0 { 1.0 } else { e * e };
            let matte =
                Bsdf { diffuse: Vec3::new(f, g, h), ..surface(0.0, 0.0, alpha, if index % 5 == 0 { h } else { 0.0 }) };
            if eye.z <= 0.0 || towards.z <= 0.0 {
                continue;
            }
            plain += u32::from(matte.is_plainly_matte(eye, towards));
            let (value, density) = matte.coated(eye, towards);
            let expected = (value * (1.0 - matte.glass), density * (1.0 - matte.glass));
            let found = matte.evaluate(eye, towards);
            let bits = |(value, density): (Vec3, f32)| (value.to_array().map(f32::to_bits), density.to_bits());
            assert_eq!(bits(found), bits(expected), "{matte:?} {eye:?} {towards:?}");
        }
        assert!(plain > 50_000, "{plain} of 200,000");
    }

    #[test]
    fn a_white_furnace_stays_white() {
        for eye in eyes() {
            assert!((returned(&surface(1.0, 0.0, 1.0, 0.0), eye) - 1.0).abs() < 1e-4, "diffuse");
            assert!((returned(&surface(0.0, 1.0, 0.0, 0.0), eye) - 1.0).abs() < 1e-4, "mirror");
            assert!((returned(&surface(0.0, 0.0, 0.0, 1.0), eye) - 1.0).abs() < 1e-4, "glass");
        }
    }

    #[test]
    fn no_surface_returns_more_than_it_gets() {
        for eye in eyes() {
            for alpha in [0.01, 0.1, 0.3, 0.6, 1.0] {
                for (diffuse, straight, glass) in [(0.0, 1.0, 0.0), (1.0, 0.04, 0.0), (0.5, 0.04, 0.5), (0.0, 0.0, 1.0)]
                {
                    let found = returned(&surface(diffuse, straight, alpha, glass), eye);
                    assert!(found < 1.01, "{diffuse} {straight} {alpha} {glass} at {}: {found}", eye.z);
                    assert!(found > 0.25, "{diffuse} {straight} {alpha} {glass} at {}: {found}", eye.z);
                }
            }
        }
    }

    #[test]
    fn sampling_and_evaluation_agree() {
        // The mean of value over uniform density over the hemisphere is the mean weight of the samples.
        let random = Philox::new([1, 2]);
        for eye in eyes() {
            for alpha in [0.2, 0.5, 1.0] {
                let surface = surface(0.5, 0.3, alpha, 0.0);
                let count = 200_000_u32;
                let (mut sum, mut mass) = (0.0, 0.0);
                for index in 0..count {
                    let [a, b, ..] = random.at([index, 1, 0, 0]);
                    let z = crate::numerics::float::unit(a);
                    let (cos, sin) = circle(b);
                    let radius = (1.0 - z * z).sqrt();
                    let (value, density) = surface.evaluate(eye, Vec3::new(radius * cos, radius * sin, z));
                    sum += f64::from(value.x * 2.0 * PI);
                    mass += f64::from(density * 2.0 * PI);
                }
                let (sum, mass) = (sum / f64::from(count), mass / f64::from(count));
                let sampled = f64::from(returned(&surface, eye));
                assert!((sum - sampled).abs() < 0.05, "{alpha} at {}: {sum} and {sampled}", eye.z);
                assert!(mass < 1.03, "{alpha} at {}: {mass}", eye.z);
            }
        }
    }
}
