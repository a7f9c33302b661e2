//! Transactions: every format, and what each costs before anything is known of the state.
//!
//! All formats are here from the start, so that bytes once signed keep their meaning. Which of them a block may carry
//! is the ledger's answer (TX-9).

use core::fmt;

use wincode::{SchemaRead, SchemaWrite};

use crate::amount::{Amount, Bps};
use crate::codec::{Bounded, CodecError, decode, encode};
use crate::hash::{Digest, Domain};
use crate::ids::{Address, ChainId, Epoch, Gas, JobIndex, Nonce, TaskId, TxHash, TxId};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::limits::{
    COMMITTEE_MAX, EVIDENCE_BYTES_MAX, KERNELS_MAX, NET_ADDRESS_BYTES_MAX, NET_ADDRESSES_MAX, RESULTS_PER_TX_MAX,
    TREASURY_KEYS_MAX, TX_BYTES_MAX, VERDICT_ROOTS_PER_TX_MAX,
};
use crate::result::{Attestation, ComputeResult, Finding, KernelId, SignedRoot, TaskOrder};
use crate::signing::Claim;

/// What an account asks of the chain, and what it offers for it (TX-1).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct TxBody {
    /// The network this is for; on another one it means nothing.
    pub chain: ChainId,
    /// The sender's transactions so far.
    pub nonce: Nonce,
    /// What the sender pays for one gas.
    pub gas_price: Amount,
    /// The most gas that the sender pays for.
    pub gas_limit: Gas,
    /// What is asked.
    pub action: Action,
}

/// A body with its sender and the sender's signature (TX-2).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct SignedTx {
    /// What is asked.
    pub body: TxBody,
    /// Who asks.
    pub sender: PublicKey,
    /// The sender's signature over the transaction's id.
    pub signature: Signature,
}

/// What can be asked of the chain. The wire number is the place in this list, and never changes (TX-3).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum Action {
    /// Moves money to an address.
    Transfer(Transfer),
    /// Locks money to stand for a seat, or adds to what is locked.
    Stake(Stake),
    /// Takes stake back, after the unbonding time.
    Unstake(Unstake),
    /// Adds money to a validator's stake.
    Delegate(Delegate),
    /// Takes delegated money back, after the unbonding time.
    Undelegate(Delegate),
    /// Changes what a validator declares.
    UpdateValidator(UpdateValidator),
    /// Asks for a seat again after a jail.
    Unjail(Unjail),
    /// Locks a bond to compute for money.
    RegisterWorker(RegisterWorker),
    /// Takes the bond back when nothing depends on it.
    RetireWorker(RetireWorker),
    /// Orders and pays a computation.
    OpenTask(TaskOrder),
    /// Calls off the jobs that nobody has computed.
    CancelTask(CancelTask),
    /// Brings results with a quorum's verdicts.
    SubmitResult(SubmitResult),
    /// Brings further verdicts on accepted results.
    AddVerdicts(AddVerdicts),
    /// Says that a result is wrong, with a bond.
    Challenge(Challenge),
    /// Commits a seat to its vote in a dispute.
    DisputeCommit(DisputeCommit),
    /// Opens a seat's vote in a dispute.
    DisputeOpen(DisputeOpen),
    /// Reveals a seat's secret of an epoch.
    RevealSecret(RevealSecret),
    /// Proves that a key voted twice.
    Evidence(Evidence),
    /// Spends from the treasury.
    TreasurySpend(TreasurySpend),
}

/// Moves money.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Transfer {
    /// To whom.
    pub to: Address,
    /// How much.
    pub amount: Amount,
}

/// Locks money to stand for a seat.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Stake {
    /// How much is locked.
    pub amount: Amount,
    /// Who stands: given the first time, absent when an existing stake is raised.
    pub registration: Option<Registration>,
}

/// A network address in text: `ip:port` on the validator plane, a multiaddress on libp2p.
pub type NetAddress = Bounded<u8, NET_ADDRESS_BYTES_MAX>;

/// Everything a validator declares of itself (VAL-1).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Registration {
    /// The key that signs blocks, proven.
    pub consensus: ProvenKey,
    /// The key that signs verdicts, proven.
    pub verdict: ProvenKey,
    /// The key of the libp2p identity, proven.
    pub network: ProvenKey,
    /// Where peers of the validator plane find it.
    pub consensus_addresses: Bounded<NetAddress, NET_ADDRESSES_MAX>,
    /// Where everybody else finds it.
    pub network_addresses: Bounded<NetAddress, NET_ADDRESSES_MAX>,
    /// The ends of both hash chains.
    pub chains: ChainEnds,
    /// What it can check.
    pub kernels: Bounded<KernelId, KERNELS_MAX>,
    /// Its share of what its delegators earn.
    pub commission: Bps,
}

