//! Reads typed elements out of the bytes of a scene: every size is checked before the first element is read.

use gltf_json::accessor::{ComponentType, Type};
use gltf_json::validation::Checked;
use gltf_json::{Accessor, Index, Root, buffer};

use super::container::to_u64;
use super::reject::{AccessorReject, SceneReject};

/// A parsed scene file beside its bytes.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) root: &'a Root,
    pub(super) bytes: &'a [u8],
}

/// The elements of one accessor, all of which lie within the bytes.
pub(super) struct Elements<'a> {
    bytes: &'a [u8],
    stride: usize,
    count: u64,
    component: ComponentType,
    normalized: bool,
    accessor: u64,
}

/// What an accessor may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Vectors of floats, or of integers that stand for floats.
    Floats,
    /// Unsigned integers.
    Indices,
}

/// The longest stride of the format.
const STRIDE_MAX: u64 = 252;

impl<'a> Source<'a> {
    /// The element that an index names, or a refusal by name.
    pub(super) fn get<T>(self, list: &'a [T], what: &'static str, index: usize) -> Result<&'a T, SceneReject> {
        let dangling = || SceneReject::Dangling { what, index: to_u64(index), count: to_u64(list.len()) };
        list.get(index).ok_or_else(dangling)
    }

    /// The bytes of a view; `accessor` is named where they are refused.
    pub(super) fn view(self, index: Index<buffer::View>, accessor: u64) -> Result<&'a [u8], SceneReject> {
        let view = self.get(&self.root.buffer_views, "buffer view", index.value())?;
        let buffer = self.get(&self.root.buffers, "buffer", view.buffer.value())?;
        if view.buffer.value() != 0 || buffer.uri.is_some() {
            return Err(SceneReject::Unsupported("a buffer outside the file".to_owned()));
        }
        let start = view.byte_offset.map_or(0, |offset| offset.0);
        // REN-3: the end is computed in a type that no two 64-bit lengths overflow.
        let end = u128::from(start).saturating_add(u128::from(view.byte_length.0));
        let length = to_u64(self.bytes.len());
        let past = || SceneReject::Accessor { accessor, why: AccessorReject::PastBuffer { end, length } };
        let (start, end) = (usize::try_from(start).map_err(|_| past())?, usize::try_from(end).map_err(|_| past())?);
        self.bytes.get(start..end).ok_or_else(past)
    }

    /// The elements of an accessor whose shape is one of `shapes`.
    pub(super) fn elements(
        self,
        index: Index<Accessor>,
        shape: Type,
        wanted: Wanted,
    ) -> Result<Elements<'a>, SceneReject> {
        let accessor = to_u64(index.value());
        let refused = |why| SceneReject::Accessor { accessor, why };
        let found = self.get(&self.root.accessors, "accessor", index.value())?;
        if found.sparse.is_some() {
            return Err(SceneReject::Unsupported("a sparse accessor".to_owned()));
        }
        let (component, size) = component(found, shape, wanted).map_err(refused)?;
        let count = found.count.0;
        if count == 0 {
            return Err(refused(AccessorReject::Zero));
        }
        let view = found
            .buffer_view
            .ok_or_else(|| SceneReject::Unsupported("an accessor without a buffer view".to_owned()))?;
        let bytes = self.view(view, accessor)?;
        let stride = match self.get(&self.root.buffer_views, "buffer view", view.value())?.byte_stride {
            Some(stride) => to_u64(stride.0),
            None => size,
        };
        if stride < size || stride > STRIDE_MAX {
            return Err(refused(AccessorReject::Stride { stride, size }));
        }
        let start = found.byte_offset.map_or(0, |offset| offset.0);
        let length = to_u64(bytes.len());
        // Neither the product of two 64-bit counts nor these sums reach 2^128.
        let last = u128::from(count.saturating_sub(1)).saturating_mul(u128::from(stride));
        let end = last.saturating_add(u128::from(start)).saturating_add(u128::from(size));
        let past = || refused(AccessorReject::PastView { end, length });
        if end > u128::from(length) {
            return Err(past());
        }
        let start = usize::try_from(start).map_err(|_| past())?;
        let stride = usize::try_from(stride).map_err(|_| past())?;
        let bytes = bytes.get(start..).ok_or_else(past)?;
        Ok(Elements { bytes, stride, count, component, normalized: found.normalized, accessor })
    }
}

