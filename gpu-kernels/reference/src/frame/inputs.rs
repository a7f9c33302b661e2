//! What a task reads: blobs that were held against the hashes of the order.

use std::sync::Arc;

use cpc_primitives::result::BlobRef;
use cpc_primitives::{Domain, Mismatch};

use crate::frame::InputError;

/// The blobs of a task, in the order in which its order names them. Only the check of their hashes makes one (KER-2).
#[derive(Clone, Debug, Default)]
pub struct Inputs(Vec<(BlobRef, Arc<[u8]>)>);

impl Inputs {
    /// No blobs: what a kernel without inputs is given.
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes the blobs that an order names.
    pub fn new(named: &[BlobRef], blobs: Vec<Arc<[u8]>>) -> Result<Self, InputError> {
        if named.len() != blobs.len() {
            return Err(InputError::Count(Mismatch { expected: named.len(), found: blobs.len() }));
        }
        for (index, (named, blob)) in named.iter().zip(&blobs).enumerate() {
            let found = blob_ref(blob);
            if found.bytes != named.bytes {
                return Err(InputError::Bytes { index, both: Mismatch { expected: named.bytes, found: found.bytes } });
            }
            if found.hash != named.hash {
                return Err(InputError::Hash { index, both: Mismatch { expected: named.hash, found: found.hash } });
            }
        }
        Ok(Self(named.iter().copied().zip(blobs).collect()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of one.
    pub fn bytes(&self, index: usize) -> Option<&Arc<[u8]>> {
        self.0.get(index).map(|(_, bytes)| bytes)
    }

    /// What the order says of one.
    pub fn blob(&self, index: usize) -> Option<&BlobRef> {
        self.0.get(index).map(|(blob, _)| blob)
    }
}

/// How an order names these bytes.
pub fn blob_ref(bytes: &[u8]) -> BlobRef {
    let length = u64::try_from(bytes.len()).expect("a slice in memory has at most 64 bits of bytes");
    BlobRef { hash: Domain::Blob.hash_bytes(bytes), bytes: length }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_bytes_are_taken() {
        let blob: Arc<[u8]> = Arc::from(&b"scene"[..]);
        let named = blob_ref(&blob);
        assert_eq!(Inputs::new(&[named], vec![blob.clone()]).expect("the same").len(), 1);
        assert!(matches!(Inputs::new(&[named], vec![]), Err(InputError::Count(_))));
        assert!(matches!(
            Inputs::new(&[named], vec![Arc::from(&b"scen"[..])]),
            Err(InputError::Bytes { index: 0, .. })
        ));
        assert!(matches!(
            Inputs::new(&[named], vec![Arc::from(&b"scenf"[..])]),
            Err(InputError::Hash { index: 0, .. })
        ));
    }
}
