//! A body with its signature: the tag says what was signed, and the chain where it means something (WIRE-3).

use cpc_primitives::codec::{Encode, encode};
use cpc_primitives::keys::BadSignature;
use cpc_primitives::{ChainId, Digest, Domain, PublicKey, SecretKey, Signature};
use wincode::{SchemaRead, SchemaWrite};

use crate::message::{Commits, Hello, Offers, Openings};

/// A body that its maker signed.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Signed<T> {
    /// What is said.
    pub body: T,
    /// By the key that the body's kind names.
    pub signature: Signature,
}

/// A body that can be signed, under a tag that no other kind has.
pub trait Signable: Encode {
    /// Its tag.
    const DOMAIN: Domain;
}

impl Signable for Hello {
    const DOMAIN: Domain = Domain::WorkerHello;
}

impl Signable for Offers {
    const DOMAIN: Domain = Domain::JobOffer;
}

impl Signable for Commits {
    const DOMAIN: Domain = Domain::JobCommit;
}

impl Signable for Openings {
    const DOMAIN: Domain = Domain::JobOpening;
}

impl<T: Signable> Signed<T> {
    /// Signs a body for a chain.
    pub fn new(body: T, chain: ChainId, key: &SecretKey) -> Self {
        let signature = key.sign_digest(&message(&body, chain));
        Self { body, signature }
    }

    /// Whether this key signed the body for this chain.
    pub fn verify(&self, chain: ChainId, key: &PublicKey) -> Result<(), BadSignature> {
        key.verify(&message(&self.body, chain).0, &self.signature)
    }
}

/// What is signed: the chain, then the body (WIRE-3).
fn message<T: Signable>(body: &T, chain: ChainId) -> Digest {
    let mut hasher = T::DOMAIN.hasher();
    hasher.update(&encode(&chain)).update(&encode(body));
    hasher.finalize().into()
}
