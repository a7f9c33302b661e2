//! A page: one row of the tree inside a bucket, small enough to rewrite and large enough to answer a read alone.
//!
//! Pages are the nodes of a trie with 16 children each over the nibbles of the key's hash. They say how the entries
//! lie on the disk and nothing of what a root is: that is TREE-3, bit by bit, whatever the pages are.

use std::ops::Deref;
use std::sync::Arc;

use cpc_primitives::kv::Space;
use cpc_primitives::limits::{BUCKET_DEPTH_MAX, STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX};
use cpc_primitives::state::StateKey;
use cpc_primitives::tree::{KeyHash, Part, Side, join, value_hash};
use cpc_primitives::{Digest, Domain};

use crate::spaces::{BUCKETS, PAGES};

/// Entries that one page holds itself; one more splits it (TRE-2).
pub(crate) const LEAF_ENTRIES_MAX: usize = 8;
/// Nibbles of a hash above those inside its bucket.
const BUCKET_NIBBLES: usize = 5;
/// Nibbles below the bucket.
pub(crate) const NIBBLES_MAX: u8 = 59;

const _: () = assert!(BUCKET_NIBBLES * 4 + NIBBLES_MAX as usize * 4 == 256, "the nibbles are the whole hash");
const _: () = assert!(NIBBLES_MAX as u32 * 4 == BUCKET_DEPTH_MAX, "pages reach the depth of a bucket");

/// Where a page is: the bucket, and the nibbles below it (TRE-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PageId {
    /// The nibbles that lead here, then zeros; before the length, so that pages sort with their children after them.
    prefix: [u8; 32],
    nibbles: u8,
}

impl PageId {
    /// The first page of a bucket.
    pub(crate) fn root(bucket: u32) -> Self {
        let mut prefix = [0; 32];
        prefix[..4].copy_from_slice(&(bucket << 12).to_be_bytes());
        Self { prefix, nibbles: 0 }
    }

    /// The first page of a key's bucket.
    pub(crate) fn root_of(hash: &KeyHash) -> Self {
        Self::root(hash.bucket())
    }

    /// The bucket.
    pub(crate) fn bucket(&self) -> u32 {
        KeyHash(Digest(self.prefix)).bucket()
    }

    /// Nibbles below the bucket.
    pub(crate) fn nibbles(&self) -> u8 {
        self.nibbles
    }

    /// Bits below the bucket.
    pub(crate) fn depth(&self) -> u32 {
        u32::from(self.nibbles) * 4
    }

    /// The first eight bytes of the way here, as a number.
    pub(crate) fn head(&self) -> u64 {
        u64::from_be_bytes(*self.prefix.first_chunk().expect("a prefix has 32 bytes"))
    }

    /// The first eight bytes of a key's place, as a number: of two places the lower has the lower one, or both the same.
    pub(crate) fn head_of(hash: &KeyHash) -> u64 {
        u64::from_be_bytes(*hash.0.0.first_chunk().expect("a hash has 32 bytes"))
    }

    /// The page below, at a nibble.
    pub(crate) fn child(&self, nibble: u8) -> Self {
        let (byte, high) = place(self.nibbles);
        let mut prefix = self.prefix;
        prefix[byte] |= if high { nibble << 4 } else { nibble };
        Self { prefix, nibbles: self.nibbles + 1 }
    }

    /// The child in which a key belongs.
    pub(crate) fn nibble_of(&self, hash: &KeyHash) -> u8 {
        let (byte, high) = place(self.nibbles);
        if high { hash.0.0[byte] >> 4 } else { hash.0.0[byte] & 0x0f }
    }

    /// Whether a key belongs here or below.
    pub(crate) fn holds(&self, hash: &KeyHash) -> bool {
        let (byte, high) = place(self.nibbles);
        self.prefix[..byte] == hash.0.0[..byte] && (high || self.prefix[byte] >> 4 == hash.0.0[byte] >> 4)
    }

    /// The nibble by which the page above names this one.
    pub(crate) fn last_nibble(&self) -> u8 {
        let above = Self { prefix: self.prefix, nibbles: self.nibbles.saturating_sub(1) };
        above.nibble_of(&KeyHash(Digest(self.prefix)))
    }

