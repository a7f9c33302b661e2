//! Why a scene is refused: each variant is a rule of `docs/spec/rendering.md` with both sides and the culprit.

use thiserror::Error;

/// Why a file is not a scene that this kernel renders. Every honest node says the same.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum SceneReject {
    #[error("a scene has at most {max} {what}, and this one has {found}")]
    TooMany { what: &'static str, found: u64, max: u64 },
    #[error("the task says that the scene has {expected} {what}, and it has {found}")]
    Count { what: &'static str, expected: u64, found: u64 },
    #[error("the file is no binary glTF: {0}")]
    Container(&'static str),
    #[error("the JSON of the scene cannot be read: {0}")]
    Json(String),
    #[error("{0} is not supported by this kernel")]
    Unsupported(String),
    #[error("{what} {index} is named, and there are {count}")]
    Dangling { what: &'static str, index: u64, count: u64 },
    #[error("accessor {accessor}: {why}")]
    Accessor { accessor: u64, why: AccessorReject },
    #[error("{what} of {holder} {index} is not a finite number within {bound}")]
    Number { what: &'static str, holder: &'static str, index: u64, bound: String },
    #[error("node {node} has two parents, or is its own ancestor")]
    Cycle { node: u64 },
    #[error("mesh {mesh}: {why}")]
    Mesh { mesh: u64, why: MeshReject },
    #[error("image {image}: {why}")]
    Image { image: u64, why: ImageReject },
    #[error("animation {animation}: {why}")]
    Animation { animation: u64, why: AnimationReject },
    #[error("the scene is empty: {0}")]
    Empty(&'static str),
}

/// Why an accessor is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum AccessorReject {
    #[error("its elements are {found}, and {expected} is needed")]
    Kind { expected: &'static str, found: String },
    #[error("it counts no elements")]
    Zero,
    #[error("a stride of {stride} bytes is not between the {size} bytes of an element and 252")]
    Stride { stride: u64, size: u64 },
    #[error("it ends {end} bytes into a view of {length}")]
    PastView { end: u128, length: u64 },
    #[error("its view ends {end} bytes into a buffer of {length}")]
    PastBuffer { end: u128, length: u64 },
    #[error("element {element} is not a finite number within the bounds")]
    NotFinite { element: u64 },
}

/// Why a mesh is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum MeshReject {
    #[error("it has no positions")]
    NoPositions,
    #[error("{what} has {found} elements beside {expected} positions")]
    Unequal { what: &'static str, expected: u64, found: u64 },
    #[error("{found} corners are no whole number of triangles")]
    Corners { found: u64 },
    #[error("corner {corner} names vertex {vertex} of {count}")]
    Vertex { corner: u64, vertex: u64, count: u64 },
}

/// Why an image is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum ImageReject {
    #[error("it is a {0}, and only PNG is read")]
    Format(String),
    #[error("it has no bytes in this file")]
    Elsewhere,
    #[error("the PNG cannot be read: {0}")]
    Png(String),
    #[error("a side of {side} pixels is longer than {max}")]
    Side { side: u64, max: u64 },
}

/// Why an animation is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum AnimationReject {
    #[error("the times of sampler {sampler} do not rise")]
    Times { sampler: u64 },
    #[error("sampler {sampler} has {found} values for {expected}")]
    Unequal { sampler: u64, expected: u64, found: u64 },
    #[error("the interpolation of sampler {sampler} is unknown")]
    Interpolation { sampler: u64 },
    #[error("channel {channel} moves a node that has a matrix")]
    Matrix { channel: u64 },
}
