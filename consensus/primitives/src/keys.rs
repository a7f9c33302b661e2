//! Ed25519 keys: checked where they enter, signing by dalek, and one verdict everywhere by ZIP-215.

use core::fmt;
use core::str::FromStr;

use ed25519_dalek::Signer;
use ed25519_zebra::VerificationKey;
use wincode::{SchemaRead, SchemaWrite};

use crate::hash::{Digest, HexError, hex, unhex};

/// A public key that is canonical and not of small order (KEY-2).
///
/// Whether it lies on the curve at all is seen when a signature of it is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// 64 bytes that claim to be a signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash, SchemaRead, SchemaWrite)]
pub struct Signature(pub [u8; 64]);

/// A key that signs; its bytes are wiped when it is dropped.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

/// Why 32 bytes are refused as a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Anybody could sign for it.
    #[error("a public key of small order")]
    SmallOrder,
    /// The same point has another encoding, and so another address.
    #[error("a public key in a non-canonical encoding")]
    NotCanonical,
}

/// A signature does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signature that does not verify")]
pub struct BadSignature;

/// The canonical y coordinates of the eight points of small order, without the sign of x.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    // Order 4: y = 0.
    [0; 32],
    // Order 1: y = 1.
    {
        let mut y = [0; 32];
        y[0] = 1;
        y
    },
    // Order 2: y = p - 1.
    {
        let mut y = [0xff; 32];
        y[0] = 0xec;
        y[31] = 0x7f;
        y
    },
    // Order 8, both pairs.
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// The field's prime, little-endian: a y of at least this has a smaller twin.
const FIELD_PRIME: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

impl PublicKey {
    /// Takes 32 bytes that are a canonical encoding of no point of small order.
    pub fn new(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let mut y = bytes;
        y[31] &= 0x7f;
        if y.iter().rev().ge(FIELD_PRIME.iter().rev()) {
            return Err(KeyError::NotCanonical);
        }
        if SMALL_ORDER_Y.contains(&y) {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(bytes))
    }

    /// The 32 bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this key signed these bytes, by ZIP-215 (SIG-1).
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let key = VerificationKey::try_from(self.0).map_err(|_| BadSignature)?;
        key.verify(&signature.0.into(), message).map_err(|_| BadSignature)
    }
}

impl SecretKey {
    /// The key of a seed (KEY-1).
    ///
    /// The public key of a seed is a multiple of the base point by a clamped scalar, so that it is never of small
    /// order.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, for storage.
    pub fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs bytes. What is signed for the chain is a domain's digest, so that no signature has two meanings.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }

    /// Signs a digest.
    pub fn sign_digest(&self, digest: &Digest) -> Signature {
        self.sign(&digest.0)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a text is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Not 64 hex digits.
    #[error(transparent)]
    Hex(#[from] HexError),
    /// Not a key that is accepted.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl FromStr for PublicKey {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        let mut bytes = [0; 32];
        unhex(text, &mut bytes)?;
        Ok(Self::new(bytes)?)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Signature {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let mut bytes = [0; 64];
        unhex(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;

    use super::*;

    #[test]
    fn every_point_of_small_order_is_refused() {
        for point in EIGHT_TORSION {
            assert_eq!(PublicKey::new(point.compress().to_bytes()), Err(KeyError::SmallOrder));
        }
    }

    #[test]
    fn every_encoding_above_the_prime_is_refused() {
        for low in 0xed..=0xff {
            for sign in [0x7f, 0xff] {
                let mut bytes = [0xff; 32];
                bytes[0] = low;
                bytes[31] = sign;
                assert_eq!(PublicKey::new(bytes), Err(KeyError::NotCanonical), "{low:x} {sign:x}");
            }
        }
        let mut largest = [0xff; 32];
        largest[0] = 0xeb;
        largest[31] = 0x7f;
        assert!(PublicKey::new(largest).is_ok());
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        let key = SecretKey::from_seed(&[1; 32]);
        let signature = key.sign(b"message");
        assert_eq!(key.public().verify(b"message", &signature), Ok(()));
        assert_eq!(key.public().verify(b"another", &signature), Err(BadSignature));
        let mut bent = signature;
        bent.0[40] ^= 1;
        assert_eq!(key.public().verify(b"message", &bent), Err(BadSignature));
        assert_eq!(PublicKey::new(*key.public().bytes()), Ok(key.public()));
    }
}