    /// Whether another page is somewhere below this one.
    pub(crate) fn is_above(&self, other: &Self) -> bool {
        self.nibbles < other.nibbles && self.holds(&KeyHash(Digest(other.prefix)))
    }

    /// The space of the row: a bucket's first page stands where a start finds all of those and nothing else (TRE-4).
    pub(crate) fn space(&self) -> Space {
        if self.nibbles == 0 { BUCKETS } else { PAGES }
    }

    /// The key of the row: the bucket in four bytes, then one byte a nibble (TRE-1).
    pub(crate) fn row(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(4 + usize::from(self.nibbles));
        row.extend_from_slice(&self.bucket().to_be_bytes());
        for nibbles in 0..self.nibbles {
            let above = Self { prefix: self.prefix, nibbles };
            row.push(above.nibble_of(&KeyHash(Digest(self.prefix))));
        }
        row
    }

    /// Reads the key of a row.
    pub(crate) fn of_row(row: &[u8]) -> Option<Self> {
        let (bucket, nibbles) = row.split_first_chunk()?;
        let bucket = u32::from_be_bytes(*bucket);
        if bucket >= cpc_primitives::limits::BUCKETS || nibbles.len() > usize::from(NIBBLES_MAX) {
            return None;
        }
        nibbles.iter().try_fold(Self::root(bucket), |page, nibble| (*nibble < 16).then(|| page.child(*nibble)))
    }
}

/// Where the nibble at a depth is: its byte, and whether it is the high half.
fn place(nibbles: u8) -> (usize, bool) {
    let at = BUCKET_NIBBLES + usize::from(nibbles);
    (at / 2, at.is_multiple_of(2))
}

/// One record with everything that is hashed from it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    hash: KeyHash,
    leaf: Digest,
    data: Data,
    key_len: u8,
}

/// The key of an entry, then its value.
///
/// An account fits in place: a page of one account is then a single piece of memory, and reading it a single miss.
#[derive(Clone, Debug)]
enum Data {
    Short { length: u8, bytes: [u8; SHORT_BYTES_MAX] },
    Long(Arc<[u8]>),
}

/// Bytes that an entry holds in place: a key of 21 bytes and an account of 24 fit.
const SHORT_BYTES_MAX: usize = 54;

impl Data {
    fn new(key: &[u8], value: &[u8]) -> Self {
        let end = key.len() + value.len();
        match u8::try_from(end) {
            Ok(length) if end <= SHORT_BYTES_MAX => {
                let mut bytes = [0; SHORT_BYTES_MAX];
                bytes[..key.len()].copy_from_slice(key);
                bytes[key.len()..end].copy_from_slice(value);
                Self::Short { length, bytes }
            }
            _ => Self::Long([key, value].concat().into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => &bytes[..usize::from(*length)],
            Self::Long(bytes) => bytes,
        }
    }

    /// Memory beside the entry itself.
    fn heap(&self) -> usize {
        match self {
            Self::Short { .. } => 0,
            Self::Long(bytes) => 32 + bytes.len(),
        }
    }
}

impl Entry {
    /// An entry of a key whose hash is known; the value is within its limit.
    pub(crate) fn new(hash: KeyHash, key: &[u8], value: &[u8]) -> Self {
        let key_len = u8::try_from(key.len()).expect("a state key has at most 64 bytes");
        Self { hash, leaf: leaf_of(key, &value_hash(value)), data: Data::new(key, value), key_len }
    }

    pub(crate) fn hash(&self) -> &KeyHash {
        &self.hash
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.data.bytes()[..usize::from(self.key_len)]
    }

    pub(crate) fn value(&self) -> &[u8] {
        &self.data.bytes()[usize::from(self.key_len)..]
    }

