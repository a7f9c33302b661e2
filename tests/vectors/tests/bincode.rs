//! Our bytes are those of bincode 1.3 with fixed-width little-endian integers: an independent implementation of the
//! layout reads every value that we write, sees the same fields, and writes the same bytes.
//!
//! The types below are the formats described a third time, with derives of another library. Their names and fields are
//! those of the originals, so that what either prints for people must be equal too.

use core::fmt;

use bincode::{deserialize, serialize};
use cpc_primitives::codec::encode;
use cpc_primitives::hash::hex;
use cpc_vectors::draw::{Draw, Drawn};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

mod mirror {
    use super::*;

    macro_rules! formats {
        ($(struct $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
            #[derive(Serialize, Deserialize, Debug)]
            pub(super) struct $name { $($field: $type),* }
        )*};
    }

    macro_rules! numbers {
        ($($name:ident($type:ty))*) => {$(
            #[derive(Serialize, Deserialize, Debug)]
            pub(super) struct $name($type);
        )*};
    }

    macro_rules! identities {
        ($($name:ident)*) => {$(
            #[derive(Serialize, Deserialize)]
            pub(super) struct $name(Digest);
            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!(stringify!($name), "({:?})"), self.0)
                }
            }
        )*};
    }

    macro_rules! bytes {
        ($($name:ident)*) => {$(
            #[derive(Serialize, Deserialize)]
            pub(super) struct $name([u8; 32]);
            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&hex(&self.0))
                }
            }
        )*};
    }

    numbers! {
        Height(u64) Epoch(u64) View(u64) Nonce(u64) Gas(u64) TimeMs(u64) ChainId(u64) JobIndex(u32) Units(u128)
        Bps(u16)
    }
    bytes! { Digest PublicKey }
    identities! { BlockId TaskId }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Amount(u128);

    impl fmt::Debug for Amount {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let digits = format!("{:019}", self.0);
            let (whole, part) = digits.split_at(digits.len() - 18);
            let text = format!("{whole}.{part}");
            write!(f, "{} CPC", text.trim_end_matches('0').trim_end_matches('.'))
        }
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Address([u8; 20]);

    impl fmt::Debug for Address {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", cpc_primitives::Address(self.0))
        }
    }

    /// The derives of serde stop at 32 elements; two halves have the same bytes.
    #[derive(Serialize, Deserialize)]
    pub(super) struct Signature([u8; 32], [u8; 32]);

    impl fmt::Debug for Signature {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}{}", hex(&self.0), hex(&self.1))
        }
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct StateKey(Vec<u8>);

    impl fmt::Debug for StateKey {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "StateKey({})", hex(&self.0))
        }
    }

    #[derive(Serialize, Deserialize, Debug)]
    pub(super) struct Bounded<T>(Vec<T>);

    #[derive(Serialize, Deserialize, Debug)]
    #[serde(rename = "Challenge")]
    pub(super) enum Kind {
        Synthetic,
        Rendering,
        Inference,
        Training,
        Function,
    }

    #[derive(Serialize, Deserialize, Debug)]
    pub(super) enum Assurance {
        Spot,
        Full,
        Quorum { workers: u8 },
    }

    #[derive(Serialize, Deserialize, Debug)]
    pub(super) enum Finding {
        Accept,
        BadSpec,
        InputUnavailable,
    }

    #[derive(Serialize, Deserialize, Debug)]
    pub(super) enum Subject {
        Job(ComputeResult),
        Rest(Unfinished),
    }

    #[derive(Serialize, Deserialize, Debug)]
    pub(super) enum Outcome {
        Settled,
        DeadlinePassed,
        Cancelled,
        BadSpec,
        InputUnavailable,
        Slashed,
        Unverifiable,
    }

    #[derive(Serialize, Deserialize, Debug)]
    pub(super) enum KeyUse {
        Consensus,
        Verdict,
        Network,
        Worker,
    }

    #[derive(Serialize, Deserialize, Debug)]
    pub(super) enum DisputeVote {
        Value(Digest),
        Unverifiable,
    }

    #[derive(Serialize, Deserialize, Debug)]
    pub(super) enum Action {
        Transfer(Transfer),
        Stake(Stake),
        Unstake(Unstake),
        Delegate(Delegate),
        Undelegate(Delegate),
        UpdateValidator(UpdateValidator),
        Unjail(Unjail),
        RegisterWorker(RegisterWorker),
        RetireWorker(RetireWorker),
        OpenTask(TaskOrder),
        CancelTask(CancelTask),
        SubmitResult(SubmitResult),
        AddVerdicts(AddVerdicts),
        Challenge(Challenge),
        DisputeCommit(DisputeCommit),
        DisputeOpen(DisputeOpen),
        RevealSecret(RevealSecret),
        Evidence(Evidence),
        TreasurySpend(TreasurySpend),
    }

    formats! {
        struct TxBody { chain: ChainId, nonce: Nonce, gas_price: Amount, gas_limit: Gas, action: Action }
        struct SignedTx { body: TxBody, sender: PublicKey, signature: Signature }
        struct Transfer { to: Address, amount: Amount }
        struct Stake { amount: Amount, registration: Option<Registration> }
        struct Registration {
            consensus: ProvenKey, verdict: ProvenKey, network: ProvenKey,
            consensus_addresses: Bounded<Bounded<u8>>, network_addresses: Bounded<Bounded<u8>>,
            chains: ChainEnds, kernels: Bounded<KernelId>, commission: Bps,
        }
        struct ChainEnds { beacon: Digest, secrets: Digest }
        struct ProvenKey { key: PublicKey, proof: Signature }
        struct Unstake { amount: Amount }
        struct Delegate { validator: Address, amount: Amount }
        struct UpdateValidator {
            consensus: Option<ProvenKey>, verdict: Option<ProvenKey>, network: Option<ProvenKey>,
            consensus_addresses: Option<Bounded<Bounded<u8>>>, network_addresses: Option<Bounded<Bounded<u8>>>,
            chains: Option<ChainEnds>, kernels: Option<Bounded<KernelId>>, commission: Option<Bps>,
        }
        struct Unjail {}
        struct RegisterWorker { bond: Amount, hot: ProvenKey, payout: Address }
        struct RetireWorker {}
        struct CancelTask { task: TaskId }
        struct SubmitResult { roots: Bounded<SignedRoot>, entries: Bounded<ResultEntry> }
        struct ResultEntry { result: ComputeResult, finding: Finding, attestations: Bounded<Attestation> }
        struct AddVerdicts { roots: Bounded<SignedRoot>, entries: Bounded<AddedVerdicts> }
        struct AddedVerdicts { task: TaskId, job: JobIndex, attestations: Bounded<Attestation> }
        struct Challenge { task: TaskId, job: JobIndex, unit: u64, claimed: Digest, bond: Amount }
        struct DisputeCommit { task: TaskId, job: JobIndex, commitment: Digest }
        struct DisputeOpen { task: TaskId, job: JobIndex, vote: DisputeVote, salt: Digest }
        struct RevealSecret { epoch: Epoch, secret: Digest }
        struct Evidence { epoch: Epoch, proof: Bounded<u8> }
        struct TreasurySpend { to: Address, amount: Amount, sequence: u64, approvals: Bounded<Approval> }
        struct Approval { key: u8, signature: Signature }
        struct Header {
            version: u32, chain: ChainId, height: Height, epoch: Epoch, view: View, parent_view: View,
            parent: BlockId, time: TimeMs, proposer: PublicKey, beacon: Digest, tx_root: Digest,
            state_root: Digest, compute_root: Digest, gas_used: Gas, next_validators: Digest,
        }
        struct Block { header: Header, txs: Bounded<SignedTx> }
        struct KernelId { challenge: Kind, version: u16 }
        struct BlobRef { hash: Digest, bytes: u64 }
        struct TaskOrder {
            kernel: KernelId, spec: Bounded<u8>, inputs: Bounded<BlobRef>, units: Units, jobs: u32,
            reward: Amount, deadline: TimeMs, lease_blocks: u32, assurance: Assurance,
        }
        struct Geometry { origin: [u32; 3], extent: [u32; 3] }
        struct ComputeResult {
            task: TaskId, job: JobIndex, kernel: KernelId, spec: Digest, geometry: Geometry, units: Units,
            worker: Address, output: Digest, output_bytes: u64,
        }
        struct Verdict { result: ComputeResult, finding: Finding, seat: u16, sample: Digest, digest: Digest }
        struct SignedRoot { drawn: Height, seat: u16, key: PublicKey, root: Digest, signature: Signature }
        struct Attestation { signed_root: u16, sample: Digest, digest: Digest, path: MerklePath }
        struct Unfinished { task: TaskId, kernel: KernelId, spec: Digest, jobs: u32 }
        struct Settlement {
            subject: Subject, outcome: Outcome, burn: Amount, worker: Amount, validators: Amount,
            treasury: Amount, refund: Amount,
        }
        struct ComputeRoots {
            results: Digest, settlements: Digest, result_count: u32, settlement_count: u32,
        }
        struct MerklePath { index: u32, count: u32, siblings: Bounded<Digest> }
        struct Account { balance: Amount, nonce: Nonce }
    }
}

