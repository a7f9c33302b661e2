//! Signatures over messages for people, which can never be taken for anything that the chain signs.

use cpc_primitives::keys::BadSignature;
use cpc_primitives::{PublicKey, SecretKey, Signature};

/// What stands before every message that is signed (KST-10).
pub const PREFIX: &[u8] = b"CPC signed message v1, not a transaction:\n";
/// Bytes of a message, at most.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

// KST-10: an account signs digests of 32 bytes on the chain, and no statement is so short.
const _: () = assert!(PREFIX.len() > 32, "a statement is never as short as a digest");

/// Signs a message.
pub fn sign(key: &SecretKey, message: &[u8]) -> Signature {
    key.sign(&statement(message))
}

/// Whether this key signed this message.
pub fn verify(key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    key.verify(&statement(message), signature)
}

fn statement(message: &[u8]) -> Vec<u8> {
    [PREFIX, message].concat()
}

#[cfg(test)]
mod tests {
    use cpc_primitives::Domain;

    use super::*;

    #[test]
    fn a_statement_verifies_as_itself_only() {
        let key = SecretKey::from_seed(&[5; 32]);
        let signature = sign(&key, b"I am alice");
        assert_eq!(verify(&key.public(), b"I am alice", &signature), Ok(()));
        assert_eq!(verify(&key.public(), b"I am bob", &signature), Err(BadSignature));
        assert_eq!(verify(&SecretKey::from_seed(&[6; 32]).public(), b"I am alice", &signature), Err(BadSignature));
    }

    #[test]
    fn a_statement_over_a_digest_is_no_signature_of_the_digest() {
        let key = SecretKey::from_seed(&[5; 32]);
        let digest = Domain::TxId.hash_bytes(b"a transaction");
        let stated = sign(&key, &digest.0);
        assert_eq!(key.public().verify(&digest.0, &stated), Err(BadSignature));
        assert_eq!(verify(&key.public(), &digest.0, &key.sign_digest(&digest)), Err(BadSignature));
    }
}