/// The ends of a validator's hash chains (VAL-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct ChainEnds {
    /// The chain that feeds the beacon, one element a view.
    pub beacon: Digest,
    /// The chain of the epochs' secrets, one element an epoch.
    pub secrets: Digest,
}

/// A key and the proof that its holder wants it used so (VAL-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct ProvenKey {
    /// The key.
    pub key: PublicKey,
    /// Its signature over its use and the account that registers it.
    pub proof: Signature,
}

/// What a key is for: bound by its proof of possession, so that one key's proof serves no other use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum KeyUse {
    /// Signs blocks.
    Consensus,
    /// Signs verdicts.
    Verdict,
    /// Identifies a libp2p peer.
    Network,
    /// Signs job results.
    Worker,
}

impl ProvenKey {
    /// Proves a key for an account on a chain.
    pub fn prove(key: &SecretKey, role: KeyUse, chain: ChainId, account: &Address) -> Self {
        Self { key: key.public(), proof: key.sign_digest(&Self::message(&key.public(), role, chain, account)) }
    }

    /// What has to hold for the proof to be true.
    pub fn claim(&self, role: KeyUse, chain: ChainId, account: &Address) -> Claim {
        Claim { key: self.key, message: Self::message(&self.key, role, chain, account), signature: self.proof }
    }

    fn message(key: &PublicKey, role: KeyUse, chain: ChainId, account: &Address) -> Digest {
        Domain::PossessionSign.hash(&(role, chain, *account, *key))
    }
}

/// Takes stake back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Unstake {
    /// How much.
    pub amount: Amount,
}

/// Moves money to or from a validator's stake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Delegate {
    /// The validator's account.
    pub validator: Address,
    /// How much.
    pub amount: Amount,
}

/// Changes what a validator declares; what is absent stays.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct UpdateValidator {
    /// A new key for blocks, from two epochs on.
    pub consensus: Option<ProvenKey>,
    /// A new key for verdicts.
    pub verdict: Option<ProvenKey>,
    /// A new libp2p identity.
    pub network: Option<ProvenKey>,
    /// New addresses on the validator plane.
    pub consensus_addresses: Option<Bounded<NetAddress, NET_ADDRESSES_MAX>>,
    /// New addresses on libp2p.
    pub network_addresses: Option<Bounded<NetAddress, NET_ADDRESSES_MAX>>,
    /// New hash chains.
    pub chains: Option<ChainEnds>,
    /// What it can check from now on.
    pub kernels: Option<Bounded<KernelId, KERNELS_MAX>>,
    /// A new commission.
    pub commission: Option<Bps>,
}

/// Asks for a seat again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Unjail {}

/// Locks a bond to compute for money.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct RegisterWorker {
    /// How much is locked.
    pub bond: Amount,
    /// The key that signs job results, proven.
    pub hot: ProvenKey,
    /// Where earnings go.
    pub payout: Address,
}

/// Takes a worker's bond back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct RetireWorker {}

/// Calls off a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct CancelTask {
    /// Which one.
    pub task: TaskId,
}

/// Results with their verdicts (RES-4).
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct SubmitResult {
    /// The seats' signatures that the entries refer to.
    pub roots: Bounded<SignedRoot, VERDICT_ROOTS_PER_TX_MAX>,
    /// The decided jobs.
    pub entries: Bounded<ResultEntry, RESULTS_PER_TX_MAX>,
}

/// One decided job: what the quorum agrees on once, then what each seat adds.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct ResultEntry {
    /// What was computed.
    pub result: ComputeResult,
    /// What the quorum found.
    pub finding: Finding,
    /// The seats' own parts.
    pub attestations: Bounded<Attestation, COMMITTEE_MAX>,
}

/// Further verdicts on accepted results.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct AddVerdicts {
    /// The seats' signatures that the entries refer to.
    pub roots: Bounded<SignedRoot, VERDICT_ROOTS_PER_TX_MAX>,
    /// The jobs.
    pub entries: Bounded<AddedVerdicts, RESULTS_PER_TX_MAX>,
}

/// Further verdicts on one job.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct AddedVerdicts {
    /// Whose task.
    pub task: TaskId,
    /// Which job.
    pub job: JobIndex,
    /// The seats' own parts.
    pub attestations: Bounded<Attestation, COMMITTEE_MAX>,
}

/// Names the one unit of a result that is wrong (DIS-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Challenge {
    /// Whose task.
    pub task: TaskId,
    /// Which job.
    pub job: JobIndex,
    /// Which disputable unit of the job.
    pub unit: u64,
    /// The hash of the value that the unit should have.
    pub claimed: Digest,
    /// What the challenger stands to lose.
    pub bond: Amount,
}

