//! What the state says of one key, checked against a state root.

use cpc_primitives::codec::Bounded;
use cpc_primitives::limits::{BUCKET_BITS, STATE_VALUE_BYTES_MAX};
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::{self, EMPTY, KeyHash, Side};
use cpc_primitives::{Digest, same};
use wincode::{SchemaRead, SchemaWrite};

use crate::error::ProofError;
use crate::limits::{BUCKET_SIBLINGS_MAX, DENSE_SIBLINGS_MAX};

/// The nodes beside the way through a bucket, the deepest first.
pub type BucketSiblings = Bounded<Digest, BUCKET_SIBLINGS_MAX>;
/// The nodes beside the way from the bucket to the root, the lowest first, without those of empty buckets.
pub type DenseSiblings = Bounded<Digest, DENSE_SIBLINGS_MAX>;

/// A claim that a key has a value, or that it has none (PROOF-1).
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct StateProof {
    /// The key it is about.
    pub key: StateKey,
    /// What there is where the way of the key ends.
    pub terminal: Terminal,
    /// The siblings inside the bucket: `bucket_siblings.len()` is the depth of the terminal.
    pub bucket_siblings: BucketSiblings,
    /// Bit `l` is set where the sibling at level `l` is given; else it is [`tree::empty_roots`]`[l]`.
    pub dense_mask: u32,
    /// The siblings above the bucket that are given.
    pub dense_siblings: DenseSiblings,
}

/// What there is where the way of a key ends (PROOF-2).
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Terminal {
    /// The key's own entry.
    Present {
        /// Its value.
        value: Bounded<u8, STATE_VALUE_BYTES_MAX>,
    },
    /// Nothing.
    EmptySlot,
    /// The entry of another key that has this part of the bucket for itself.
    OtherKey {
        /// The other key.
        key: StateKey,
        /// The hash of its value.
        value_hash: Digest,
    },
}

/// What the state says of a key; only a proof makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedState {
    key: StateKey,
    value: Option<Vec<u8>>,
}

impl StateProof {
    /// Demands that the state with this root says what is claimed.
    pub fn verify(&self, state_root: &Digest) -> Result<VerifiedState, ProofError> {
        let place = KeyHash::of(&self.key);
        let bucket = self.bucket_root(&place)?;
        let found = self.root_above(&place, bucket)?;
        same(*state_root, found).map_err(ProofError::StateRoot)?;
        let value = match &self.terminal {
            Terminal::Present { value } => Some(value.to_vec()),
            Terminal::EmptySlot | Terminal::OtherKey { .. } => None,
        };
        Ok(VerifiedState { key: self.key.clone(), value })
    }

    /// From the terminal to the root of the bucket.
    fn bucket_root(&self, place: &KeyHash) -> Result<Digest, ProofError> {
        // PROOF-3: below the deepest node there are at least two entries, and a part beside nothing or beside a
        // single entry would have gone up as it is.
        if self.bucket_siblings.first() == Some(&EMPTY) {
            return Err(ProofError::BucketEmpty);
        }
        let depth = u32::try_from(self.bucket_siblings.len()).expect("at most 236 siblings");
        let terminal = self.terminal_root(place, depth)?;
        let upwards = (0..depth).rev().zip(&self.bucket_siblings);
        Ok(upwards.fold(terminal, |node, (depth, sibling)| match place.bit(depth) {
            Side::Left => tree::bucket_node(&node, sibling),
            Side::Right => tree::bucket_node(sibling, &node),
        }))
    }

    /// The hash of the terminal, after the demands on another key.
    fn terminal_root(&self, place: &KeyHash, depth: u32) -> Result<Digest, ProofError> {
        match &self.terminal {
            Terminal::Present { value } => Ok(tree::leaf(&self.key, &tree::value_hash(value))),
            Terminal::EmptySlot => Ok(EMPTY),
            Terminal::OtherKey { key, value_hash } => {
                if *key == self.key {
                    return Err(ProofError::OtherKeySame);
                }
                // PROOF-2: an entry elsewhere says nothing about this key.
                let needed = BUCKET_BITS.saturating_add(depth);
                let shared = shared_bits(place, &KeyHash::of(key));
                if shared < needed {
                    return Err(ProofError::OtherKeyElsewhere { needed, shared });
                }
                Ok(tree::leaf(key, value_hash))
            }
        }
    }

