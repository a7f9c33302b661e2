//! BLAKE3 with a tag on every use: a digest always says what it is of.

use core::fmt;
use core::str::FromStr;

use wincode::{SchemaRead, SchemaWrite};

use crate::codec::{Encode, encode};

/// 32 bytes of BLAKE3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, SchemaRead, SchemaWrite)]
pub struct Digest(pub [u8; 32]);

/// Why a text is not hex of the right length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// Too short or too long.
    #[error("expected {expected} hex digits without 0x, found {found}")]
    Length {
        /// How many digits there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Not a hex digit.
    #[error("{found:?} is not a hex digit; hex is written without 0x, in small letters")]
    Digit {
        /// The first character that does not belong.
        found: char,
    },
}

/// What a digest is of. Adding a domain is free; changing one forks the chain (HASH-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Domain {
    /// A public key, for its address.
    Address,
    /// A transaction's body and sender: what its sender signs.
    TxId,
    /// A transaction's whole signed bytes.
    TxHash,
    /// A header.
    Header,
    /// A chain spec in canonical bytes.
    ChainSpec,
    /// A sender and a nonce.
    TaskId,
    /// A task's spec in canonical bytes.
    TaskSpec,
    /// A leaf of the tree over a block's transactions.
    TxLeaf,
    /// A leaf of the tree over a block's results.
    ResultLeaf,
    /// A leaf of the tree over a block's settlements.
    SettlementLeaf,
    /// A leaf of the tree over a task's job outputs.
    JobOutputLeaf,
    /// A leaf of the tree over one seat's verdicts.
    VerdictLeaf,
    /// An inner node of any tree over a list.
    MerkleNode,
    /// A tree's top with its count.
    MerkleRoot,
    /// Both roots and both counts of a block's compute results.
    ComputeRoot,
    /// What a seat signs for its verdicts.
    VerdictSign,
    /// A beacon, a task and a height, for the committee that they draw.
    CommitteeDraw,
    /// What a key signs to prove that its holder asked for its use.
    PossessionSign,
    /// What the treasury's keys sign.
    TreasurySign,
    /// An ordered set of seats.
    ValidatorSet,
    /// The sets of epochs 0 and 1.
    GenesisSets,
    /// What a verifier keeps of a network, to begin the next proof from.
    TrustAnchor,
    /// A state key, for its place in the tree.
    StateKey,
    /// A state value.
    StateValue,
    /// An entry of the state tree.
    StateLeaf,
    /// An inner node inside a bucket.
    StateBucketNode,
    /// An inner node above the buckets.
    StateDenseNode,
    /// One step of the randomness beacon.
    Beacon,
    /// One step of a hash chain.
    ChainStep,
    /// The seed of the weights of one batch of signatures.
    BatchWeights,
    /// A label, for the key that everybody knows: devnets and rehearsals only.
    PublicKnownSeed,
    /// Bytes that a task reads.
    Blob,
    /// The output of a job.
    JobOutput,
    /// What a kernel's random numbers are of, for their key.
    KernelKey,
    /// A seed and a row, for the entries of that row.
    SyntheticStream,
    /// A seat's secret and what it checks, for the seed of its sample.
    SampleSeed,
    /// The seed of a sample, for what is drawn from it.
    SampleStream,
    /// The seed of a sample, before it is revealed.
    SampleCommitment,
    /// Values under a sample that are not in the output.
    CheckDigest,
    /// What a worker signs to be known to a validator.
    WorkerHello,
    /// What an orchestrator signs for the jobs that it offers.
    JobOffer,
    /// What a worker signs for its commitments.
    JobCommit,
    /// What a worker signs for its results.
    JobOpening,
    /// An output's hash, its worker and a salt, before the output is shown.
    ResultCommitment,
    /// A worker's secret and a job, for the salt of its commitment.
    ResultSalt,
    /// A beacon, a validator and a worker, for the seed of a job that measures.
    ProbeSeed,
}

