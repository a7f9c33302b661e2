//! Reads scenes from untrusted binary glTF: every size is known and bounded before anything is allocated for it.

mod accessor;
mod animations;
mod container;
mod images;
mod materials;
mod meshes;
mod nodes;
mod reject;

pub use reject::{AccessorReject, AnimationReject, ImageReject, MeshReject, SceneReject};

use gltf_json::Root;

use super::limits;
use super::scene::{Counts, Scene};
use accessor::Source;
use container::{Container, bounded};

/// Extensions without whose meaning a file may not be rendered, and whose meaning this kernel knows.
const KNOWN_EXTENSIONS: &[&str] = &[
    "KHR_lights_punctual",
    "KHR_materials_emissive_strength",
    "KHR_materials_ior",
    "KHR_materials_specular",
    "KHR_materials_transmission",
];

impl Scene {
    /// What a task must say of the scene in a file. Reads headers and counts, and allocates for neither meshes nor
    /// pixels.
    ///
    /// # Errors
    ///
    /// The file is no scene within the bounds.
    pub fn survey(file: &[u8]) -> Result<Counts, SceneReject> {
        let container = Container::split(file)?;
        let root = parsed(container.json)?;
        Ok(Plan::of(Source { root: &root, bytes: container.bytes })?.counts)
    }

    /// Reads the scene in a file, which must be what the task says of it.
    ///
    /// # Errors
    ///
    /// The file is no scene within the bounds, or it has other counts than the task says.
    pub fn read(file: &[u8], expected: &Counts) -> Result<Self, SceneReject> {
        let container = Container::split(file)?;
        let root = parsed(container.json)?;
        let source = Source { root: &root, bytes: container.bytes };
        let plan = Plan::of(source)?;
        // REN-6: the counts are the task's, so memory and price are known before the scene is fetched.
        for (what, expected, found) in [
            ("triangles", expected.triangles, plan.counts.triangles),
            ("nodes", expected.nodes, plan.counts.nodes),
            ("bytes of images", expected.image_bytes, plan.counts.image_bytes),
        ] {
            if expected != found {
                return Err(SceneReject::Count { what, expected: expected.into(), found: found.into() });
            }
        }
        plan.carry_out(source)
    }
}

/// Everything that is known of a scene before its meshes and pixels are read.
struct Plan {
    counts: Counts,
    graph: nodes::Graph,
    palette: materials::Palette,
}

impl Plan {
    fn of(source: Source<'_>) -> Result<Self, SceneReject> {
        supported(source.root)?;
        let graph = nodes::Graph::of(source)?;
        let palette = materials::Palette::of(source)?;
        let triangles = meshes::count(source, &graph.meshes)?;
        let image_bytes = images::count(source, &palette.images)?;
        animations::count(source)?;
        let small = |count: u64| u32::try_from(count).expect("every bound is below 2^32");
        let nodes = small(container::to_u64(graph.nodes.len()));
        let counts = Counts { triangles: small(triangles), nodes, image_bytes: small(image_bytes) };
        Ok(Self { counts, graph, palette })
    }

    fn carry_out(self, source: Source<'_>) -> Result<Scene, SceneReject> {
        let Self { counts, graph, palette } = self;
        let channels = animations::read(source, &graph)?;
        let images = images::read(source, &palette.images)?;
        let meshes = meshes::read(source, &graph.meshes, &palette)?;
        let environment = nodes::environment(source, &palette, &graph)?;
        Ok(Scene {
            counts,
            nodes: graph.nodes,
            meshes,
            materials: palette.materials,
            images,
            cameras: graph.cameras,
            lights: graph.lights,
            channels,
            environment,
        })
    }
}

fn parsed(json: &[u8]) -> Result<Root, SceneReject> {
    // The parser's words may quote the file: they are cut, so that a refusal is short whatever the file holds.
    Root::from_slice(json).map_err(|error| SceneReject::Json(error.to_string().chars().take(200).collect()))
}

// REN-7: what changes the picture and is not known is refused by name.
fn supported(root: &Root) -> Result<(), SceneReject> {
    let unknown = root.extensions_required.iter().find(|name| !KNOWN_EXTENSIONS.contains(&name.as_str()));
    if let Some(name) = unknown {
        let name: String = name.chars().take(60).collect();
        return Err(SceneReject::Unsupported(format!("the extension {name}")));
    }
    let list = |what, length: usize, max| bounded(what, container::to_u64(length), max);
    list("nodes", root.nodes.len(), limits::NODES_MAX)?;
    list("meshes", root.meshes.len(), limits::MESHES_MAX)?;
    list("materials", root.materials.len(), limits::MATERIALS_MAX)?;
    list("images", root.images.len(), limits::IMAGES_MAX)?;
    list("textures", root.textures.len(), limits::IMAGES_MAX)
}
