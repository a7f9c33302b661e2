//! Signatures: checked in batches on all cores, each once, and a type for what was checked.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cpc_primitives::codec::encode;
use cpc_primitives::signing::{Claim, verify_batch};
use cpc_primitives::tx::{Action, KeyUse, SignedTx};
use cpc_primitives::{Address, Domain, TxHash, TxId};
use rayon::prelude::*;

/// The most signatures of one batch.
///
/// On eight lanes a signature takes 3.5 us in batches of 100, 2.5 of 500, 2.3 of 1,000 and 2.3 of 2,000.
const BATCH_MAX: usize = 1_024;
/// Into how many batches a bad one is taken apart.
const PARTS: usize = 8;
/// So few signatures are checked one by one where their batch is bad.
const SINGLES_MAX: usize = 16;
/// The bytes at the end of a transaction that its id does not cover: the signature.
const SIGNATURE_BYTES: usize = 64;

/// A transaction whose signature was checked: the only thing that the rules take (SIG-5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedTx {
    tx: SignedTx,
    hash: TxHash,
    id: TxId,
    sender: Address,
    bytes: usize,
}

/// A transaction whose signature does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction {index} ({hash}): a signature that does not verify")]
pub struct Culprit {
    /// Its place among those that were checked together.
    pub index: usize,
    /// The hash of its whole signed bytes.
    pub hash: TxHash,
}

/// At least one of many transactions has a signature that does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} of {total} transactions with a signature that does not verify: {}", culprits.len(), list(culprits))]
pub struct BadSignatures {
    /// Every one of them.
    pub culprits: Vec<Culprit>,
    /// How many were checked together.
    pub total: usize,
}

/// Checks signatures on all cores, and remembers which were good (SIG-3, SIG-4).
pub struct Verifier {
    good: Mutex<Recent>,
}

impl VerifiedTx {
    /// The transaction.
    pub const fn tx(&self) -> &SignedTx {
        &self.tx
    }

    /// The transaction, given away.
    pub fn into_tx(self) -> SignedTx {
        self.tx
    }

    /// The hash of the whole signed bytes.
    pub const fn hash(&self) -> TxHash {
        self.hash
    }

    /// The id over body and sender.
    pub const fn id(&self) -> TxId {
        self.id
    }

    /// The sender's address.
    pub const fn sender(&self) -> Address {
        self.sender
    }

    /// How many bytes it has.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Encodes once, and finds everything that the rules will ask for.
    fn unchecked(tx: SignedTx) -> Self {
        let bytes = encode(&tx);
        let hash = TxHash(Domain::TxHash.hash_bytes(&bytes));
        // Body and sender are the bytes before the signature, and the id is their hash (TX-4).
        let signed = bytes.len().saturating_sub(SIGNATURE_BYTES);
        let id = TxId(Domain::TxId.hash_bytes(&bytes[..signed]));
        let sender = Address::of(&tx.sender);
        Self { hash, id, sender, bytes: bytes.len(), tx }
    }

    /// Everything that has to hold for its signatures to be true: the sender's, and those that its action carries
    /// (SIG-6).
    fn claims(&self, claims: &mut Vec<Claim>) {
        let Self { tx, id, sender, .. } = self;
        claims.push(Claim { key: tx.sender, message: id.0, signature: tx.signature });
        let chain = tx.body.chain;
        match &tx.body.action {
            Action::RegisterWorker(register) => claims.push(register.hot.claim(KeyUse::Worker, chain, sender)),
            Action::SubmitResult(submit) => claims.extend(submit.roots.iter().map(|root| root.claim(chain))),
            Action::AddVerdicts(add) => claims.extend(add.roots.iter().map(|root| root.claim(chain))),
            // The others carry none, or are not active.
            _ => {}
        }
    }
}

impl Verifier {
    /// A verifier that remembers about this many good signatures.
    pub fn new(cache_entries: usize) -> Self {
        Self { good: Mutex::new(Recent::new(cache_entries)) }
    }

    /// All of them, or every culprit by place and hash. What was good is remembered in both cases.
    pub fn verify(&self, txs: Vec<SignedTx>) -> Result<Vec<VerifiedTx>, BadSignatures> {
        let (txs, verdicts) = self.judge(txs);
        let bad = txs.iter().zip(&verdicts).enumerate().filter(|(_, (_, good))| !**good);
        let culprits: Vec<Culprit> = bad.map(|(index, (tx, _))| Culprit { index, hash: tx.hash }).collect();
        if culprits.is_empty() { Ok(txs) } else { Err(BadSignatures { culprits, total: txs.len() }) }
    }

    /// A verdict for each of them, in their order.
    pub fn verify_each(&self, txs: Vec<SignedTx>) -> Vec<Result<VerifiedTx, Culprit>> {
        let (txs, verdicts) = self.judge(txs);
        let judged = txs.into_iter().zip(verdicts).enumerate();
        judged.map(|(index, (tx, good))| if good { Ok(tx) } else { Err(Culprit { index, hash: tx.hash }) }).collect()
    }

