use crate::EncodeError;

/// Writes a message from front to back into a buffer that the caller owns. The first error stays and is told at the end.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    used: usize,
    fault: Option<EncodeError>,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(buffer: &'b mut [u8]) -> Self {
        Writer {
            buffer,
            used: 0,
            fault: None,
        }
    }

    pub(crate) fn u8(&mut self, byte: u8) -> &mut Self {
        self.raw(&[byte])
    }

    pub(crate) fn u32le(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn varint(&mut self, value: impl Into<u64>) -> &mut Self {
        let mut value = value.into();
        loop {
            let [group, ..] = (value & 0x7f).to_le_bytes();
            value >>= 7;
            if value == 0 {
                return self.u8(group);
            }
            self.u8(group | 0x80);
        }
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.used.saturating_add(bytes.len());
        match self.buffer.get_mut(self.used..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.used = end;
            }
            None => self.fail(EncodeError::Room),
        }
        self
    }

    /// Bytes as they are, at most `most`.
    pub(crate) fn data(&mut self, bytes: &[u8], most: usize) -> &mut Self {
        if bytes.len() > most {
            self.fail(EncodeError::Bound);
        }
        self.raw(bytes)
    }

    /// Text with its length in front.
    pub(crate) fn text(&mut self, text: &str, most: usize) -> &mut Self {
        self.length(text.len(), most).raw(text.as_bytes())
    }

    /// A length, at most `most`.
    pub(crate) fn length(&mut self, length: usize, most: usize) -> &mut Self {
        if length > most {
            self.fail(EncodeError::Bound);
        }
        self.varint(u32::try_from(length).unwrap_or(u32::MAX))
    }

    /// Notes an error, unless there is an earlier one.
    pub(crate) fn fail(&mut self, error: EncodeError) {
        self.fault.get_or_insert(error);
    }

    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The message, or the first error.
    pub(crate) fn finish(self) -> Result<&'b [u8], EncodeError> {
        match self.fault {
            Some(error) => Err(error),
            None => Ok(self.buffer.get(..self.used).unwrap_or_default()),
        }
    }
}

/// How many bytes a varint takes.
pub(crate) const fn varint_len(value: u64) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        0x1000_0000..0x8_0000_0000 => 5,
        0x8_0000_0000..0x400_0000_0000 => 6,
        0x400_0000_0000..0x2_0000_0000_0000 => 7,
        0x2_0000_0000_0000..0x100_0000_0000_0000 => 8,
        0x100_0000_0000_0000..0x8000_0000_0000_0000 => 9,
        _ => 10,
    }
}
