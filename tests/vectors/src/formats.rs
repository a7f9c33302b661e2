//! The table of all formats: how each is drawn, read, written and laid out.

use core::fmt::Debug;
use std::sync::LazyLock;

use cpc_ledger::{Cursor, Due, DuePage, DuePlace, Opened, Params, Rewards, Seats, Supply, Tally, Upgrade, Validator};
use cpc_light::limits::PROOF_FILE_BYTES_MAX;
use cpc_light::{
    EpochLink, FinalityProof, ProofFile, ResultProof, SettlementProof, Start, StateProof, Subject, Terminal, TrustPath,
};
use cpc_primitives::codec::{Decode, Encode, decode, encode};
use cpc_primitives::committee::{Committee, Member};
use cpc_primitives::limits::{BLOCK_BYTES_MAX, HEADER_BYTES_MAX, TX_BYTES_MAX};
use cpc_primitives::merkle::MerklePath;
use cpc_primitives::result::{
    Assurance, Attestation, BlobRef, Challenge as Kind, ComputeResult, ComputeRoots, Finding, Geometry, KernelId,
    Outcome, Settlement, SignedRoot, Subject as Ended, TaskOrder, Unfinished, Verdict,
};
use cpc_primitives::state::{Account, StateKey};
use cpc_primitives::task::{AcceptedJob, DecidedPage, Escrow, Terms, Worker};
use cpc_primitives::tx::{
    Action, Approval, ChainEnds, DisputeVote, KeyUse, NetAddress, ProvenKey, Registration, SignedTx, TxBody,
};
use cpc_primitives::{
    Address, Amount, Block, BlockId, Bps, ChainId, CodecError, Digest, Epoch, Gas, Header, Height, JobIndex, Nonce,
    PublicKey, Signature, TaskId, TimeMs, TxHash, TxId, Units, View,
};

use crate::draw::{ACTIONS, Draw, action};
use crate::shape::{self, Mark, Shape};

/// One format.
pub struct Format {
    /// The name of its type, or of the action.
    pub name: &'static str,
    /// How many bytes it may have.
    pub limit: usize,
    /// Its layout.
    pub shape: Shape,
    draw: fn(&mut Draw, usize) -> Vec<u8>,
    recode: fn(&[u8], usize) -> Result<Vec<u8>, CodecError>,
    kind: usize,
}

impl Format {
    /// The bytes of the next value, which were read back and were the same value.
    pub fn draw(&self, from: &mut Draw) -> Vec<u8> {
        (self.draw)(from, self.kind)
    }

    /// The bytes of a value that is small, and shows as many kinds of places as a small one can.
    pub fn sample(&self) -> Vec<u8> {
        let mut from = Draw::new("sample");
        let small = (0..400).map(|_| self.draw(&mut from)).filter(|bytes| bytes.len() < 1200);
        let best = small.max_by_key(|bytes| {
            let (marks, _) = self.shape.read(bytes).expect("a value");
            let mut kinds: Vec<Mark> = marks.into_iter().map(|(_, mark)| mark).collect();
            kinds.sort_unstable();
            kinds.dedup();
            (kinds.len(), usize::MAX - bytes.len())
        });
        best.expect("there is a small value")
    }

    /// Reads bytes within the format's limit, and writes what was read.
    pub fn recode(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        self.recode_within(bytes, self.limit)
    }

    /// Reads bytes within another limit, and writes what was read.
    pub fn recode_within(&self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
        (self.recode)(bytes, limit)
    }
}

/// Every format, each under a name of its own; the kinds of actions come last, in the order of their wire numbers.
pub fn all() -> &'static [Format] {
    static TABLE: LazyLock<Vec<Format>> = LazyLock::new(table);
    &TABLE
}