    pub(crate) fn state_key(&self) -> StateKey {
        StateKey::raw(self.key()).expect("an entry's key was checked when it was made")
    }
}

/// `tree::leaf` without its allocations: a key's canonical bytes are its length in eight bytes and itself (TREE-2).
fn leaf_of(key: &[u8], value_hash: &Digest) -> Digest {
    let mut bytes = [0; 8 + STATE_KEY_BYTES_MAX + 32];
    let length = u64::try_from(key.len()).expect("a length fits 64 bits");
    let end = 8 + key.len();
    bytes[..8].copy_from_slice(&length.to_le_bytes());
    bytes[8..end].copy_from_slice(key);
    bytes[end..end + 32].copy_from_slice(&value_hash.0);
    Domain::StateLeaf.hash_bytes(&bytes[..end + 32])
}

/// What a row holds, with the part of the bucket that it is.
#[derive(Debug)]
pub(crate) struct Page {
    part: Part,
    body: Body,
}

/// The two kinds of pages.
#[derive(Debug)]
pub(crate) enum Body {
    /// At most [`LEAF_ENTRIES_MAX`] entries, in the order of their hashes.
    Leaf(Entries),
    /// More of them, in 16 pages below.
    Inner(Box<Inner>),
}

/// A few entries; one alone, as in most pages of a young chain, lies in the page itself.
#[derive(Debug)]
pub(crate) enum Entries {
    One(Entry),
    More(Box<[Entry]>),
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        match self {
            Self::One(entry) => core::slice::from_ref(entry),
            Self::More(entries) => entries,
        }
    }
}

/// A page of which only the parts below are known.
#[derive(Clone, Debug)]
pub(crate) struct Inner {
    /// Entries in all pages below.
    count: u64,
    /// The four levels of binary nodes: 1 is the top, `16 + n` is child `n`.
    nodes: [Part; 32],
}

/// Bytes of a row that are not a page.
pub(crate) type Malformed = &'static str;

impl Page {
    /// A page that holds its entries, in the order of their hashes.
    pub(crate) fn leaf(id: &PageId, mut entries: Vec<Entry>) -> Self {
        let part = fold(&entries, id.depth());
        let entries = match (entries.pop(), entries.is_empty()) {
            (Some(only), true) => Entries::One(only),
            (last, _) => {
                entries.extend(last);
                Entries::More(entries.into())
            }
        };
        Self { part, body: Body::Leaf(entries) }
    }

    /// A page of one entry.
    pub(crate) fn of_one(entry: Entry) -> Self {
        Self { part: Part::Leaf(entry.leaf), body: Body::Leaf(Entries::One(entry)) }
    }

    /// A page over pages.
    pub(crate) fn inner(inner: Inner) -> Self {
        Self { part: inner.nodes[1], body: Body::Inner(Box::new(inner)) }
    }

    /// The part of the bucket that begins here.
    pub(crate) fn part(&self) -> Part {
        self.part
    }

    pub(crate) fn body(&self) -> &Body {
        &self.body
    }

    /// Entries here and below.
    pub(crate) fn count(&self) -> u64 {
        match &self.body {
            Body::Leaf(entries) => u64::try_from(entries.len()).expect("a page holds a few entries"),
            Body::Inner(inner) => inner.count,
        }
    }

    /// The entries of a page that holds them itself.
    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.body {
            Body::Leaf(entries) => Some(entries),
            Body::Inner(_) => None,
        }
    }

    /// About how much memory the page takes, its place in the cache included.
    pub(crate) fn weight(&self) -> u32 {
        let beside = match &self.body {
            Body::Leaf(Entries::One(entry)) => entry.data.heap(),
            Body::Leaf(Entries::More(entries)) => {
                entries.iter().map(|entry| size_of::<Entry>() + entry.data.heap()).sum()
            }
            Body::Inner(_) => size_of::<Inner>(),
        };
        u32::try_from(SLOT_BYTES + size_of::<Self>() + beside).expect("a page holds eight values at most")
    }

    /// Whether the bytes of a row say that there are pages below it.
    pub(crate) fn is_inner(bytes: &[u8]) -> bool {
        bytes.first() == Some(&INNER)
    }

    /// The bytes of the row (TRE-3).
    pub(crate) fn encode(&self) -> Vec<u8> {
        match &self.body {
            Body::Leaf(entries) => encode_leaf(entries),
            Body::Inner(inner) => encode_inner(inner),
        }
    }

    /// Reads a row, and recomputes everything that is hashed from it.
    pub(crate) fn decode(id: &PageId, bytes: &[u8]) -> Result<Self, Malformed> {
        let (kind, rest) = bytes.split_first().ok_or("an empty row")?;
        match *kind {
            LEAF => decode_leaf(id, rest),
            INNER => decode_inner(id, rest),
            _ => Err("an unknown kind of page"),
        }
    }
}