/// Writes drawn values with our codec, reads them with bincode as the mirror, and demands equality twice: of what is
/// printed, and of what bincode writes again.
#[track_caller]
fn same<T, M>(cases: usize)
where
    T: Drawn + cpc_primitives::codec::Encode + fmt::Debug,
    M: Serialize + DeserializeOwned + fmt::Debug,
{
    let mut from = Draw::new("bincode");
    for _ in 0..cases {
        let value: T = from.value();
        let ours = encode(&value);
        let mirror: M = deserialize(&ours).expect("bincode reads what we write");
        assert_eq!(format!("{mirror:?}"), format!("{value:?}"));
        assert_eq!(serialize(&mirror).expect("bincode writes"), ours, "{value:?}");
    }
}

// VEC-7, COD-1: the bytes are bincode's.
#[test]
fn building_blocks_have_the_bytes_of_bincode() {
    use cpc_primitives as ours;
    same::<u8, u8>(256);
    same::<u16, u16>(256);
    same::<u32, u32>(256);
    same::<u64, u64>(256);
    same::<u128, u128>(256);
    same::<Option<u128>, Option<u128>>(256);
    same::<ours::Amount, mirror::Amount>(256);
    same::<ours::Bps, mirror::Bps>(256);
    same::<ours::Height, mirror::Height>(256);
    same::<ours::JobIndex, mirror::JobIndex>(256);
    same::<ours::Units, mirror::Units>(256);
    same::<ours::Digest, mirror::Digest>(256);
    same::<ours::BlockId, mirror::BlockId>(256);
    same::<ours::Address, mirror::Address>(256);
    same::<ours::PublicKey, mirror::PublicKey>(256);
    same::<ours::Signature, mirror::Signature>(256);
    same::<ours::Bounded<u64, 300>, mirror::Bounded<u64>>(256);
    same::<ours::Bounded<Option<u8>, 300>, mirror::Bounded<Option<u8>>>(256);
    same::<ours::state::StateKey, mirror::StateKey>(256);
    same::<ours::state::Account, mirror::Account>(256);
    same::<ours::tx::KeyUse, mirror::KeyUse>(64);
    same::<ours::result::Outcome, mirror::Outcome>(64);
    same::<ours::result::Assurance, mirror::Assurance>(256);
    same::<ours::tx::DisputeVote, mirror::DisputeVote>(256);
}

#[test]
fn results_and_proofs_have_the_bytes_of_bincode() {
    use cpc_primitives::{merkle, result as ours};
    same::<ours::TaskOrder, mirror::TaskOrder>(512);
    same::<ours::Subject, mirror::Subject>(512);
    same::<ours::ComputeResult, mirror::ComputeResult>(512);
    same::<ours::Verdict, mirror::Verdict>(512);
    same::<ours::SignedRoot, mirror::SignedRoot>(512);
    same::<ours::Attestation, mirror::Attestation>(512);
    same::<ours::Settlement, mirror::Settlement>(512);
    same::<ours::ComputeRoots, mirror::ComputeRoots>(512);
    same::<merkle::MerklePath, mirror::MerklePath>(512);
}

#[test]
fn transactions_and_blocks_have_the_bytes_of_bincode() {
    use cpc_primitives as ours;
    same::<ours::tx::Registration, mirror::Registration>(512);
    same::<ours::tx::UpdateValidator, mirror::UpdateValidator>(512);
    same::<ours::tx::Action, mirror::Action>(2048);
    same::<ours::tx::SignedTx, mirror::SignedTx>(2048);
    same::<ours::Header, mirror::Header>(512);
    same::<ours::Block, mirror::Block>(512);
}
