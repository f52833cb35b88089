use core::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::{DecodeError, EncodeError, take};

/// The most items a list may have.
pub(crate) const MAX_ITEMS: usize = 127;

/// A list within a decoded message. It was walked when the message was decoded, so reading it cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct List<'a, T> {
    count: u8,
    bytes: &'a [u8],
    of: PhantomData<T>,
}

impl<'a, T: Deserialize<'a>> List<'a, T> {
    /// Takes a list off the front and walks it; `check` sees every item.
    pub(crate) fn take(
        bytes: &'a [u8],
        mut check: impl FnMut(&T) -> Result<(), DecodeError>,
    ) -> Result<(Self, &'a [u8]), DecodeError> {
        let (count, bytes) = bytes.split_first().ok_or(DecodeError::Short)?;
        if usize::from(*count) > MAX_ITEMS {
            return Err(DecodeError::Count);
        }
        let mut rest = bytes;
        for _ in 0..*count {
            let (item, after) = take::<T>(rest)?;
            check(&item)?;
            rest = after;
        }
        Ok((
            List {
                count: *count,
                bytes,
                of: PhantomData,
            },
            rest,
        ))
    }

    /// The items in their order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let mut rest = self.bytes;
        (0..self.count).map_while(move |_| {
            let (item, after) = take::<T>(rest).ok()?;
            rest = after;
            Some(item)
        })
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Writes a message from front to back into a buffer that the caller owns.
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    used: usize,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(buffer: &'b mut [u8], head: u8) -> Result<Self, EncodeError> {
        let mut writer = Writer { buffer, used: 0 };
        writer.bytes(&[head])?;
        Ok(writer)
    }

    pub(crate) fn value(&mut self, value: &impl Serialize) -> Result<(), EncodeError> {
        let room = self.buffer.get_mut(self.used..).ok_or(EncodeError::Room)?;
        let written = postcard::to_slice(value, room)
            .map_err(|_| EncodeError::Room)?
            .len();
        self.used = self.used.saturating_add(written);
        Ok(())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let end = self
            .used
            .checked_add(bytes.len())
            .ok_or(EncodeError::Room)?;
        self.buffer
            .get_mut(self.used..end)
            .ok_or(EncodeError::Room)?
            .copy_from_slice(bytes);
        self.used = end;
        Ok(())
    }

    pub(crate) fn list<T: Serialize>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
    ) -> Result<(), EncodeError> {
        let count = u8::try_from(items.len()).map_err(|_| EncodeError::Bound)?;
        if usize::from(count) > MAX_ITEMS {
            return Err(EncodeError::Bound);
        }
        self.value(&count)?;
        for item in items {
            self.value(&item)?;
        }
        Ok(())
    }

    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Forgets what was written after `used`.
    pub(crate) fn cut(&mut self, used: usize) {
        self.used = self.used.min(used);
    }

    pub(crate) fn replace(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.buffer.get_mut(at) {
            *place = byte;
        }
    }

    pub(crate) fn finish(self) -> &'b [u8] {
        let Writer { buffer, used } = self;
        buffer.get(..used).unwrap_or_default()
    }
}