/// Commits a seat to its vote (DIS-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct DisputeCommit {
    /// Whose task.
    pub task: TaskId,
    /// Which job.
    pub job: JobIndex,
    /// The hash of voter, salt and recomputed unit.
    pub commitment: Digest,
}

/// Opens a seat's vote (DIS-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct DisputeOpen {
    /// Whose task.
    pub task: TaskId,
    /// Which job.
    pub job: JobIndex,
    /// What the seat recomputed.
    pub vote: DisputeVote,
    /// What hid the vote until now.
    pub salt: Digest,
}

/// What a seat says about a disputed unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub enum DisputeVote {
    /// The hash of the unit's value.
    Value(Digest),
    /// This host cannot recompute it.
    Unverifiable,
}

/// Reveals a secret of an epoch that has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct RevealSecret {
    /// Which epoch.
    pub epoch: Epoch,
    /// The element of the seat's chain.
    pub secret: Digest,
}

/// Two votes of one key that exclude each other, in the form that `cpc-light` reads.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Evidence {
    /// In whose set the key sits.
    pub epoch: Epoch,
    /// The votes.
    pub proof: Bounded<u8, EVIDENCE_BYTES_MAX>,
}

/// Spends from the treasury, with the consent of enough of its keys.
#[derive(Clone, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct TreasurySpend {
    /// To whom.
    pub to: Address,
    /// How much.
    pub amount: Amount,
    /// How many spends there were before: no consent serves twice.
    pub sequence: u64,
    /// The keys that consent.
    pub approvals: Bounded<Approval, TREASURY_KEYS_MAX>,
}

/// One treasury key's consent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, SchemaRead, SchemaWrite)]
pub struct Approval {
    /// Which of the keys that the genesis names.
    pub key: u8,
    /// Its signature over chain, sequence, receiver and amount.
    pub signature: Signature,
}

impl TreasurySpend {
    /// What the treasury's keys sign (TX-8).
    pub fn message(&self, chain: ChainId) -> Digest {
        Domain::TreasurySign.hash(&(chain, self.sequence, self.to, self.amount))
    }
}

impl Action {
    /// The name people and rejections use.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Transfer(_) => "TRANSFER",
            Self::Stake(_) => "STAKE",
            Self::Unstake(_) => "UNSTAKE",
            Self::Delegate(_) => "DELEGATE",
            Self::Undelegate(_) => "UNDELEGATE",
            Self::UpdateValidator(_) => "UPDATE_VALIDATOR",
            Self::Unjail(_) => "UNJAIL",
            Self::RegisterWorker(_) => "REGISTER_WORKER",
            Self::RetireWorker(_) => "RETIRE_WORKER",
            Self::OpenTask(_) => "OPEN_TASK",
            Self::CancelTask(_) => "CANCEL_TASK",
            Self::SubmitResult(_) => "SUBMIT_RESULT",
            Self::AddVerdicts(_) => "ADD_VERDICTS",
            Self::Challenge(_) => "CHALLENGE",
            Self::DisputeCommit(_) => "DISPUTE_COMMIT",
            Self::DisputeOpen(_) => "DISPUTE_OPEN",
            Self::RevealSecret(_) => "REVEAL_SECRET",
            Self::Evidence(_) => "EVIDENCE",
            Self::TreasurySpend(_) => "TREASURY_SPEND",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TxBody {
    /// The id of this body from this sender: what is signed (TX-4).
    pub fn id(&self, sender: &PublicKey) -> TxId {
        let mut hasher = Domain::TxId.hasher();
        hasher.update(&encode(self)).update(sender.bytes());
        TxId(hasher.finalize().into())
    }

    /// Signs this body.
    pub fn sign(self, key: &SecretKey) -> SignedTx {
        let sender = key.public();
        let signature = key.sign_digest(&self.id(&sender).0);
        SignedTx { body: self, sender, signature }
    }
}

impl SignedTx {
    /// Reads a transaction of at most [`TX_BYTES_MAX`] bytes (TX-7).
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, TX_BYTES_MAX)
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The id over body and sender (TX-4).
    pub fn id(&self) -> TxId {
        self.body.id(&self.sender)
    }

    /// The hash of the whole signed bytes (TX-5).
    pub fn hash(&self) -> TxHash {
        TxHash(Domain::TxHash.hash_bytes(&encode(self)))
    }

    /// Who sends this.
    pub fn sender_address(&self) -> Address {
        Address::of(&self.sender)
    }

    /// What has to hold for the signature to be true (TX-6).
    pub fn claim(&self) -> Claim {
        Claim { key: self.sender, message: self.id().0, signature: self.signature }
    }
}