impl Domain {
    /// Every domain, for the tests that hold them apart.
    pub const ALL: [Self; 46] = [
        Self::Address,
        Self::TxId,
        Self::TxHash,
        Self::Header,
        Self::ChainSpec,
        Self::TaskId,
        Self::TaskSpec,
        Self::TxLeaf,
        Self::ResultLeaf,
        Self::SettlementLeaf,
        Self::JobOutputLeaf,
        Self::VerdictLeaf,
        Self::MerkleNode,
        Self::MerkleRoot,
        Self::ComputeRoot,
        Self::VerdictSign,
        Self::CommitteeDraw,
        Self::PossessionSign,
        Self::TreasurySign,
        Self::ValidatorSet,
        Self::GenesisSets,
        Self::TrustAnchor,
        Self::StateKey,
        Self::StateValue,
        Self::StateLeaf,
        Self::StateBucketNode,
        Self::StateDenseNode,
        Self::Beacon,
        Self::ChainStep,
        Self::BatchWeights,
        Self::PublicKnownSeed,
        Self::Blob,
        Self::JobOutput,
        Self::KernelKey,
        Self::SyntheticStream,
        Self::SampleSeed,
        Self::SampleStream,
        Self::SampleCommitment,
        Self::CheckDigest,
        Self::WorkerHello,
        Self::JobOffer,
        Self::JobCommit,
        Self::JobOpening,
        Self::ResultCommitment,
        Self::ResultSalt,
        Self::ProbeSeed,
    ];

    /// The tag: BLAKE3's key, so that two domains never share a digest (HASH-1).
    pub const fn tag(self) -> &'static [u8; 32] {
        match self {
            Self::Address => b"cpc.address.v1..................",
            Self::TxId => b"cpc.tx-id.v1....................",
            Self::TxHash => b"cpc.tx-hash.v1..................",
            Self::Header => b"cpc.header.v1...................",
            Self::ChainSpec => b"cpc.chain-spec.v1...............",
            Self::TaskId => b"cpc.task-id.v1..................",
            Self::TaskSpec => b"cpc.task-spec.v1................",
            Self::TxLeaf => b"cpc.tx-leaf.v1..................",
            Self::ResultLeaf => b"cpc.result-leaf.v1..............",
            Self::SettlementLeaf => b"cpc.settlement-leaf.v1..........",
            Self::JobOutputLeaf => b"cpc.job-output-leaf.v1..........",
            Self::VerdictLeaf => b"cpc.verdict-leaf.v1.............",
            Self::MerkleNode => b"cpc.merkle-node.v1..............",
            Self::MerkleRoot => b"cpc.merkle-root.v1..............",
            Self::ComputeRoot => b"cpc.compute-root.v1.............",
            Self::VerdictSign => b"cpc.verdict-sign.v1.............",
            Self::CommitteeDraw => b"cpc.committee-draw.v1...........",
            Self::PossessionSign => b"cpc.possession-sign.v1..........",
            Self::TreasurySign => b"cpc.treasury-sign.v1............",
            Self::ValidatorSet => b"cpc.validator-set.v1............",
            Self::GenesisSets => b"cpc.genesis-sets.v1.............",
            Self::TrustAnchor => b"cpc.trust-anchor.v1.............",
            Self::StateKey => b"cpc.state-key.v1................",
            Self::StateValue => b"cpc.state-value.v1..............",
            Self::StateLeaf => b"cpc.state-leaf.v1...............",
            Self::StateBucketNode => b"cpc.state-bucket-node.v1........",
            Self::StateDenseNode => b"cpc.state-dense-node.v1.........",
            Self::Beacon => b"cpc.beacon.v1...................",
            Self::ChainStep => b"cpc.chain-step.v1...............",
            Self::BatchWeights => b"cpc.batch-weights.v1............",
            Self::PublicKnownSeed => b"cpc.public-known-seed.v1........",
            Self::Blob => b"cpc.blob.v1.....................",
            Self::JobOutput => b"cpc.job-output.v1...............",
            Self::KernelKey => b"cpc.kernel-key.v1...............",
            Self::SyntheticStream => b"cpc.synthetic-stream.v1.........",
            Self::SampleSeed => b"cpc.sample-seed.v1..............",
            Self::SampleStream => b"cpc.sample-stream.v1............",
            Self::SampleCommitment => b"cpc.sample-commitment.v1........",
            Self::CheckDigest => b"cpc.check-digest.v1.............",
            Self::WorkerHello => b"cpc.worker-hello.v1.............",
            Self::JobOffer => b"cpc.job-offer.v1................",
            Self::JobCommit => b"cpc.job-commit.v1...............",
            Self::JobOpening => b"cpc.job-opening.v1..............",
            Self::ResultCommitment => b"cpc.result-commitment.v1........",
            Self::ResultSalt => b"cpc.result-salt.v1..............",
            Self::ProbeSeed => b"cpc.probe-seed.v1...............",
        }
    }

    /// The digest of bytes.
    pub fn hash_bytes(self, bytes: &[u8]) -> Digest {
        Digest(*blake3::keyed_hash(self.tag(), bytes).as_bytes())
    }

    /// The digest of a value's canonical bytes.
    pub fn hash<T: Encode>(self, value: &T) -> Digest {
        self.hash_bytes(&encode(value))
    }

    /// The digest of two digests side by side.
    pub fn hash_pair(self, left: &Digest, right: &Digest) -> Digest {
        let mut both = [0; 64];
        both[..32].copy_from_slice(&left.0);
        both[32..].copy_from_slice(&right.0);
        self.hash_bytes(&both)
    }

    /// A hasher for what comes in pieces.
    pub fn hasher(self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(self.tag())
    }
}

