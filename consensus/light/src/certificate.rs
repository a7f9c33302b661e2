//! A quorum's votes in one piece: what makes a block final for whoever was not there.

use core::fmt;

use cpc_primitives::limits::SEATS_MAX;
use cpc_primitives::signing::verify_message_batch;
use cpc_primitives::{BlockId, Epoch, Header, Mismatch, PublicKey, Signature, View, same};

use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::validators::ValidatorSet;
use crate::vote::{Proposal, SignedVote, Vote, read_round};
use crate::wire::{Reader, WireError, put_varint};

/// The seats that signed, each once, ascending, with their signatures (CERT-4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signers {
    seats: u32,
    signatures: Vec<(u32, Signature)>,
}

/// Proof that a quorum calls a block final.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finalization {
    /// The block, and the attempt in which it became final.
    pub proposal: Proposal,
    /// Who signed.
    pub signers: Signers,
}

/// Proof that a quorum calls a block valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notarization {
    /// The block, and the attempt in which it was proposed.
    pub proposal: Proposal,
    /// Who signed.
    pub signers: Signers,
}

/// Proof that a quorum gave an attempt up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nullification {
    /// Whose seats voted.
    pub epoch: Epoch,
    /// Which attempt.
    pub view: View,
    /// Who signed.
    pub signers: Signers,
}

/// A header that a quorum of its epoch's set calls final; only a proof makes one (CERT-6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FinalizedHeader {
    header: Header,
    id: BlockId,
}

/// Why a certificate certifies nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum CertError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the seats of the set: {0}")]
    Seats(Mismatch<u32>),
    #[error("{found} seats signed, a quorum is {needed}")]
    Quorum { needed: u32, found: u32 },
    #[error("the signature of seat {seat} does not verify under the key {key}")]
    Signature { seat: u32, key: PublicKey },
    #[error("seat {seat} of a set of {seats}")]
    UnknownSeat { seat: u32, seats: u32 },
    #[error("seat {seat} signed twice")]
    DoubleSeat { seat: u32 },
    #[error("the certified block: {0}")]
    Payload(Mismatch<BlockId>),
    #[error("the epoch of the certificate: {0}")]
    Epoch(Mismatch<Epoch>),
    #[error("certified in view {certified}, before the block was proposed in view {proposed}")]
    View { proposed: View, certified: View },
}

impl Finalization {
    /// Reads exactly one finalization (CERT-4).
    pub fn decode(bytes: &[u8]) -> Result<Self, CertError> {
        let (proposal, signers) = read_certificate(bytes, Proposal::read)?;
        Ok(Self { proposal, signers })
    }

    /// The bytes of the finalization.
    pub fn encode(&self) -> Vec<u8> {
        write_certificate(&self.vote(), &self.signers)
    }

    /// Demands a quorum of this set (CERT-5).
    pub fn verify(&self, set: &ValidatorSet, namespace: &[u8]) -> Result<(), CertError> {
        self.signers.verify(&self.vote(), set, namespace)
    }

    /// Puts a certificate together from finalize votes of this set; their signatures are not checked here.
    pub fn assemble(proposal: Proposal, votes: &[(u32, Signature)], set: &ValidatorSet) -> Result<Self, CertError> {
        Ok(Self { proposal, signers: Signers::assemble(votes, set)? })
    }

    /// What each of the signers signed.
    pub fn vote(&self) -> Vote {
        Vote::Finalize(self.proposal)
    }

    /// The vote of one seat, as if it had come alone; evidence is made of it (EVI-3).
    pub fn vote_of(&self, seat: u32) -> Option<SignedVote> {
        self.signers.vote_of(self.vote(), seat)
    }
}

impl Notarization {
    /// Reads exactly one notarization (CERT-4).
    pub fn decode(bytes: &[u8]) -> Result<Self, CertError> {
        let (proposal, signers) = read_certificate(bytes, Proposal::read)?;
        Ok(Self { proposal, signers })
    }

    /// The bytes of the notarization.
    pub fn encode(&self) -> Vec<u8> {
        write_certificate(&self.vote(), &self.signers)
    }

    /// Demands a quorum of this set (CERT-5).
    pub fn verify(&self, set: &ValidatorSet, namespace: &[u8]) -> Result<(), CertError> {
        self.signers.verify(&self.vote(), set, namespace)
    }

    /// What each of the signers signed.
    pub fn vote(&self) -> Vote {
        Vote::Notarize(self.proposal)
    }

    /// The vote of one seat, as if it had come alone; evidence is made of it (EVI-3).
    pub fn vote_of(&self, seat: u32) -> Option<SignedVote> {
        self.signers.vote_of(self.vote(), seat)
    }
}

impl Nullification {
    /// Reads exactly one nullification (CERT-4).
    pub fn decode(bytes: &[u8]) -> Result<Self, CertError> {
        let ((epoch, view), signers) = read_certificate(bytes, read_round)?;
        Ok(Self { epoch, view, signers })
    }

