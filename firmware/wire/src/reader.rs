use crate::DecodeError;

/// Reads postcard's primitives from front to back. After an error it stands anywhere and is not to be used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn u32le(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A varint of a type of `bits` bits: at most ⌈bits ÷ 7⌉ bytes, whose last must not run over the type.
    fn varint(&mut self, bits: u32) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        let mut shift = 0u32;
        loop {
            let byte = self.u8()?;
            let left = bits.saturating_sub(shift);
            let group = byte & 0x7f;
            if left < 7 && u32::from(byte) >> left != 0 {
                return Err(DecodeError::Value);
            }
            value |= u64::from(group) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift = shift.saturating_add(7);
        }
    }

    pub(crate) fn varint16(&mut self) -> Result<u16, DecodeError> {
        let value = self.varint(16)?;
        u16::try_from(value).map_err(|_| DecodeError::Value)
    }

    pub(crate) fn varint32(&mut self) -> Result<u32, DecodeError> {
        let value = self.varint(32)?;
        u32::try_from(value).map_err(|_| DecodeError::Value)
    }

    pub(crate) fn varint64(&mut self) -> Result<u64, DecodeError> {
        self.varint(64)
    }

    /// A zigzag varint of `bits` bits.
    pub(crate) fn signed(&mut self, bits: u32) -> Result<i64, DecodeError> {
        let value = self.varint(bits)?;
        Ok((value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg())
    }

    /// Bytes with their length in front.
    pub(crate) fn bytes(&mut self, most: usize) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.varint32()?).map_err(|_| DecodeError::Bound)?;
        if length > most {
            return Err(DecodeError::Bound);
        }
        self.exactly(length)
    }

    /// The next `length` bytes.
    pub(crate) fn exactly(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Text with its length in front.
    pub(crate) fn text(&mut self, most: usize) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.bytes(most)?).map_err(|_| DecodeError::Value)
    }

    /// What is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// What is left, at most `most` bytes.
    pub(crate) fn data(self, most: usize) -> Result<&'a [u8], DecodeError> {
        if self.rest.len() > most {
            return Err(DecodeError::Bound);
        }
        Ok(self.rest)
    }

    /// Refuses what follows the end of a message.
    pub(crate) fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing)
        }
    }
}
