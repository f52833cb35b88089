//! Events on their way up (`d/<id>`): one, or a batch of one kind. The bytes are specified in the crate's documentation.

use crate::{
    DecodeError, EncodeError, EventId, MAX_DATA, Mark, Stream, head, kind::KindId, list::Item,
    reader::Reader, take_head, writer::Writer,
};

pub use crate::batch::BatchEncoder;

pub(crate) const BATCH: u8 = 0b1_0000;
const FOREIGN: u8 = 0b0_1000;

/// What an envelope says of its first, or only, event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Of the outbox the event was committed to; `None` for that of the connection's birth.
    pub incarnation: Option<u32>,
    /// The outbox class.
    pub stream: Stream,
    /// The boot in which the event was taken, from 1, and its sequence, from 1.
    pub mark: Mark,
    /// Milliseconds from that boot to the event.
    pub uptime_ms: u64,
    /// What the data means; announced on this connection.
    pub kind: KindId,
}

impl Head {
    pub(crate) fn put<'b>(&self, batch: u8, into: &'b mut [u8]) -> Writer<'b> {
        let foreign = if self.incarnation.is_some() {
            FOREIGN
        } else {
            0
        };
        let mut writer = head(batch | foreign | self.stream.number(), into);
        if let Some(incarnation) = self.incarnation {
            writer.u32le(incarnation);
        }
        self.mark.put(&mut writer);
        writer.varint(self.uptime_ms);
        self.kind.put(&mut writer);
        if self.mark.boot == 0 || self.mark.seq == 0 {
            writer.fail(EncodeError::Bound);
        }
        writer
    }

    fn take(detail: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let head = Head {
            incarnation: if detail & FOREIGN == 0 {
                None
            } else {
                Some(reader.u32le()?)
            },
            stream: Stream::new(detail & 0b111).ok_or(DecodeError::Value)?,
            mark: Mark::take(reader)?,
            uptime_ms: reader.varint64()?,
            kind: KindId::take(reader)?,
        };
        if head.mark.boot == 0 || head.mark.seq == 0 {
            return Err(DecodeError::Value);
        }
        Ok(head)
    }
}

/// Writes one event; the part of `into` that holds it.
///
/// # Errors
///
/// `into` is too small, or `data` is longer than [`MAX_DATA`].
pub fn encode_event<'b>(
    head: &Head,
    data: &[u8],
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let mut writer = head.put(0, into);
    writer.data(data, MAX_DATA);
    writer.finish()
}

/// A decoded message of `d/<id>`.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    head: Head,
    body: Body<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Body<'a> {
    Single(&'a [u8]),
    Batch(Batch<'a>),
}

/// The items of a batch and what they have in common.
#[derive(Clone, Copy, Debug)]
struct Batch<'a> {
    count: u8,
    length: Option<usize>,
    every_ms: Option<u64>,
    items: Reader<'a>,
}

/// One event of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its identity.
    pub id: EventId,
    /// Milliseconds from the boot in `id` to the event.
    pub uptime_ms: u64,
    /// What was measured, in the encoding its kind names.
    pub data: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads and checks a whole message.
    ///
    /// # Errors
    ///
    /// The bytes are no message of this topic.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (detail, mut reader) = take_head(bytes)?;
        let head = Head::take(detail, &mut reader)?;
        let body = if detail & BATCH == 0 {
            Body::Single(reader.data(MAX_DATA)?)
        } else {
            Body::Batch(Batch::take(&head, reader)?)
        };
        Ok(Envelope { head, body })
    }

    /// What it says of its first event.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// Whether it came as a batch, which is acknowledged whole.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        matches!(self.body, Body::Batch(_))
    }

    /// How many events it has, at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        match self.body {
            Body::Single(_) => 1,
            Body::Batch(batch) => batch.count.into(),
        }
    }

    /// The events in their order; `born` is the incarnation of the connection's birth.
    pub fn events(&self, born: u32) -> impl Iterator<Item = Event<'a>> + use<'a> {
        let Envelope { head, body } = *self;
        let incarnation = head.incarnation.unwrap_or(born);
        let (mut uptime_ms, mut rest) = (head.uptime_ms, body);
        (0..self.count()).map_while(move |index| {
            let (after_ms, data) = match &mut rest {
                Body::Single(data) => (0, *data),
                Body::Batch(batch) => batch.item(index == 0).ok()?,
            };
            uptime_ms = uptime_ms.checked_add(after_ms)?;
            let seq = head.mark.seq.checked_add(u64::try_from(index).ok()?)?;
            let id = EventId {
                incarnation,
                boot: head.mark.boot,
                stream: head.stream,
                seq,
            };
            Some(Event {
                id,
                uptime_ms,
                data,
            })
        })
    }
}

impl<'a> Batch<'a> {
    fn take(head: &Head, mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let count = reader.u8()?;
        let last = count.checked_sub(1).ok_or(DecodeError::Count)?;
        let length = match reader.varint32()?.checked_sub(1) {
            None => None,
            Some(length) => Some(usize::try_from(length).map_err(|_| DecodeError::Bound)?),
        };
        if length.is_some_and(|length| length > MAX_DATA) {
            return Err(DecodeError::Bound);
        }
        let every_ms = reader.varint64()?.checked_sub(1);
        let batch = Batch {
            count,
            length,
            every_ms,
            items: reader,
        };

        head.mark
            .seq
            .checked_add(last.into())
            .ok_or(DecodeError::Overflow)?;
        let mut uptime_ms = head.uptime_ms;
        let mut walk = batch;
        for index in 0..count {
            let (after_ms, _) = walk.item(index == 0)?;
            uptime_ms = uptime_ms
                .checked_add(after_ms)
                .ok_or(DecodeError::Overflow)?;
        }
        walk.items.end()?;
        Ok(batch)
    }

    /// The next item: milliseconds after the one before, and data.
    fn item(&mut self, is_first: bool) -> Result<(u64, &'a [u8]), DecodeError> {
        let after_ms = match self.every_ms {
            Some(_) if is_first => 0,
            Some(every_ms) => every_ms,
            None => self.items.varint64()?,
        };
        if is_first && after_ms > 0 {
            return Err(DecodeError::Value);
        }
        let data = match self.length {
            Some(length) => self.items.exactly(length)?,
            None => self.items.bytes(MAX_DATA)?,
        };
        Ok((after_ms, data))
    }
}
