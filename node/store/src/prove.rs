//! Proofs of what the state says of a key, for whoever holds only a header.

use cpc_light::{BucketSiblings, DenseSiblings, StateProof, Terminal};
use cpc_primitives::codec::Bounded;
use cpc_primitives::limits::BUCKET_BITS;
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::{KeyHash, Part, Side, empty_roots, value_hash};
use cpc_primitives::{Digest, Fault};

use crate::error::StoreError;
use crate::page::{Body, Entry, Inner, Page, PageId, fold, split};
use crate::store::{Store, fault_of};
use crate::tree::{Lineage, Tip, Tree};

/// What there is at the end of a key's way through its bucket.
enum End {
    Nothing,
    Entry(Entry),
}

/// Where the way goes on below an inner page.
enum Below {
    Nothing,
    /// In the page at this nibble, of which the part is known.
    Page(u8, Part),
}

impl Store {
    /// Proves presence or absence of a key in the state after the last final block, which comes with it (TRE-7).
    pub fn prove(&self, key: &StateKey) -> Result<(Tip, StateProof), StoreError> {
        loop {
            let (tip, lineage) = {
                let live = self.tree().live();
                (live.tip.clone().ok_or(StoreError::Empty)?, live.base())
            };
            match prove(self.tree(), &lineage, key) {
                // A commit came between the looks: the proof is made again, against the new tip.
                Err(StoreError::Stale) => {}
                proof => return Ok((tip, proof.map_err(fault_of)?)),
            }
        }
    }
}

fn prove(tree: &Tree, lineage: &Lineage, key: &StateKey) -> Result<StateProof, StoreError> {
    let hash = KeyHash::of(key);
    let (end, mut siblings) = walk(tree, lineage, &hash)?;
    // The proof is read from the terminal upwards.
    siblings.reverse();
    let terminal = match end {
        End::Nothing => Terminal::EmptySlot,
        End::Entry(entry) if *entry.hash() == hash => Terminal::Present {
            value: Bounded::new(entry.value().to_vec()).expect("a stored value is within its limit"),
        },
        End::Entry(entry) => Terminal::OtherKey { key: entry.state_key(), value_hash: value_hash(entry.value()) },
    };
    let (mut dense_mask, mut dense_siblings) = (0, Vec::new());
    for ((level, depth), empty) in (0..BUCKET_BITS).zip(0usize..).zip(&empty_roots()) {
        let sibling = tree.node(lineage, depth, (hash.bucket() >> level) ^ 1)?;
        if sibling != *empty {
            dense_mask |= 1 << level;
            dense_siblings.push(sibling);
        }
    }
    Ok(StateProof {
        key: key.clone(),
        terminal,
        bucket_siblings: BucketSiblings::new(siblings).expect("a way has at most 236 steps"),
        dense_mask,
        dense_siblings: DenseSiblings::new(dense_siblings).expect("there are 20 levels"),
    })
}

/// Follows a key through its bucket: the nodes beside its way, from the top, and what is at the end.
fn walk(tree: &Tree, lineage: &Lineage, hash: &KeyHash) -> Result<(End, Vec<Digest>), StoreError> {
    let mut siblings = Vec::new();
    let mut id = PageId::root_of(hash);
    let mut page = tree.page(lineage, &id, None)?;
    loop {
        let inner = match page.as_deref().map(Page::body) {
            None => return Ok((End::Nothing, siblings)),
            Some(Body::Leaf(entries)) => return Ok((down_entries(entries, hash, id.depth(), &mut siblings), siblings)),
            Some(Body::Inner(inner)) => inner,
        };
        match down_inner(inner, hash, id.depth(), &mut siblings) {
            Below::Nothing => return Ok((End::Nothing, siblings)),
            Below::Page(nibble, part) => {
                id = id.child(nibble);
                let below = tree.page(lineage, &id, Some(part))?;
                match (part, below.as_ref().and_then(|page| page.entries())) {
                    // A lone entry went up from the page below to where the way has ended.
                    (Part::Leaf(_), Some([entry])) => return Ok((End::Entry(entry.clone()), siblings)),
                    (Part::Leaf(_), _) => {
                        let detail = format!("page {:?} is not the lone entry that the page above names", id.row());
                        return Err(Fault::Damaged { detail }.into());
                    }
                    _ => page = below,
                }
            }
        }
    }
}

/// Follows a key among the entries of one page.
fn down_entries(entries: &[Entry], hash: &KeyHash, depth: u32, siblings: &mut Vec<Digest>) -> End {
    let (mut entries, mut depth) = (entries, depth);
    loop {
        match entries {
            [] => return End::Nothing,
            [entry] => return End::Entry(entry.clone()),
            several => {
                let (left, right) = several.split_at(split(several, depth));
                let (own, beside) = match hash.bit(depth) {
                    Side::Left => (left, right),
                    Side::Right => (right, left),
                };
                depth += 1;
                siblings.push(fold(beside, depth).digest());
                entries = own;
            }
        }
    }
}

/// Follows a key through the four binary levels of a page over pages.
fn down_inner(inner: &Inner, hash: &KeyHash, depth: u32, siblings: &mut Vec<Digest>) -> Below {
    let mut place = 1;
    for depth in depth..depth + 4 {
        let own = match hash.bit(depth) {
            Side::Left => 2 * place,
            Side::Right => 2 * place + 1,
        };
        siblings.push(inner.node(own ^ 1).digest());
        place = own;
        match inner.node(place) {
            Part::Empty => return Below::Nothing,
            Part::Leaf(_) => break,
            Part::Node(_) => {}
        }
    }
    // Below a lone entry all but one of the places are empty.
    while place < 16 {
        place = if inner.node(2 * place) == Part::Empty { 2 * place + 1 } else { 2 * place };
    }
    let nibble = u8::try_from(place - 16).expect("a page has 16 places below");
    Below::Page(nibble, inner.child(nibble))
}