    /// From the root of the bucket to the root of the state.
    fn root_above(&self, place: &KeyHash, bucket: Digest) -> Result<Digest, ProofError> {
        // PROOF-4: a proof has one form, so that no bit of it can be changed unnoticed.
        let highest = u32::BITS.saturating_sub(self.dense_mask.leading_zeros());
        if highest > BUCKET_BITS {
            return Err(ProofError::DenseLevel { level: highest.saturating_sub(1) });
        }
        let named = usize::try_from(self.dense_mask.count_ones()).expect("at most 32 bits are set");
        same(named, self.dense_siblings.len()).map_err(ProofError::DenseCount)?;
        let (mut node, mut given) = (bucket, self.dense_siblings.iter());
        for (level, empty) in (0..BUCKET_BITS).zip(&tree::empty_roots()) {
            let sibling = if bit(self.dense_mask, level) { given.next().unwrap_or(empty) } else { empty };
            if bit(self.dense_mask, level) && sibling == empty {
                return Err(ProofError::DenseEmpty { level });
            }
            node = if bit(place.bucket(), level) {
                tree::dense_node(sibling, &node)
            } else {
                tree::dense_node(&node, sibling)
            };
        }
        Ok(node)
    }
}

impl VerifiedState {
    /// The key.
    pub fn key(&self) -> &StateKey {
        &self.key
    }

    /// Its value, or that it has none.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// Both, given away.
    pub fn into_parts(self) -> (StateKey, Option<Vec<u8>>) {
        (self.key, self.value)
    }
}

fn bit(word: u32, place: u32) -> bool {
    word.checked_shr(place).is_some_and(|shifted| shifted & 1 == 1)
}

