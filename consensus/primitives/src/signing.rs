//! Many signatures at once, with the same verdict as one by one.

use core::convert::Infallible;

use ed25519_zebra::VerificationKeyBytes;
use ed25519_zebra::batch::{Item, Verifier};
use rand_core::{TryCryptoRng, TryRng};

use crate::hash::{Digest, Domain};
use crate::keys::{BadSignature, PublicKey, Signature};

/// One signature that has to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who is said to have signed.
    pub key: PublicKey,
    /// What was signed: always a domain's digest.
    pub message: Digest,
    /// The signature.
    pub signature: Signature,
}

impl Claim {
    /// Checks this one alone.
    pub fn verify(&self) -> Result<(), BadSignature> {
        self.key.verify(&self.message.0, &self.signature)
    }
}

/// Checks all of them in one equation; `Err` says that at least one is bad, not which (SIG-2).
///
/// The weights are drawn from the hash of the whole batch: whoever would choose signatures to fit the weights changes
/// the weights with every choice. Which weight meets which signature is the verifier's affair; the verdict of good
/// signatures does not depend on it, and no weights but a negligible part let a bad one through.
pub fn verify_batch(claims: &[Claim]) -> Result<(), BadSignature> {
    #[cfg(target_arch = "x86_64")]
    if let Some(verdict) = crate::lanes::judge(claims) {
        return verdict;
    }
    verify_batch_by_library(claims)
}

/// The same by the library alone: for batches and processors without lanes, and as the measure of those that have them.
pub fn verify_batch_by_library(claims: &[Claim]) -> Result<(), BadSignature> {
    let mut verifier = Verifier::new();
    let mut seed = Domain::BatchWeights.hasher();
    for claim in claims {
        seed.update(claim.key.bytes()).update(&claim.message.0).update(&claim.signature.0);
        let key = VerificationKeyBytes::from(*claim.key.bytes());
        verifier.queue(Item::from((key, claim.signature.0.into(), &claim.message.0)));
    }
    verifier.verify(Weights(seed.finalize_xof())).map_err(|_| BadSignature)
}

/// The same for many signatures of one message, which need not be a digest: the votes of a certificate.
pub fn verify_message_batch(message: &[u8], signed: &[(PublicKey, Signature)]) -> Result<(), BadSignature> {
    let mut verifier = Verifier::new();
    let mut seed = Domain::BatchWeights.hasher();
    // Every later part has a fixed length, so that the message's own needs no mark.
    seed.update(message);
    for (key, signature) in signed {
        seed.update(key.bytes()).update(&signature.0);
        verifier.queue(Item::from((VerificationKeyBytes::from(*key.bytes()), signature.0.into(), &message)));
    }
    verifier.verify(Weights(seed.finalize_xof())).map_err(|_| BadSignature)
}

/// The weights of one batch: the output stream of its hash.
struct Weights(blake3::OutputReader);

impl TryRng for Weights {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Weights {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    fn claims(count: u8) -> Vec<Claim> {
        (0..count)
            .map(|n| {
                let key = SecretKey::from_seed(&[n / 2; 32]);
                let message = Domain::TxId.hash_bytes(&[n]);
                Claim { key: key.public(), message, signature: key.sign_digest(&message) }
            })
            .collect()
    }

    #[test]
    fn a_batch_of_good_ones_is_good() {
        assert_eq!(verify_batch(&[]), Ok(()));
        assert_eq!(verify_batch(&claims(1)), Ok(()));
        assert_eq!(verify_batch(&claims(33)), Ok(()));
    }

    #[test]
    fn signatures_of_one_message_are_good_together_and_one_bad_one_spoils_them() {
        let message = [7; 133];
        let sign = |n: u8| SecretKey::from_seed(&[n; 32]);
        let mut signed: Vec<_> = (0..33).map(|n| (sign(n).public(), sign(n).sign(&message))).collect();
        assert_eq!(verify_message_batch(&message, &[]), Ok(()));
        assert_eq!(verify_message_batch(&message, &signed), Ok(()));
        assert_eq!(verify_message_batch(&message[1..], &signed), Err(BadSignature));
        signed[20].1.0[7] ^= 4;
        assert_eq!(verify_message_batch(&message, &signed), Err(BadSignature));
    }

    #[test]
    fn one_bad_signature_spoils_its_batch() {
        for bad in [0usize, 16, 32] {
            let mut claims = claims(33);
            claims[bad].signature.0[7] ^= 4;
            assert_eq!(verify_batch(&claims), Err(BadSignature), "{bad}");
            let culprits: Vec<usize> = (0..33).filter(|n| claims[*n].verify().is_err()).collect();
            assert_eq!(culprits, [bad]);
        }
    }
}