    /// The bytes of the nullification.
    pub fn encode(&self) -> Vec<u8> {
        write_certificate(&self.vote(), &self.signers)
    }

    /// Demands a quorum of this set (CERT-5).
    pub fn verify(&self, set: &ValidatorSet, namespace: &[u8]) -> Result<(), CertError> {
        self.signers.verify(&self.vote(), set, namespace)
    }

    /// What each of the signers signed.
    pub fn vote(&self) -> Vote {
        Vote::Nullify { epoch: self.epoch, view: self.view }
    }

    /// The vote of one seat, as if it had come alone; evidence is made of it (EVI-3).
    pub fn vote_of(&self, seat: u32) -> Option<SignedVote> {
        self.signers.vote_of(self.vote(), seat)
    }
}

/// Demands that this certificate makes this header final (CERT-6).
pub fn certify(
    header: Header,
    certificate: &Finalization,
    set: &ValidatorSet,
    namespace: &[u8],
) -> Result<FinalizedHeader, CertError> {
    let id = header.id();
    let Proposal { epoch, view, payload, .. } = certificate.proposal;
    same(id, payload).map_err(CertError::Payload)?;
    same(header.epoch, epoch).map_err(CertError::Epoch)?;
    // CERT-6: the last block of an epoch is proposed again until it is final, so that its view may be a later one.
    if view < header.view {
        return Err(CertError::View { proposed: header.view, certified: view });
    }
    certificate.verify(set, namespace)?;
    Ok(FinalizedHeader::new(header, id))
}

impl FinalizedHeader {
    /// For whoever has proven it: by a certificate, or as the ancestor of a header that has one.
    pub(crate) fn new(header: Header, id: BlockId) -> Self {
        Self { header, id }
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The id of the block.
    pub fn id(&self) -> BlockId {
        self.id
    }
}

impl fmt::Display for FinalizedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} {}", self.header.height, self.id)
    }
}

impl Signers {
    /// How many seats the set has.
    pub fn seats(&self) -> u32 {
        self.seats
    }

