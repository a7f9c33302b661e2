//! Reads triangles: counted and bounded over the whole scene first, then read mesh by mesh.

use gltf_json::Index;
use gltf_json::accessor::{Accessor, Type};
use gltf_json::mesh::{Mode, Primitive, Semantic};
use gltf_json::validation::Checked;

use super::accessor::{Elements, Source, Wanted};
use super::container::{bounded, to_u64};
use super::materials::Palette;
use super::reject::{MeshReject, SceneReject};
use crate::rendering::limits;
use crate::rendering::scene::{Mesh, Triangle, Vertex};
use crate::rendering::trace::vector::Vec3;

/// Texture coordinates beyond this are refused: there is nothing left of them after the point.
const UV_MAX: f32 = 65_536.0;

/// The triangles of all meshes, each counted once.
pub(super) fn count(source: Source<'_>, meshes: &[usize]) -> Result<u64, SceneReject> {
    let (mut triangles, mut vertices) = (0_u64, 0_u64);
    for index in meshes {
        let mesh = source.get(&source.root.meshes, "mesh", *index)?;
        for primitive in &mesh.primitives {
            let parts = Parts::of(source, primitive, *index)?;
            vertices = vertices.saturating_add(parts.positions.count());
            bounded("vertices", vertices, limits::VERTICES_MAX)?;
            triangles = triangles.saturating_add(parts.corners() / 3);
            bounded("triangles", triangles, limits::TRIANGLES_MAX)?;
        }
    }
    if triangles == 0 { Err(SceneReject::Empty("its meshes have no triangles")) } else { Ok(triangles) }
}

/// Reads every mesh.
pub(super) fn read(source: Source<'_>, meshes: &[usize], palette: &Palette) -> Result<Vec<Mesh>, SceneReject> {
    meshes.iter().map(|index| mesh(source, *index, palette)).collect()
}

/// The accessors of a primitive, whose counts agree.
struct Parts<'a> {
    positions: Elements<'a>,
    normals: Option<Elements<'a>>,
    uvs: Option<Elements<'a>>,
    indices: Option<Elements<'a>>,
}

impl<'a> Parts<'a> {
    fn of(source: Source<'a>, primitive: &Primitive, mesh: usize) -> Result<Self, SceneReject> {
        let refused = |why| SceneReject::Mesh { mesh: to_u64(mesh), why };
        if !matches!(primitive.mode, Checked::Valid(Mode::Triangles)) {
            return Err(SceneReject::Unsupported("a primitive that is no list of triangles".to_owned()));
        }
        if primitive.targets.as_ref().is_some_and(|targets| !targets.is_empty()) {
            return Err(SceneReject::Unsupported("a morph target".to_owned()));
        }
        let attribute = |semantic: Semantic| primitive.attributes.get(&Checked::Valid(semantic)).copied();
        let positions = attribute(Semantic::Positions).ok_or_else(|| refused(MeshReject::NoPositions))?;
        let positions = source.elements(positions, Type::Vec3, Wanted::Floats)?;
        let expected = positions.count();
        let beside = |what, index: Option<Index<Accessor>>, shape| {
            let Some(index) = index else { return Ok(None) };
            let elements = source.elements(index, shape, Wanted::Floats)?;
            let found = elements.count();
            if found != expected {
                return Err(refused(MeshReject::Unequal { what, expected, found }));
            }
            Ok(Some(elements))
        };
        let normals = beside("the normals", attribute(Semantic::Normals), Type::Vec3)?;
        let uvs = beside("the texture coordinates", attribute(Semantic::TexCoords(0)), Type::Vec2)?;
        let indices = primitive.indices.map(|index| source.elements(index, Type::Scalar, Wanted::Indices));
        let parts = Self { positions, normals, uvs, indices: indices.transpose()? };
        let found = parts.corners();
        if found.is_multiple_of(3) { Ok(parts) } else { Err(refused(MeshReject::Corners { found })) }
    }

    fn corners(&self) -> u64 {
        self.indices.as_ref().map_or(self.positions.count(), Elements::count)
    }
}

fn mesh(source: Source<'_>, index: usize, palette: &Palette) -> Result<Mesh, SceneReject> {
    let (mut vertices, mut triangles) = (Vec::new(), Vec::new());
    for primitive in &source.get(&source.root.meshes, "mesh", index)?.primitives {
        let material = palette.index(primitive.material.map(|material| material.value()))?;
        let parts = Parts::of(source, primitive, index)?;
        let first = vertices.len();
        let positions = parts.positions.floats::<3>(limits::COORDINATE_MAX)?;
        vertices.extend(positions.into_iter().map(|position| Vertex {
            position: Vec3::from_array(position),
            normal: Vec3::ZERO,
            uv: [0.0; 2],
        }));
        if let Some(normals) = &parts.normals {
            for (vertex, normal) in vertices[first..].iter_mut().zip(normals.floats::<3>(limits::COORDINATE_MAX)?) {
                vertex.normal = Vec3::from_array(normal).normalized();
            }
        }
        if let Some(uvs) = &parts.uvs {
            for (vertex, uv) in vertices[first..].iter_mut().zip(uvs.floats::<2>(UV_MAX)?) {
                vertex.uv = uv;
            }
        }
        let count = u32::try_from(vertices.len().saturating_sub(first)).expect("the vertices are bounded");
        let first = u32::try_from(first).expect("the vertices are bounded");
        let corners: Vec<u32> = match &parts.indices {
            Some(indices) => indices.indices().collect(),
            None => (0..count).collect(),
        };
        if let Some((corner, vertex)) = corners.iter().enumerate().find(|(_, vertex)| **vertex >= count) {
            let why = MeshReject::Vertex { corner: to_u64(corner), vertex: (*vertex).into(), count: count.into() };
            return Err(SceneReject::Mesh { mesh: to_u64(index), why });
        }
        let (corners, _) = corners.as_chunks::<3>();
        triangles.extend(corners.iter().map(|corners| Triangle {
            vertices: corners.map(|vertex| first.checked_add(vertex).expect("the vertices are bounded")),
            material,
        }));
    }
    Ok(Mesh { vertices, triangles })
}
