use crate::{
    EncodeError, MAX_DATA,
    envelope::{BATCH, Head},
    reader::Reader,
    writer::{Writer, varint_len},
};

/// What may stand between the count and the items: a length of up to [`MAX_DATA`] and a time.
const HEADROOM: usize = 2 + 10;

/// Writes a batch: events of one kind with sequences that follow each other.
///
/// While it is filled every item has its own time and length. At the end, what all have in common moves to the front,
/// so a message is up to two bytes an event shorter than the room it needs.
#[derive(Debug)]
pub struct BatchEncoder<'b> {
    buffer: &'b mut [u8],
    count_at: usize,
    used: usize,
    count: u8,
    uptime_ms: u64,
    length: Common<usize>,
    every_ms: Common<u64>,
}

/// What all items so far have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Common<T> {
    Unset,
    All(T),
    Differ,
}

impl<T: PartialEq> Common<T> {
    fn with(self, value: T) -> Self {
        match self {
            Common::Unset => Common::All(value),
            Common::All(ref common) if *common == value => self,
            _ => Common::Differ,
        }
    }
}

impl<'b> BatchEncoder<'b> {
    /// `first` describes the first event to be pushed.
    ///
    /// # Errors
    ///
    /// `into` is too small for a batch of none.
    pub fn new(first: &Head, into: &'b mut [u8]) -> Result<Self, EncodeError> {
        let mut writer = first.put(BATCH, into);
        let count_at = writer.used();
        writer.u8(0).raw(&[0; HEADROOM]);
        let used = writer.used();
        writer.finish()?;
        Ok(BatchEncoder {
            buffer: into,
            count_at,
            used,
            count: 0,
            uptime_ms: first.uptime_ms,
            length: Common::Unset,
            every_ms: Common::Unset,
        })
    }

    /// Adds the next event; the first one has the time of the head. After an error the batch is as it was before,
    /// so a full one can be sent and a new one begun.
    ///
    /// # Errors
    ///
    /// There is no room, `data` is longer than [`MAX_DATA`], there are 255 events, the event is older than the last, or the first is
    /// not of the head's time.
    pub fn push(&mut self, uptime_ms: u64, data: &[u8]) -> Result<(), EncodeError> {
        let after_ms = uptime_ms
            .checked_sub(self.uptime_ms)
            .filter(|after_ms| self.count > 0 || *after_ms == 0)
            .ok_or(EncodeError::Order)?;
        let count = self.count.checked_add(1).ok_or(EncodeError::Bound)?;
        let mut writer = Writer::new(self.buffer.get_mut(self.used..).unwrap_or_default());
        writer
            .varint(after_ms)
            .length(data.len(), MAX_DATA)
            .raw(data);
        let written = writer.finish()?.len();
        self.used = self.used.saturating_add(written);
        if self.count > 0 {
            self.every_ms = self.every_ms.with(after_ms);
        }
        self.length = self.length.with(data.len());
        self.count = count;
        self.uptime_ms = uptime_ms;
        Ok(())
    }

    /// How many events it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether it holds none: such a batch must not be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The whole message.
    #[must_use]
    pub fn finish(self) -> &'b [u8] {
        let length = match self.length {
            Common::All(length) => length.checked_add(1),
            _ => None,
        };
        let every_ms = match self.every_ms {
            Common::Unset => Some(1),
            Common::All(every_ms) => every_ms.checked_add(1),
            Common::Differ => None,
        };
        let from = self.count_at.saturating_add(1).saturating_add(HEADROOM);
        let end = compact(
            self.buffer,
            self.count_at,
            from..self.used,
            self.count,
            length,
            every_ms,
        );
        self.buffer.get(..end).unwrap_or_default()
    }
}

/// Writes the front of a batch and moves its items up to it, without what is said in front. Nothing is overwritten
/// before it was read: an item never grows, and the front fits into the room kept for it. Gives the end.
fn compact(
    buffer: &mut [u8],
    count_at: usize,
    items: core::ops::Range<usize>,
    count: u8,
    length: Option<usize>,
    every_ms: Option<u64>,
) -> usize {
    let mut front = Writer::new(buffer.get_mut(count_at..).unwrap_or_default());
    front
        .u8(count)
        .length(length.unwrap_or(0), usize::MAX)
        .varint(every_ms.unwrap_or(0));
    let mut write_at = count_at.saturating_add(front.used());
    let mut read_at = items.start;
    while read_at < items.end {
        let mut reader = Reader::new(buffer.get(read_at..items.end).unwrap_or_default());
        let (Ok(after_ms), Ok(data)) = (reader.varint64(), reader.bytes(MAX_DATA)) else {
            break;
        };
        let (data_len, rest_len) = (data.len(), reader.rest().len());
        let data_end = items.end.saturating_sub(rest_len);
        let mut writer = Writer::new(buffer.get_mut(write_at..data_end).unwrap_or_default());
        if every_ms.is_none() {
            writer.varint(after_ms);
        }
        if length.is_none() {
            writer.length(data_len, MAX_DATA);
        }
        write_at = write_at.saturating_add(writer.used());
        buffer.copy_within(data_end.saturating_sub(data_len)..data_end, write_at);
        write_at = write_at.saturating_add(data_len);
        read_at = data_end;
    }
    write_at
}

/// How many bytes an event takes at most in a batch, beside the front.
#[must_use]
pub const fn item_len(after_ms: u64, data_len: usize) -> usize {
    varint_len(after_ms)
        .saturating_add(varint_len(data_len as u64))
        .saturating_add(data_len)
}