impl Digest {
    /// 32 zero bytes: what an empty slot holds.
    pub const ZERO: Self = Self([0; 32]);
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let mut bytes = [0; 32];
        unhex(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// The digits of hex.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Hex in small letters, without 0x.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(nibble)]));
        }
    }
    text
}

/// Reads hex in small letters, without 0x, of exactly the length of `out`.
pub fn unhex(text: &str, out: &mut [u8]) -> Result<(), HexError> {
    let expected = out.len().saturating_mul(2);
    // One pass: whole transactions come in hex, thousands a second. A wrong digit is named before a wrong length.
    let mut pairs = text.as_bytes().chunks_exact(2);
    let mut wrong = !pairs.remainder().is_empty() || text.len() != expected;
    for (byte, digits) in out.iter_mut().zip(pairs.by_ref()) {
        let (high, low) = (nibble(digits[0]), nibble(digits[1]));
        wrong |= (high | low) > 15;
        *byte = high << 4 | low & 15;
    }
    if !wrong {
        return Ok(());
    }
    Err(match text.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
        Some(found) => HexError::Digit { found },
        None => HexError::Length { expected, found: text.len() },
    })
}

/// The value of a digit of hex; more than 15 for anything else.
const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit & 15,
        b'a'..=b'f' => (digit & 15).wrapping_add(9),
        _ => u8::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_domain_hashes_the_same_bytes_differently() {
        let mut digests: Vec<Digest> = Domain::ALL.iter().map(|domain| domain.hash_bytes(b"same")).collect();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), Domain::ALL.len());
    }

    #[test]
    fn hex_is_small_and_bare() {
        let digest = Domain::TxId.hash_bytes(b"x");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("0x".parse::<Digest>(), Err(HexError::Digit { found: 'x' }));
        assert_eq!("ABCD".parse::<Digest>(), Err(HexError::Digit { found: 'A' }));
        assert_eq!("abcd".parse::<Digest>(), Err(HexError::Length { expected: 64, found: 4 }));
        let all: Vec<u8> = (0..=255).collect();
        let mut read = vec![0; 256];
        assert_eq!((unhex(&hex(&all), &mut read), read), (Ok(()), all));
        for digit in (0..=127).map(char::from) {
            let found = unhex(&format!("0{digit}"), &mut [0]).is_ok();
            assert_eq!(found, matches!(digit, '0'..='9' | 'a'..='f'), "{digit:?}");
        }
        assert_eq!(unhex("0\u{e9}", &mut [0]), Err(HexError::Digit { found: '\u{e9}' }));
        assert_eq!(unhex("012", &mut [0]), Err(HexError::Length { expected: 2, found: 3 }));
    }
}