/// How many bits two places have in common, from the first on.
fn shared_bits(a: &KeyHash, b: &KeyHash) -> u32 {
    let mut shared = 0u32;
    for (a, b) in a.0.0.iter().zip(&b.0.0) {
        let same = (a ^ b).leading_zeros();
        shared = shared.saturating_add(same);
        if same < 8 {
            break;
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use cpc_primitives::codec::{decode, encode};
    use cpc_primitives::hash::Domain;
    use cpc_primitives::tree::{Part, join};
    use proptest::prelude::*;

    use super::*;

    type State = BTreeMap<StateKey, Vec<u8>>;

    /// Keys of which many share a bucket: found among so many that some do by chance.
    fn crowded() -> &'static [StateKey] {
        static KEYS: LazyLock<Vec<StateKey>> = LazyLock::new(search);
        &KEYS
    }

    fn search() -> Vec<StateKey> {
        let mut buckets: BTreeMap<u32, Vec<StateKey>> = BTreeMap::new();
        for number in 0u32..60_000 {
            let key = StateKey::raw(&number.to_le_bytes()).expect("short");
            buckets.entry(KeyHash::of(&key).bucket()).or_default().push(key);
        }
        let keys: Vec<StateKey> = buckets.into_values().filter(|keys| keys.len() > 2).flatten().collect();
        assert!(keys.len() > 60, "{} keys share a bucket with two more", keys.len());
        keys
    }

    fn value_of(key: &StateKey) -> Vec<u8> {
        Domain::StateValue.hash_bytes(key.bytes()).0[..key.bytes().len() % 7].to_vec()
    }

    /// What a run of entries makes that agree in all bits above a depth.
    fn part(entries: &[(&StateKey, &Vec<u8>)], depth: u32) -> Part {
        match entries {
            [] => Part::Empty,
            [(key, value)] => Part::Leaf(tree::leaf(key, &tree::value_hash(value))),
            more => {
                let (left, right) = halves(more, depth);
                join(part(&left, depth + 1), part(&right, depth + 1))
            }
        }
    }

    type Entries<'a> = Vec<(&'a StateKey, &'a Vec<u8>)>;

    fn halves<'a>(entries: &[(&'a StateKey, &'a Vec<u8>)], depth: u32) -> (Entries<'a>, Entries<'a>) {
        entries.iter().partition(|(key, _)| KeyHash::of(key).bit(depth) == Side::Left)
    }

    /// A proof from the entries alone, in the simplest way there is.
    fn prove(state: &State, key: &StateKey) -> StateProof {
        let place = KeyHash::of(key);
        let bucket = |number: u32| -> Entries<'_> {
            state.iter().filter(|(key, _)| KeyHash::of(key).bucket() == number).collect()
        };
        let (mut here, mut depth, mut siblings) = (bucket(place.bucket()), 0, Vec::new());
        let terminal = loop {
            match here.as_slice() {
                [] => break Terminal::EmptySlot,
                [(found, value)] if *found == key => {
                    break Terminal::Present { value: Bounded::new(value.to_vec()).expect("short") };
                }
                [(found, value)] => {
                    break Terminal::OtherKey { key: (*found).clone(), value_hash: tree::value_hash(value) };
                }
                more => {
                    let (left, right) = halves(more, depth);
                    let (ours, beside) = if place.bit(depth) == Side::Left { (left, right) } else { (right, left) };
                    siblings.insert(0, part(&beside, depth + 1).digest());
                    (here, depth) = (ours, depth + 1);
                }
            }
        };
        let mut level: BTreeMap<u32, Digest> = BTreeMap::new();
        for number in state.keys().map(|key| KeyHash::of(key).bucket()) {
            level.entry(number).or_insert_with(|| part(&bucket(number), 0).digest());
        }
        let (mut number, mut dense_mask, mut dense) = (place.bucket(), 0, Vec::new());
        for (height, empty) in tree::empty_roots()[..20].iter().enumerate() {
            if let Some(sibling) = level.get(&(number ^ 1)) {
                dense_mask |= 1 << height;
                dense.push(*sibling);
            }
            let at = |number: u32| level.get(&number).unwrap_or(empty);
            let above: BTreeMap<u32, Digest> =
                level.keys().map(|n| (n >> 1, tree::dense_node(at(n & !1), at(n | 1)))).collect();
            (level, number) = (above, number >> 1);
        }
        StateProof {
            key: key.clone(),
            terminal,
            bucket_siblings: Bounded::new(siblings).expect("at most 236"),
            dense_mask,
            dense_siblings: Bounded::new(dense).expect("at most 20"),
        }
    }

    fn state_of(keys: &[StateKey]) -> State {
        keys.iter().map(|key| (key.clone(), value_of(key))).collect()
    }

    #[track_caller]
    fn refuses(proof: &StateProof, root: &Digest, message: &str) {
        let error = proof.verify(root).expect_err("refused").to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn every_key_of_crowded_buckets_is_proven_present_and_without_it_absent() {
        let keys = crowded();
        let state = state_of(keys);
        let root = tree::root_of(&state);
        let mut terminals = [0; 3];
        for key in keys.iter().take(60) {
            let verified = prove(&state, key).verify(&root).expect("present");
            assert_eq!(verified.into_parts(), (key.clone(), Some(value_of(key))));

            let mut without = state.clone();
            without.remove(key);
            let proof = prove(&without, key);
            assert_eq!(proof.verify(&tree::root_of(&without)).map(|verified| verified.value), Ok(None));
            refuses(&proof, &root, "the state root");
            terminals[match proof.terminal {
                Terminal::Present { .. } => 0,
                Terminal::EmptySlot => 1,
                Terminal::OtherKey { .. } => 2,
            }] += 1;
        }
        assert!(terminals[0] == 0 && terminals[1] > 3 && terminals[2] > 3, "{terminals:?}");
    }

    #[test]
    fn nothing_is_in_an_empty_state() {
        let key = StateKey::supply();
        let proof = prove(&State::new(), &key);
        assert_eq!((proof.dense_mask, proof.bucket_siblings.len()), (0, 0));
        let verified = proof.verify(&tree::empty_roots()[20]).expect("absent");
        assert_eq!((verified.key(), verified.value()), (&key, None));
    }

    #[test]
    fn no_bit_of_a_proof_can_be_changed() {
        let keys = crowded();
        let mut state = state_of(keys);
        let (here, gone, lone) = (keys[0].clone(), keys[1].clone(), StateKey::beacon());
        state.remove(&gone);
        let root = tree::root_of(&state);
        for key in [here, gone, lone] {
            let proof = prove(&state, &key);
            let bytes = encode(&proof);
            let named = encode(&key).len();
            for place in 0..bytes.len() {
                for bit in 0..8 {
                    let mut bent = bytes.clone();
                    bent[place] ^= 1 << bit;
                    let Ok(bent) = decode::<StateProof>(&bent, 1 << 16) else { continue };
                    match bent.verify(&root) {
                        Err(_) => {}
                        // Another key may have the same way; what is proven of it must then be true.
                        Ok(verified) if place < named => {
                            assert_eq!(verified.value(), state.get(verified.key()).map(Vec::as_slice));
                        }
                        Ok(_) => panic!("byte {place} bit {bit} of {bytes:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn every_second_form_is_refused_by_name() {
        let keys = crowded();
        let state = state_of(keys);
        let root = tree::root_of(&state);
        let proof = prove(&state, &keys[0]);
        assert!(!proof.bucket_siblings.is_empty() && proof.dense_mask.count_ones() < 20);

        let high = StateProof { dense_mask: proof.dense_mask | 1 << 31, ..proof.clone() };
        refuses(&high, &root, "the mask names a sibling at level 31 above the buckets");
        let high = StateProof { dense_mask: proof.dense_mask | 1 << 20, ..proof.clone() };
        refuses(&high, &root, "the mask names a sibling at level 20 above the buckets");

        let fewer = StateProof { dense_siblings: Bounded::default(), ..proof.clone() };
        let count = proof.dense_siblings.len();
        refuses(&fewer, &root, &format!("by the mask: expected {count}, found 0"));

        let level = (0..20).find(|level| proof.dense_mask >> level & 1 == 0).expect("a level is left out");
        let before = (proof.dense_mask & ((1 << level) - 1)).count_ones() as usize;
        let mut given = proof.dense_siblings.to_vec();
        given.insert(before, tree::empty_roots()[level]);
        let dense_siblings = Bounded::new(given).expect("at most 20");
        let spelled = StateProof { dense_mask: proof.dense_mask | 1 << level, dense_siblings, ..proof.clone() };
        refuses(&spelled, &root, &format!("the sibling at level {level} is that of empty buckets"));

        let deeper = [&[EMPTY], &proof.bucket_siblings[..]].concat();
        let deeper = StateProof { bucket_siblings: Bounded::new(deeper).expect("at most 236"), ..proof.clone() };
        refuses(&deeper, &root, "the deepest sibling in the bucket is empty");

        let value_hash = tree::value_hash(&value_of(&keys[0]));
        let own = Terminal::OtherKey { key: keys[0].clone(), value_hash };
        refuses(&StateProof { terminal: own, ..proof.clone() }, &root, "the proof of absence names the key itself");

        let far = Terminal::OtherKey { key: StateKey::supply(), value_hash };
        refuses(&StateProof { terminal: far, ..proof.clone() }, &root, "bits of its place with the key");
        refuses(&proof, &Digest::ZERO, "the state root: expected 0000");
    }

    #[test]
    fn an_entry_beside_the_way_proves_no_absence() {
        let keys = crowded();
        let state = state_of(keys);
        let (key, place) = (&keys[0], KeyHash::of(&keys[0]));
        let twin = keys[1..].iter().find(|key| KeyHash::of(key).bucket() == place.bucket()).expect("a twin");
        // A liar gives the twin's entry, which is in the tree, as the one in the key's place.
        let lie = StateProof { key: key.clone(), ..prove(&state, twin) };
        let terminal = Terminal::OtherKey { key: twin.clone(), value_hash: tree::value_hash(&value_of(twin)) };
        refuses(&StateProof { terminal, ..lie }, &tree::root_of(&state), "bits of its place with the key, the proof");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn proofs_say_what_the_state_says(
            picks in proptest::collection::btree_set(0usize..60, 0..40),
            asked in 0usize..60,
            flip in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let keys = crowded();
            let state = state_of(&picks.into_iter().map(|pick| keys[pick].clone()).collect::<Vec<_>>());
            let (root, key) = (tree::root_of(&state), &keys[asked]);
            let proof = prove(&state, key);
            let verified = proof.verify(&root).expect("proven");
            prop_assert_eq!(verified.value(), state.get(key).map(Vec::as_slice));

            let bytes = encode(&proof);
            prop_assert_eq!(decode::<StateProof>(&bytes, 1 << 17), Ok(proof));
            let mut bent = bytes.clone();
            let place = flip.index(bytes.len());
            bent[place] ^= 1 << bit;
            if let Ok(verified) = decode::<StateProof>(&bent, 1 << 17).map_err(|_| ()).and_then(|p| p.verify(&root).map_err(|_| ())) {
                prop_assert!(place < encode(key).len(), "byte {}", place);
                prop_assert_eq!(verified.value(), state.get(verified.key()).map(Vec::as_slice));
            }
        }
    }
}
