//! The integers of the BFT library's codec, read so that every value has exactly one form.

/// Why bytes are not a vote, a certificate or evidence (VOTE-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentence of each variant is its message")]
pub enum WireError {
    #[error("{found} bytes where at most {limit} are allowed")]
    TooLong { limit: usize, found: usize },
    #[error("the bytes end too early: {needed} more were needed, {left} are left")]
    Truncated { needed: usize, left: usize },
    #[error("{left} bytes follow the value")]
    Trailing { left: usize },
    #[error("an integer is not in its shortest form, or has more than {bits} bits")]
    Varint { bits: u32 },
    #[error("a tag of {found}, which names nothing here")]
    Tag { found: u8 },
    #[error("a bitmap of {found} seats where at most {max} are allowed")]
    TooManySeats { max: usize, found: u64 },
    #[error("the bitmap of {seats} seats has a bit set beyond its end")]
    UnusedBits { seats: u32 },
    #[error("a certificate without a signer")]
    NoSigner,
    #[error("{signatures} signatures of {signers} signers")]
    Count { signers: usize, signatures: u64 },
}

/// Bytes that are read from the front.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Takes at most `limit` bytes.
    pub(crate) fn new(bytes: &'a [u8], limit: usize) -> Result<Self, WireError> {
        if bytes.len() > limit {
            return Err(WireError::TooLong { limit, found: bytes.len() });
        }
        Ok(Self { bytes })
    }

    /// The next so many bytes.
    pub(crate) fn slice(&mut self, needed: usize) -> Result<&'a [u8], WireError> {
        let truncated = WireError::Truncated { needed, left: self.bytes.len() };
        let (taken, rest) = self.bytes.split_at_checked(needed).ok_or(truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.slice(N)?);
        Ok(bytes)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// An integer of at most 64 bits: seven bits a byte, the least significant first.
    pub(crate) fn varint64(&mut self) -> Result<u64, WireError> {
        self.varint(u64::BITS)
    }

    /// The same of at most 32 bits.
    pub(crate) fn varint32(&mut self) -> Result<u32, WireError> {
        let value = self.varint(u32::BITS)?;
        u32::try_from(value).map_err(|_| WireError::Varint { bits: u32::BITS })
    }

    fn varint(&mut self, bits: u32) -> Result<u64, WireError> {
        let refused = WireError::Varint { bits };
        let (mut value, mut place) = (0u64, 0u32);
        loop {
            let byte = self.byte()?;
            // VOTE-5: a last byte of zero adds nothing, so that the value has a shorter form.
            if byte == 0 && place > 0 {
                return Err(refused);
            }
            let room = bits.saturating_sub(place);
            let used = u8::BITS.saturating_sub(byte.leading_zeros());
            if room <= 7 && used > room {
                return Err(refused);
            }
            value |= u64::from(byte & 0x7f).checked_shl(place).ok_or(refused)?;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            place = place.saturating_add(7);
        }
    }

    /// Demands that nothing is left.
    pub(crate) fn end(self) -> Result<(), WireError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(WireError::Trailing { left: self.bytes.len() }) }
    }
}

/// Writes an integer in its shortest form.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    let mut rest = value;
    while rest >= 0x80 {
        let [low, ..] = rest.to_le_bytes();
        out.push(low | 0x80);
        rest >>= 7;
    }
    let [low, ..] = rest.to_le_bytes();
    out.push(low);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read64(bytes: &[u8]) -> Result<u64, WireError> {
        let mut reader = Reader::new(bytes, 16)?;
        let value = reader.varint64()?;
        reader.end()?;
        Ok(value)
    }

    fn read32(bytes: &[u8]) -> Result<u32, WireError> {
        let mut reader = Reader::new(bytes, 16)?;
        let value = reader.varint32()?;
        reader.end()?;
        Ok(value)
    }

    #[test]
    fn an_integer_has_one_form() {
        let refused = |bits| Err(WireError::Varint { bits });
        assert_eq!(read64(&[0]), Ok(0));
        assert_eq!(read64(&[0xac, 0x02]), Ok(300));
        assert_eq!(read64(&[0x80, 0x00]), refused(64));
        assert_eq!(read64(&[0xac, 0x82, 0x00]), refused(64));
        assert_eq!(read64(&[0x80]), Err(WireError::Truncated { needed: 1, left: 0 }));
        assert_eq!(read64(&[0, 0]), Err(WireError::Trailing { left: 1 }));
        let nine = [0xff; 9];
        assert_eq!(read64(&[nine.as_slice(), &[1]].concat()), Ok(u64::MAX));
        assert_eq!(read64(&[nine.as_slice(), &[2]].concat()), refused(64));
        assert_eq!(read64(&[nine.as_slice(), &[0x81, 0]].concat()), refused(64));
        assert_eq!(read32(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
        assert_eq!(read32(&[0xff, 0xff, 0xff, 0xff, 0x1f]).map(u64::from), refused(32));
        assert_eq!(read32(&[0xff, 0xff, 0xff, 0xff, 0x8f, 0]).map(u64::from), refused(32));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(read64(&bytes), Ok(value));
        }

        #[test]
        fn what_is_read_is_what_would_be_written(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(value) = read64(&bytes) {
                let mut again = Vec::new();
                put_varint(&mut again, value);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