fn table() -> Vec<Format> {
    macro_rules! of {
        ($($type:ident: $shape:expr;)*) => { vec![$(Format {
            name: stringify!($type),
            limit: limit_of(stringify!($type)),
            shape: $shape,
            draw: |from, _| written(&from.value::<$type>()),
            recode: recode::<$type>,
            kind: 0,
        }),*] };
    }
    let mut formats = of! {
        Amount: shape::U128;
        Bps: Shape::Share;
        Height: shape::U64;
        Epoch: shape::U64;
        View: shape::U64;
        Nonce: shape::U64;
        Gas: shape::U64;
        TimeMs: shape::U64;
        ChainId: shape::U64;
        JobIndex: shape::U32;
        Units: shape::U128;
        Digest: shape::DIGEST;
        BlockId: shape::DIGEST;
        TxId: shape::DIGEST;
        TxHash: shape::DIGEST;
        TaskId: shape::DIGEST;
        Address: shape::ADDRESS;
        PublicKey: Shape::Key;
        Signature: shape::SIGNATURE;
        Kind: shape::bare(5);
        KernelId: shape::kernel();
        Assurance: shape::assurance();
        BlobRef: shape::blob();
        TaskOrder: shape::task_order();
        Geometry: shape::geometry();
        ComputeResult: shape::compute_result();
        Finding: shape::bare(3);
        Verdict: shape::verdict();
        SignedRoot: shape::signed_root();
        Attestation: shape::attestation();
        Outcome: shape::bare(7);
        Unfinished: shape::unfinished();
        Ended: shape::ended();
        Settlement: shape::settlement();
        ComputeRoots: shape::compute_roots();
        MerklePath: shape::merkle_path();
        KeyUse: shape::bare(4);
        ProvenKey: shape::proven_key();
        ChainEnds: shape::chain_ends();
        NetAddress: shape::net_address();
        Registration: shape::registration();
        DisputeVote: shape::dispute_vote();
        Approval: shape::approval();
        Action: shape::action();
        TxBody: shape::tx_body();
        SignedTx: shape::signed_tx();
        Header: shape::header();
        Block: shape::block();
        StateKey: shape::state_key();
        Account: shape::parts([shape::U128, shape::U64]);
        Upgrade: shape::upgrade();
        Params: shape::params();
        Validator: shape::validator();
        Seats: shape::seats();
        Supply: shape::supply();
        Rewards: shape::U128;
        Opened: shape::parts([shape::U64, shape::U32, shape::DIGEST]);
        Worker: shape::worker();
        Terms: shape::terms();
        Escrow: shape::escrow();
        Committee: shape::committee();
        Member: shape::member();
        AcceptedJob: shape::accepted_job();
        DecidedPage: shape::decided_page();
        Tally: shape::tally();
        Cursor: shape::cursor();
        Due: shape::due();
        DuePlace: shape::parts([shape::U32, shape::U32]);
        DuePage: shape::due_page();
        Terminal: shape::terminal();
        StateProof: shape::state_proof();
        ResultProof: shape::result_proof();
        SettlementProof: shape::settlement_proof();
        Subject: shape::subject();
        Start: shape::start();
        EpochLink: shape::epoch_link();
        TrustPath: shape::trust_path();
        FinalityProof: shape::finality_proof();
        ProofFile: shape::proof_file();
    };
    formats.extend(actions());
    formats
}

/// One format for each kind of action.
fn actions() -> impl Iterator<Item = Format> {
    (0..ACTIONS).map(|kind| Format {
        name: action(&mut Draw::new("name"), kind).name(),
        limit: TX_BYTES_MAX,
        // The layout of any action, because bytes may be bent into another kind.
        shape: shape::action(),
        draw: |from, kind| written(&from.with_room(|from| action(from, kind))),
        recode: recode::<Action>,
        kind,
    })
}

fn limit_of(name: &str) -> usize {
    match name {
        "Header" => HEADER_BYTES_MAX,
        "Block" => BLOCK_BYTES_MAX,
        // PROOF-12: the parts of a proof file.
        "TrustPath" | "FinalityProof" | "ProofFile" => PROOF_FILE_BYTES_MAX,
        _ => TX_BYTES_MAX,
    }
}

/// The bytes of a value; reading them gives the value again (COD-1).
fn written<T: Encode + Decode + PartialEq + Debug>(value: &T) -> Vec<u8> {
    let bytes = encode(value);
    assert_eq!(decode(&bytes, bytes.len()).as_ref(), Ok(value));
    bytes
}

fn recode<T: Encode + Decode>(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    decode::<T>(bytes, limit).map(|value| encode(&value))
}
