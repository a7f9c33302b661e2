//! Every bound of a scene and of a rendering job: what is above one is refused with the bound in the message.

// REN-2: a scene is bounded before anything is allocated.

/// Bytes of a scene file.
pub const SCENE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of the JSON chunk within it.
pub const JSON_BYTES_MAX: u64 = 8 << 20;
/// Objects of the JSON chunk: each costs the parser up to some hundred bytes.
pub const JSON_OBJECTS_MAX: u64 = 1 << 17;
/// Values of the JSON chunk: each costs the parser some ten bytes.
pub const JSON_VALUES_MAX: u64 = 1 << 21;

/// Nodes that a scene reaches.
pub const NODES_MAX: u64 = 1 << 16;
/// Nodes from a root to a leaf.
pub const NODE_DEPTH_MAX: u64 = 64;
/// Meshes of a scene.
pub const MESHES_MAX: u64 = 1 << 16;
/// Materials of a scene.
pub const MATERIALS_MAX: u64 = 1 << 12;
/// Images of a scene, and textures.
pub const IMAGES_MAX: u64 = 1 << 10;
/// Triangles of all meshes, each mesh counted once.
pub const TRIANGLES_MAX: u64 = 1 << 22;
/// Vertices of all meshes, each primitive with its own.
pub const VERTICES_MAX: u64 = 3 << 22;
/// Key frames of all animation channels.
pub const KEYFRAMES_MAX: u64 = 1 << 20;
/// Triangles that give light, each instance counted, and punctual lights.
pub const LIGHTS_MAX: u64 = 1 << 20;
/// Pixels along a side of an image.
pub const IMAGE_SIDE_MAX: u64 = 8_192;
/// Bytes of all images, decoded to four bytes a pixel.
pub const IMAGE_BYTES_MAX: u64 = 512 << 20;
/// No coordinate lies further from an origin, so that no product of three of them overflows.
pub const COORDINATE_MAX: f32 = 1.0e6;
/// No light is stronger, for the same reason.
pub const INTENSITY_MAX: f32 = 1.0e8;

/// Pixels along a side of a picture.
pub const SIDE_MAX: u32 = 16_384;
/// Pixels of a picture.
pub const PIXELS_MAX: u64 = 1 << 26;
/// Frames of a task.
pub const FRAMES_MAX: u32 = 1 << 16;
/// Samples of a pixel.
pub const SAMPLES_MAX: u32 = 1 << 16;
/// Surfaces that a path meets before it ends.
pub const BOUNCES_MAX: u32 = 64;
/// Steps that a path may take.
pub const STEPS_MAX: u32 = 1 << 20;
/// Jobs into which a frame may be cut: a smaller one would cost more to hand over than to compute.
pub const JOBS_PER_FRAME_MAX: u32 = 16;

const _: () = assert!(JSON_BYTES_MAX < SCENE_BYTES_MAX, "the JSON is a part of the scene");
const _: () = assert!(TRIANGLES_MAX * 3 <= VERTICES_MAX, "every triangle may have its own vertices");
const _: () = assert!(IMAGE_SIDE_MAX * IMAGE_SIDE_MAX * 4 <= IMAGE_BYTES_MAX, "one image of the largest size fits");
