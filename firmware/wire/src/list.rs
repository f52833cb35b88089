use core::marker::PhantomData;

use crate::{DecodeError, EncodeError, MAX_ITEMS, reader::Reader, writer::Writer};

/// What a list may hold: it can be read off the front of some bytes, and written.
pub(crate) trait Item<'a>: Sized {
    fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
    fn put(&self, writer: &mut Writer<'_>);
}

/// A list within a decoded message. It was walked when the message was decoded, so reading it cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct List<'a, T> {
    count: u8,
    items: Reader<'a>,
    of: PhantomData<T>,
}

impl<T> List<'_, T> {
    /// How many items there are, at most [`MAX_ITEMS`].
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

#[expect(private_bounds, reason = "what a list may hold is settled here")]
impl<'a, T: Item<'a>> List<'a, T> {
    /// Takes a list off the front and walks it.
    pub(crate) fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = reader.u8()?;
        if usize::from(count) > MAX_ITEMS {
            return Err(DecodeError::Count);
        }
        let items = *reader;
        for _ in 0..count {
            T::take(reader)?;
        }
        Ok(List {
            count,
            items,
            of: PhantomData,
        })
    }

    /// The items in their order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let mut items = self.items;
        (0..self.count).map_while(move |_| T::take(&mut items).ok())
    }
}

/// Writes how many items there are and each of them.
pub(crate) fn put_list<'a, T: Item<'a>>(writer: &mut Writer<'_>, items: &[T]) {
    put_count(writer, items.len());
    for item in items {
        item.put(writer);
    }
}

pub(crate) fn put_count(writer: &mut Writer<'_>, count: usize) {
    if count > MAX_ITEMS {
        writer.fail(EncodeError::Bound);
    }
    writer.u8(u8::try_from(count).unwrap_or(u8::MAX));
}