    /// Which of them are good; only [`VerifiedTx`]s of those may leave.
    fn judge(&self, txs: Vec<SignedTx>) -> (Vec<VerifiedTx>, Vec<bool>) {
        let txs: Vec<VerifiedTx> = txs.into_par_iter().with_min_len(64).map(VerifiedTx::unchecked).collect();
        // SIG-4: the key is the hash of the whole signed bytes, so that no verdict serves another signature.
        let mut verdicts: Vec<bool> = {
            let good = self.good();
            txs.iter().map(|tx| good.contains(&tx.hash)).collect()
        };
        let open: Vec<&VerifiedTx> =
            txs.iter().zip(&verdicts).filter(|(_, known)| !**known).map(|(tx, _)| tx).collect();
        let judged = judge_open(&open);
        {
            let mut good = self.good();
            open.iter().zip(&judged).filter(|(_, verdict)| **verdict).for_each(|(tx, _)| good.insert(tx.hash));
        }
        let mut judged = judged.into_iter();
        for verdict in verdicts.iter_mut().filter(|known| !**known) {
            *verdict = judged.next().expect("one verdict for each that was open");
        }
        (txs, verdicts)
    }

    fn good(&self) -> MutexGuard<'_, Recent> {
        // A panic elsewhere cannot leave a wrong verdict behind: entries are only ever added whole.
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which signatures are good: batches on all cores, and their parts where a batch is bad (SIG-3).
fn judge_open(open: &[&VerifiedTx]) -> Vec<bool> {
    // Every core has as many batches as every other, all of one size: the last one to finish decides how long it takes.
    let each = open.len().div_ceil(rayon::current_num_threads());
    let batch = each.div_ceil(each.div_ceil(BATCH_MAX).max(1)).max(1);
    let verdicts = open.par_chunks(batch).flat_map_iter(|txs| {
        let (mut claims, mut ends) = (Vec::with_capacity(txs.len()), Vec::with_capacity(txs.len()));
        for tx in txs {
            tx.claims(&mut claims);
            ends.push(claims.len());
        }
        let mut verdicts = Vec::with_capacity(claims.len());
        // One transaction carries up to 256 signatures: what comes of a batch of transactions is cut again.
        claims.chunks(BATCH_MAX).for_each(|batch| judge(batch, &mut verdicts));
        // SIG-6: a transaction is as good as all its signatures.
        let mut start = 0;
        let good = |end: usize| verdicts[core::mem::replace(&mut start, end)..end].iter().all(|good| *good);
        ends.into_iter().map(good).collect::<Vec<bool>>()
    });
    verdicts.collect()
}

/// The verdicts of one batch. A bad signature is looked for in parts, so that it costs its batch little and not each
/// of its members a check of its own.
fn judge(claims: &[Claim], verdicts: &mut Vec<bool>) {
    if verify_batch(claims).is_ok() {
        verdicts.extend(claims.iter().map(|_| true));
    } else if claims.len() <= SINGLES_MAX {
        verdicts.extend(claims.iter().map(|claim| claim.verify().is_ok()));
    } else {
        claims.chunks(claims.len().div_ceil(PARTS)).for_each(|part| judge(part, verdicts));
    }
}

/// The hashes seen last: two generations of half the size, the older of which is forgotten as a whole.
struct Recent {
    generation_max: usize,
    young: BTreeSet<TxHash>,
    old: BTreeSet<TxHash>,
}

impl Recent {
    fn new(entries: usize) -> Self {
        Self { generation_max: entries.div_ceil(2), young: BTreeSet::new(), old: BTreeSet::new() }
    }

    fn contains(&self, hash: &TxHash) -> bool {
        self.young.contains(hash) || self.old.contains(hash)
    }

    fn insert(&mut self, hash: TxHash) {
        if self.generation_max == 0 {
            return;
        }
        if self.young.len() >= self.generation_max {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(hash);
    }
}

fn list(culprits: &[Culprit]) -> String {
    // A block can hold thousands of them; the first few say enough.
    const SHOWN: usize = 3;
    let mut shown: Vec<String> =
        culprits.iter().take(SHOWN).map(|culprit| format!("{} ({})", culprit.index, culprit.hash)).collect();
    if culprits.len() > SHOWN {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u8) -> TxHash {
        TxHash(Domain::TxHash.hash_bytes(&[n]))
    }

    #[test]
    fn the_memory_of_good_signatures_is_bounded_and_forgets_the_oldest() {
        let mut recent = Recent::new(8);
        for n in 0..100 {
            recent.insert(hash(n));
            assert!(recent.contains(&hash(n)));
            assert!(recent.young.len() + recent.old.len() <= 8);
        }
        // The last half is always remembered.
        assert!((96..100).all(|n| recent.contains(&hash(n))));
        assert!(!recent.contains(&hash(0)));
    }

    #[test]
    fn a_verifier_without_memory_remembers_nothing() {
        let mut recent = Recent::new(0);
        recent.insert(hash(1));
        assert!(!recent.contains(&hash(1)));
    }
}
