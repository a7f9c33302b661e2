//! Who may vote in which epoch, as the BFT library asks for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use commonware_codec::{Decode as _, DecodeExt as _};
use commonware_consensus::types::Epoch as LibraryEpoch;
use commonware_cryptography::certificate::{Provider, Scoped};
use commonware_cryptography::ed25519::{PrivateKey, PublicKey as LibraryKey};
use commonware_utils::ordered::Set;
use cpc_primitives::{BlockId, Epoch, PublicKey, SecretKey};

use crate::block::Digest;
use crate::chain::Seat;

/// A public key as the library knows it.
pub type Key = LibraryKey;
/// How votes are signed and certificates are checked.
pub type VoteScheme = commonware_consensus::simplex::scheme::ed25519::Scheme;

/// The key with which this node votes.
#[derive(Clone)]
pub struct Signer {
    secret: Arc<SecretKey>,
}

impl Signer {
    /// Votes with this key wherever it has a seat.
    pub fn new(secret: SecretKey) -> Self {
        Self { secret: Arc::new(secret) }
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.secret.public()
    }

    /// The key as the library signs with it.
    pub(crate) fn library(&self) -> PrivateKey {
        PrivateKey::decode(self.secret.seed().to_vec()).expect("any 32 bytes are a seed")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public())
    }
}

/// The library's form of a key; the few encodings that one of the two refuses are no keys.
pub fn key_of(key: &PublicKey) -> Option<Key> {
    Key::decode_cfg(key.bytes().to_vec(), &()).ok()
}

/// Our form of the library's key.
pub fn public_key_of(key: &Key) -> Option<PublicKey> {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.as_ref());
    PublicKey::new(bytes).ok()
}

/// The library's digest with the bytes of an id.
pub(crate) fn digest_of(id: &BlockId) -> Digest {
    Digest::decode(id.0.0.to_vec()).expect("a digest has 32 bytes")
}

/// The schemes of the epochs that the state knows.
#[derive(Clone)]
pub(crate) struct Schemes {
    namespace: Arc<Vec<u8>>,
    known: Arc<Mutex<BTreeMap<Epoch, Arc<VoteScheme>>>>,
}

impl Schemes {
    pub(crate) fn new(namespace: Vec<u8>) -> Self {
        Self { namespace: Arc::new(namespace), known: Arc::default() }
    }

    /// The participants of a set in the library's form.
    pub(crate) fn participants(seats: &[Seat]) -> Set<Key> {
        Set::from_iter_dedup(seats.iter().filter_map(|seat| key_of(&seat.key)))
    }

    /// Lets certificates of an epoch be checked; who may sign in it is said when it is entered.
    pub(crate) fn learn(&self, epoch: Epoch, seats: &[Seat]) {
        let scheme = VoteScheme::verifier(&self.namespace, Self::participants(seats));
        self.known().entry(epoch).or_insert_with(|| Arc::new(scheme));
    }

    /// Enters an epoch: with a signer where it has a seat, else without.
    pub(crate) fn enter(&self, epoch: Epoch, seats: &[Seat], signer: Option<&Signer>) -> VoteScheme {
        let participants = Self::participants(seats);
        let signing =
            signer.and_then(|signer| VoteScheme::signer(&self.namespace, participants.clone(), signer.library()));
        let scheme = signing.unwrap_or_else(|| VoteScheme::verifier(&self.namespace, participants));
        self.known().insert(epoch, Arc::new(scheme.clone()));
        scheme
    }

    /// Forgets the epochs below this one.
    pub(crate) fn forget_below(&self, epoch: Epoch) {
        self.known().retain(|known, _| *known >= epoch);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Epoch, Arc<VoteScheme>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for Schemes {
    type Scope = LibraryEpoch;
    type Scheme = VoteScheme;

    fn scoped(&self, scope: LibraryEpoch) -> Option<Scoped<VoteScheme>> {
        self.known().get(&Epoch(scope.get())).cloned().map(Scoped::scheme)
    }
}