    /// The seats that signed, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Signature)> {
        self.signatures.iter().map(|(seat, signature)| (*seat, signature))
    }

    fn assemble(votes: &[(u32, Signature)], set: &ValidatorSet) -> Result<Self, CertError> {
        let (seats, needed) = (set.len(), set.quorum());
        let mut signatures = votes.to_vec();
        signatures.sort_by_key(|(seat, _)| *seat);
        if let Some((seat, _)) = signatures.iter().find(|(seat, _)| *seat >= seats) {
            return Err(CertError::UnknownSeat { seat: *seat, seats });
        }
        if let Some(pair) = signatures.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(CertError::DoubleSeat { seat: pair[0].0 });
        }
        let found = u32::try_from(signatures.len()).expect("at most one signature a seat");
        if found < needed {
            return Err(CertError::Quorum { needed, found });
        }
        Ok(Self { seats, signatures })
    }

    fn vote_of(&self, vote: Vote, seat: u32) -> Option<SignedVote> {
        let place = self.signatures.binary_search_by_key(&seat, |(seat, _)| *seat).ok()?;
        let (seat, signature) = *self.signatures.get(place)?;
        Some(SignedVote { vote, seat, signature })
    }

    fn verify(&self, vote: &Vote, set: &ValidatorSet, namespace: &[u8]) -> Result<(), CertError> {
        // CERT-5: first what costs nothing, then the signatures in one equation.
        same(set.len(), self.seats).map_err(CertError::Seats)?;
        let found = u32::try_from(self.signatures.len()).expect("at most one signature a seat");
        if found < set.quorum() {
            return Err(CertError::Quorum { needed: set.quorum(), found });
        }
        let message = vote.message(namespace);
        let mut signed = Vec::with_capacity(self.signatures.len());
        for (seat, signature) in self.iter() {
            let key = set.key(seat).ok_or(CertError::UnknownSeat { seat, seats: set.len() })?;
            signed.push((*key, *signature));
        }
        if verify_message_batch(&message, &signed).is_ok() {
            return Ok(());
        }
        // One by one has the same verdict, and names the culprit; honest certificates never come here.
        for ((seat, signature), (key, _)) in self.iter().zip(&signed) {
            key.verify(&message, signature).map_err(|_| CertError::Signature { seat, key: *key })?;
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        // CERT-4: the count of seats in eight bytes, most significant first, then a bit for every seat.
        out.extend_from_slice(&u64::from(self.seats).to_be_bytes());
        let mut bitmap = vec![0u8; bitmap_bytes(self.seats)];
        for (seat, _) in self.iter() {
            let byte = usize::try_from(seat / 8).ok().and_then(|byte| bitmap.get_mut(byte));
            *byte.expect("a signer is a seat of the set") |= mask(seat);
        }
        out.extend_from_slice(&bitmap);
        put_varint(out, u64::try_from(self.signatures.len()).expect("at most one signature a seat"));
        for (_, signature) in &self.signatures {
            out.extend_from_slice(&signature.0);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let found = u64::from_be_bytes(reader.array()?);
        let seats = u32::try_from(found).ok().filter(|seats| usize::try_from(*seats).is_ok_and(|n| n <= SEATS_MAX));
        let seats = seats.ok_or(WireError::TooManySeats { max: SEATS_MAX, found })?;
        let bitmap = reader.slice(bitmap_bytes(seats))?;
        let is_set = |seat: u32| {
            let byte = usize::try_from(seat / 8).ok().and_then(|byte| bitmap.get(byte));
            byte.is_some_and(|byte| byte & mask(seat) != 0)
        };
        let end = seats.next_multiple_of(8);
        if (seats..end).any(is_set) {
            return Err(WireError::UnusedBits { seats });
        }
        let signers: Vec<u32> = (0..seats).filter(|seat| is_set(*seat)).collect();
        if signers.is_empty() {
            return Err(WireError::NoSigner);
        }
        let signatures = u64::from(reader.varint32()?);
        if usize::try_from(signatures) != Ok(signers.len()) {
            return Err(WireError::Count { signers: signers.len(), signatures });
        }
        let signatures =
            signers.iter().map(|seat| Ok((*seat, Signature(reader.array()?)))).collect::<Result<_, WireError>>()?;
        Ok(Self { seats, signatures })
    }
}

fn read_certificate<T>(
    bytes: &[u8],
    subject: impl FnOnce(&mut Reader<'_>) -> Result<T, WireError>,
) -> Result<(T, Signers), WireError> {
    let mut reader = Reader::new(bytes, CERTIFICATE_BYTES_MAX)?;
    let certificate = (subject(&mut reader)?, Signers::read(&mut reader)?);
    reader.end()?;
    Ok(certificate)
}

fn write_certificate(vote: &Vote, signers: &Signers) -> Vec<u8> {
    let mut out = Vec::new();
    vote.write(&mut out);
    signers.write(&mut out);
    out
}

fn bitmap_bytes(seats: u32) -> usize {
    usize::try_from(seats.div_ceil(8)).expect("32 bits fit")
}

/// The bit of a seat within its byte, the least significant first.
fn mask(seat: u32) -> u8 {
    1u8.checked_shl(seat % 8).expect("a place within a byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A nullification of epoch 1, view 2 from its parts.
    fn bytes(seats: u64, bitmap: &[u8], count: &[u8], signatures: usize) -> Vec<u8> {
        [&[1, 2], seats.to_be_bytes().as_slice(), bitmap, count, &vec![7; signatures * 64]].concat()
    }

    #[track_caller]
    fn refuses(bytes: &[u8], expected: WireError) {
        assert_eq!(Nullification::decode(bytes), Err(CertError::Wire(expected)));
    }

    #[test]
    fn a_certificate_is_read_as_it_is_written() {
        for bytes in [bytes(4, &[0b1011], &[3], 3), bytes(9, &[1, 1], &[2], 2), bytes(256, &[0x80; 32], &[32], 32)] {
            assert_eq!(Nullification::decode(&bytes).expect("read").encode(), bytes);
        }
        let read = Nullification::decode(&bytes(9, &[0b10, 1], &[2], 2)).expect("read");
        assert_eq!((read.epoch, read.view, read.signers.seats()), (Epoch(1), View(2), 9));
        assert_eq!(read.signers.iter().map(|(seat, _)| seat).collect::<Vec<_>>(), [1, 8]);
    }

    #[test]
    fn what_is_no_certificate_is_refused_by_name() {
        refuses(&bytes(4, &[0b1_1011], &[4], 4), WireError::UnusedBits { seats: 4 });
        refuses(&bytes(9, &[1, 0b10], &[2], 2), WireError::UnusedBits { seats: 9 });
        refuses(&bytes(4, &[0], &[0], 0), WireError::NoSigner);
        refuses(&bytes(0, &[], &[0], 0), WireError::NoSigner);
        refuses(&bytes(4, &[0b1011], &[2], 2), WireError::Count { signers: 3, signatures: 2 });
        refuses(&bytes(4, &[0b1011], &[4], 4), WireError::Count { signers: 3, signatures: 4 });
        refuses(&bytes(4, &[0b1011], &[0x83, 0], 3), WireError::Varint { bits: 32 });
        refuses(&bytes(4, &[0b1011], &[3], 4), WireError::Trailing { left: 64 });
        refuses(&bytes(4, &[0b1011], &[3], 2), WireError::Truncated { needed: 64, left: 0 });
        refuses(&bytes(257, &[1; 33], &[33], 33), WireError::TooManySeats { max: 256, found: 257 });
        refuses(&bytes(u64::MAX, &[], &[], 0), WireError::TooManySeats { max: 256, found: u64::MAX });
        let limit = CERTIFICATE_BYTES_MAX;
        refuses(&vec![0; limit + 1], WireError::TooLong { limit, found: limit + 1 });
    }
}