/// The component of an accessor that holds what is wanted, and the bytes of an element.
fn component(found: &Accessor, shape: Type, wanted: Wanted) -> Result<(ComponentType, u64), AccessorReject> {
    let (expected, width) = match shape {
        Type::Scalar => ("a scalar", 1_u64),
        Type::Vec2 => ("a vector of two", 2),
        Type::Vec3 => ("a vector of three", 3),
        Type::Vec4 => ("a vector of four", 4),
        Type::Mat2 | Type::Mat3 | Type::Mat4 => ("no matrix", 16),
    };
    let kind = |found: String| AccessorReject::Kind { expected, found };
    match found.type_ {
        Checked::Valid(found) if found == shape => {}
        ref other => return Err(kind(format!("{other:?}"))),
    }
    let Checked::Valid(component) = found.component_type else {
        return Err(kind("of an unknown component".to_owned()));
    };
    let component = component.0;
    let fits = match wanted {
        Wanted::Floats => component == ComponentType::F32 || (found.normalized && component != ComponentType::U32),
        Wanted::Indices => matches!(component, ComponentType::U8 | ComponentType::U16 | ComponentType::U32),
    };
    let size = match component {
        ComponentType::I8 | ComponentType::U8 => 1,
        ComponentType::I16 | ComponentType::U16 => 2,
        ComponentType::U32 | ComponentType::F32 => 4,
    };
    if fits { Ok((component, width.saturating_mul(size))) } else { Err(kind(format!("of component {component:?}"))) }
}

impl Elements<'_> {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The elements as vectors of `N` floats, each finite and within `bound`.
    pub(super) fn floats<const N: usize>(&self, bound: f32) -> Result<Vec<[f32; N]>, SceneReject> {
        let mut floats = Vec::with_capacity(self.capacity());
        for (element, bytes) in self.bytes.chunks(self.stride).take(self.capacity()).enumerate() {
            let mut vector = [0.0; N];
            for (value, index) in vector.iter_mut().zip(0..) {
                *value = self.float(bytes, index);
            }
            // REN-5: what is not a number is refused where it enters.
            if !vector.iter().all(|value| value.abs() <= bound) {
                let why = AccessorReject::NotFinite { element: to_u64(element) };
                return Err(SceneReject::Accessor { accessor: self.accessor, why });
            }
            floats.push(vector);
        }
        Ok(floats)
    }

    /// The elements as unsigned integers.
    pub(super) fn indices(&self) -> impl Iterator<Item = u32> {
        let component = self.component;
        self.bytes.chunks(self.stride).take(self.capacity()).map(move |bytes| match component {
            ComponentType::U8 => u32::from(bytes[0]),
            ComponentType::U16 => u32::from(u16::from_le_bytes(take(bytes, 0))),
            _ => u32::from_le_bytes(take(bytes, 0)),
        })
    }

    fn capacity(&self) -> usize {
        usize::try_from(self.count).expect("the elements lie in memory")
    }

    fn float(&self, bytes: &[u8], index: usize) -> f32 {
        // REN-4: integers that stand for floats are divided as glTF says; adding nothing makes -0 a plain zero.
        let value = match self.component {
            ComponentType::F32 => f32::from_le_bytes(take(bytes, index)),
            ComponentType::I8 => (f32::from(i8::from_le_bytes(take(bytes, index))) / 127.0).max(-1.0),
            ComponentType::U8 => f32::from(u8::from_le_bytes(take(bytes, index))) / 255.0,
            ComponentType::I16 => (f32::from(i16::from_le_bytes(take(bytes, index))) / 32_767.0).max(-1.0),
            ComponentType::U16 => f32::from(u16::from_le_bytes(take(bytes, index))) / 65_535.0,
            ComponentType::U32 => 0.0,
        };
        debug_assert!(self.normalized || self.component == ComponentType::F32, "checked where the elements were named");
        value + 0.0
    }
}

/// The `index`-th run of `N` bytes.
fn take<const N: usize>(bytes: &[u8], index: usize) -> [u8; N] {
    let (runs, _) = bytes.as_chunks::<N>();
    runs[index]
}
