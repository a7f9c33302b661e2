//! Shapes from which the sample scenes are made.

use super::glb::Shape;
use crate::numerics::float::from_u32;
use crate::numerics::functions::sin_cos;
use crate::rendering::trace::sampling::PI;
use crate::rendering::trace::vector::Vec3;

impl Shape {
    /// A parallelogram from a corner along two edges; its front is where they turn to the left.
    pub(in crate::rendering) fn sheet(corner: Vec3, along: Vec3, across: Vec3) -> Self {
        let normal = along.cross(across).normalized();
        Self {
            positions: vec![corner, corner + along, corner + along + across, corner + across],
            normals: vec![normal; 4],
            uvs: vec![[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]],
            indices: vec![0, 1, 2, 0, 2, 3],
        }
    }

    /// A block about the origin, turned about the upright axis.
    pub(in crate::rendering) fn block(size: Vec3, turn: f32) -> Self {
        let (sin, cos) = sin_cos(turn);
        let (x, y, z) =
            (Vec3::new(cos, 0.0, -sin) * size.x, Vec3::new(0.0, size.y, 0.0), Vec3::new(sin, 0.0, cos) * size.z);
        let corner = (x + y + z) * -0.5;
        let far = corner + x + y + z;
        let mut shape = Self::default();
        for (corner, along, across) in
            [(corner, y, x), (corner, z, y), (corner, x, z), (far, -x, -y), (far, -y, -z), (far, -z, -x)]
        {
            shape.add(&Self::sheet(corner, along, across));
        }
        shape
    }

    /// A ball about the origin.
    pub(in crate::rendering) fn ball(radius: f32, rows: u32) -> Self {
        Self::grid(rows * 2, rows, |u, v| {
            let (sin, cos) = sin_cos(u * 2.0 * PI);
            let (down, height) = sin_cos(v * PI);
            let normal = Vec3::new(cos * down, height, -sin * down);
            (normal * radius, normal)
        })
    }

    /// A tube along a closed knot.
    pub(in crate::rendering) fn knot(radius: f32, tube: f32, columns: u32, rows: u32) -> Self {
        let place = |share: f32| {
            let (turn_sin, turn_cos) = sin_cos(share * 4.0 * PI);
            let (wave_sin, wave_cos) = sin_cos(share * 6.0 * PI);
            let reach = radius * (1.0 + 0.4 * wave_cos);
            Vec3::new(reach * turn_cos, radius * 0.55 * wave_sin, reach * turn_sin)
        };
        Self::grid(columns, rows, |u, v| {
            let ahead = (place(u + 0.0005) - place(u - 0.0005)).normalized();
            let side = ahead.cross(Vec3::new(0.0, 1.0, 0.0)).normalized();
            let up = side.cross(ahead);
            let (sin, cos) = sin_cos(v * 2.0 * PI);
            let normal = side * cos + up * sin;
            (place(u) + normal * tube, normal)
        })
    }

    /// A sheet of squares: `place` gives position and normal at each corner, whose shares run from 0 to 1.
    pub(in crate::rendering) fn grid(columns: u32, rows: u32, place: impl Fn(f32, f32) -> (Vec3, Vec3)) -> Self {
        let mut shape = Self::default();
        for row in 0..=rows {
            for column in 0..=columns {
                let (u, v) = (from_u32(column) / from_u32(columns), from_u32(row) / from_u32(rows));
                let (position, normal) = place(u, v);
                shape.positions.push(position);
                shape.normals.push(normal);
                shape.uvs.push([u, v]);
            }
        }
        for row in 0..rows {
            for column in 0..columns {
                let first = row * (columns + 1) + column;
                let below = first + columns + 1;
                shape.indices.extend([first, below, below + 1, first, below + 1, first + 1]);
            }
        }
        shape
    }

    /// The same shape elsewhere.
    pub(in crate::rendering) fn moved(mut self, by: Vec3) -> Self {
        for position in &mut self.positions {
            *position = *position + by;
        }
        self
    }

    /// The same shape with its texture repeated.
    pub(in crate::rendering) fn tiled(mut self, times: f32) -> Self {
        for uv in self.uvs.iter_mut().flatten() {
            *uv *= times;
        }
        self
    }

    /// Adds another shape to this one.
    pub(in crate::rendering) fn add(&mut self, other: &Self) {
        let first = u32::try_from(self.positions.len()).expect("a sample is small");
        self.positions.extend(&other.positions);
        self.normals.extend(&other.normals);
        self.uvs.extend(&other.uvs);
        self.indices.extend(other.indices.iter().map(|index| first + index));
    }
}