impl Inner {
    /// A page over these parts.
    pub(crate) fn new(count: u64, children: &[Part; 16]) -> Self {
        let mut inner = Self { count, nodes: [Part::Empty; 32] };
        inner.nodes[16..].copy_from_slice(children);
        inner.rejoin(u16::MAX);
        inner
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn set_count(&mut self, count: u64) {
        self.count = count;
    }

    /// What is below a nibble.
    pub(crate) fn child(&self, nibble: u8) -> Part {
        self.nodes[16 + usize::from(nibble)]
    }

    pub(crate) fn set_child(&mut self, nibble: u8, part: Part) {
        self.nodes[16 + usize::from(nibble)] = part;
    }

    /// A binary node: 1 is the top, `2 n` and `2 n + 1` are below `n`.
    pub(crate) fn node(&self, place: usize) -> Part {
        self.nodes[place]
    }

    /// Computes the nodes above changed children; bit `n` of `changed` is child `n`.
    pub(crate) fn rejoin(&mut self, changed: u16) {
        let (mut changed, mut width) = (changed, 8);
        while width > 0 {
            let mut above = 0u16;
            for at in 0..width {
                if changed >> (2 * at) & 0b11 != 0 {
                    let node = width + at;
                    self.nodes[node] = join(self.nodes[2 * node], self.nodes[2 * node + 1]);
                    above |= 1 << at;
                }
            }
            changed = above;
            width /= 2;
        }
    }
}

/// What a run of entries with the same bits above `depth` makes (TREE-3).
pub(crate) fn fold(entries: &[Entry], depth: u32) -> Part {
    match entries {
        [] => Part::Empty,
        [entry] => Part::Leaf(entry.leaf),
        more => {
            let middle = split(more, depth);
            join(fold(&more[..middle], depth + 1), fold(&more[middle..], depth + 1))
        }
    }
}

/// How many of the entries go left at a depth.
pub(crate) fn split(entries: &[Entry], depth: u32) -> usize {
    entries.partition_point(|entry| entry.hash.bit(depth) == Side::Left)
}

/// What an entry of the cache costs beside its page's own bytes.
const SLOT_BYTES: usize = 112;
const LEAF: u8 = 0;
const INNER: u8 = 1;

fn encode_leaf(entries: &[Entry]) -> Vec<u8> {
    let bytes: usize = entries.iter().map(|entry| 5 + entry.data.bytes().len()).sum();
    let mut out = Vec::with_capacity(2 + bytes);
    out.push(LEAF);
    out.push(u8::try_from(entries.len()).expect("a page holds a few entries"));
    for entry in entries {
        let value = u32::try_from(entry.value().len()).expect("a value has at most 64 KiB");
        out.push(entry.key_len);
        out.extend_from_slice(&value.to_le_bytes());
        out.extend_from_slice(entry.data.bytes());
    }
    out
}

fn decode_leaf(id: &PageId, bytes: &[u8]) -> Result<Page, Malformed> {
    let (count, mut rest) = bytes.split_first().ok_or("a page without a count")?;
    let count = usize::from(*count);
    if count == 0 || count > LEAF_ENTRIES_MAX {
        return Err("a page with a number of entries that none has");
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(count);
    for _ in 0..count {
        let (key_len, after) = rest.split_first().ok_or("a page that ends early")?;
        let (value_len, after) = after.split_first_chunk().ok_or("a page that ends early")?;
        let (key_len, value_len) = (usize::from(*key_len), u32::from_le_bytes(*value_len));
        let value_len = usize::try_from(value_len).map_err(|_| "a value that is too long")?;
        if key_len > STATE_KEY_BYTES_MAX || value_len > STATE_VALUE_BYTES_MAX {
            return Err("a key or a value that is too long");
        }
        let (key, after) = after.split_at_checked(key_len).ok_or("a page that ends early")?;
        let (value, after) = after.split_at_checked(value_len).ok_or("a page that ends early")?;
        let key_hash = key_hash(key);
        if !id.holds(&key_hash) || entries.last().is_some_and(|last| last.hash >= key_hash) {
            return Err("an entry that belongs elsewhere");
        }
        entries.push(Entry::new(key_hash, key, value));
        rest = after;
    }
    if !rest.is_empty() {
        return Err("a page with bytes after its end");
    }
    Ok(Page::leaf(id, entries))
}

/// `KeyHash::of` for the bytes of a key.
fn key_hash(key: &[u8]) -> KeyHash {
    KeyHash(Domain::StateKey.hash_bytes(key))
}

fn encode_inner(inner: &Inner) -> Vec<u8> {
    let mut tags = 0u32;
    let mut out = Vec::with_capacity(13 + 16 * 32);
    out.push(INNER);
    out.extend_from_slice(&inner.count.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for nibble in (0..16).rev() {
        tags = tags << 2
            | match inner.child(nibble) {
                Part::Empty => 0,
                Part::Leaf(_) => 1,
                Part::Node(_) => 2,
            };
    }
    out[9..13].copy_from_slice(&tags.to_le_bytes());
    for nibble in 0..16 {
        match inner.child(nibble) {
            Part::Empty => {}
            Part::Leaf(digest) | Part::Node(digest) => out.extend_from_slice(&digest.0),
        }
    }
    out
}

fn decode_inner(id: &PageId, bytes: &[u8]) -> Result<Page, Malformed> {
    let (count, rest) = bytes.split_first_chunk().ok_or("a page that ends early")?;
    let (tags, mut rest) = rest.split_first_chunk().ok_or("a page that ends early")?;
    let (count, tags) = (u64::from_le_bytes(*count), u32::from_le_bytes(*tags));
    let few = u64::try_from(LEAF_ENTRIES_MAX).expect("a small number");
    if count <= few || id.nibbles() == NIBBLES_MAX {
        return Err("an inner page where a leaf page belongs");
    }
    let mut children = [Part::Empty; 16];
    for (nibble, child) in children.iter_mut().enumerate() {
        let tag = tags >> (2 * nibble) & 0b11;
        if tag == 0 {
            continue;
        }
        let (digest, after) = rest.split_first_chunk().ok_or("a page that ends early")?;
        let digest = Digest(*digest);
        *child = match tag {
            1 => Part::Leaf(digest),
            2 => Part::Node(digest),
            _ => return Err("an unknown kind of part"),
        };
        rest = after;
    }
    if !rest.is_empty() {
        return Err("a page with bytes after its end");
    }
    Ok(Page::inner(Inner::new(count, &children)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u32, bucket: u32) -> Entry {
        let key = n.to_le_bytes();
        let mut hash = KeyHash(Domain::StateKey.hash_bytes(&key));
        let kept = hash.0.0[2] & 0x0f;
        hash.0.0[..3].copy_from_slice(&[(bucket >> 12) as u8, (bucket >> 4) as u8, (bucket << 4) as u8 | kept]);
        Entry::new(hash, &key, b"value")
    }

    #[test]
    fn a_leaf_is_what_the_primitives_say() {
        for length in [0, 1, 21, 64] {
            let key = StateKey::raw(&vec![7; length]).expect("short");
            let value = value_hash(b"some value");
            assert_eq!(leaf_of(key.bytes(), &value), cpc_primitives::tree::leaf(&key, &value));
            assert_eq!(key_hash(key.bytes()), KeyHash::of(&key));
        }
    }

    #[test]
    fn a_row_names_its_page_and_pages_sort_before_their_children() {
        let root = PageId::root(0xabcde);
        let page = root.child(3).child(0).child(15);
        assert_eq!(page.row(), [0, 0x0a, 0xbc, 0xde, 3, 0, 15]);
        assert_eq!(PageId::of_row(&page.row()), Some(page));
        assert_eq!((page.bucket(), page.depth()), (0xabcde, 12));
        assert!(
            root < root.child(0) && root.child(0) < root.child(0).child(0) && root.child(0).child(15) < root.child(1)
        );
        assert_eq!(PageId::of_row(&[0, 0x10, 0, 0]), None, "there are 2^20 buckets");
        assert_eq!(PageId::of_row(&[0, 0, 0, 0, 16]), None, "a nibble is below 16");
        assert_eq!(PageId::of_row(&[0; 64]), None, "a hash has 59 nibbles below its bucket");
        assert_eq!(PageId::of_row(&[0; 3]), None, "a bucket has four bytes");
    }

    #[test]
    fn a_page_knows_which_keys_are_its_own() {
        let mut hash = KeyHash(Digest([0; 32]));
        hash.0.0[..5].copy_from_slice(&[0xab, 0xcd, 0xe3, 0x0f, 0x70]);
        let root = PageId::root_of(&hash);
        let mut page = root;
        for nibble in [3, 0, 15, 7] {
            assert!(page.holds(&hash));
            assert_eq!(page.nibble_of(&hash), nibble);
            assert!(!page.child(nibble ^ 1).holds(&hash));
            page = page.child(nibble);
        }
        assert!(page.holds(&hash));
        assert!(!PageId::root(0xabcdf).holds(&hash));
    }

    #[test]
    fn pages_are_read_back_and_everything_else_is_refused() {
        let keys: Vec<Vec<u8>> = (0u32..200_000).map(|n| n.to_le_bytes().to_vec()).collect();
        let bucket = key_hash(&keys[0]).bucket();
        let mut entries: Vec<Entry> = keys
            .iter()
            .filter(|key| key_hash(key).bucket() == bucket)
            .map(|key| Entry::new(key_hash(key), key, b"value"))
            .collect();
        entries.sort_by_key(|entry| *entry.hash());
        let id = PageId::root(bucket);
        let page = Page::leaf(&id, entries);
        let bytes = page.encode();
        assert_eq!(Page::decode(&id, &bytes).expect("its own bytes").part(), page.part());

        assert!(Page::decode(&id, &[]).is_err());
        for end in 0..bytes.len() {
            assert!(Page::decode(&id, &bytes[..end]).is_err(), "{end} of {} bytes", bytes.len());
        }
        assert!(Page::decode(&id, &[bytes.as_slice(), &[0]].concat()).is_err());
        assert!(Page::decode(&PageId::root(bucket ^ 1), &bytes).is_err());
        assert!(Page::decode(&id, &[LEAF, 0]).is_err());
        assert!(Page::decode(&id, &[2]).is_err());
    }

    #[test]
    fn an_inner_page_joins_its_parts_as_the_entries_would() {
        let mut entries: Vec<Entry> = (0..100).map(|n| entry(n, 77)).collect();
        entries.sort_by_key(|entry| *entry.hash());
        let id = PageId::root(77);
        let mut children = [Part::Empty; 16];
        for (nibble, child) in (0..).zip(&mut children) {
            let below: Vec<Entry> =
                entries.iter().filter(|entry| id.nibble_of(entry.hash()) == nibble).cloned().collect();
            *child = fold(&below, 4);
        }
        let mut inner = Inner::new(100, &children);
        assert_eq!(inner.node(1), fold(&entries, 0));

        let page = Page::inner(inner.clone());
        let bytes = page.encode();
        let back = Page::decode(&id, &bytes).expect("its own bytes");
        assert_eq!((back.part(), back.count()), (page.part(), 100));
        for end in 0..bytes.len() {
            assert!(Page::decode(&id, &bytes[..end]).is_err());
        }

        // A changed child changes the nodes above it and no others.
        children[5] = Part::Leaf(Digest([9; 32]));
        inner.set_child(5, children[5]);
        inner.rejoin(1 << 5);
        assert_eq!(inner.nodes, Inner::new(100, &children).nodes);
    }
}
