//! Events on their way up: one, or a batch of one kind. The bytes are specified in the crate's documentation.

use serde::{Deserialize, Serialize};

use crate::{
    DecodeError, EncodeError, EventId, Stream, birth::KindId, head, list::Writer, take, take_head,
};

const BATCH: u8 = 0b1_0000;

/// What an envelope says of its first, or only, event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Of the outbox the event was committed to.
    pub incarnation: u32,
    /// The boot in which the event was taken.
    pub boot: u32,
    /// The outbox class.
    pub stream: Stream,
    /// What the data means; announced by the birth.
    pub kind: KindId,
    /// The sequence within boot and stream.
    pub seq: u64,
    /// Milliseconds from that boot to the event.
    pub uptime_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Fields {
    incarnation: [u8; 4],
    boot: u32,
    seq: u64,
    uptime_ms: u64,
    kind: KindId,
}

impl Head {
    fn fields(&self) -> Fields {
        Fields {
            incarnation: self.incarnation.to_le_bytes(),
            boot: self.boot,
            seq: self.seq,
            uptime_ms: self.uptime_ms,
            kind: self.kind,
        }
    }
}

/// Writes one event; the part of `into` that holds it.
pub fn encode_event<'b>(
    head_of: &Head,
    data: &[u8],
    into: &'b mut [u8],
) -> Result<&'b [u8], EncodeError> {
    let mut writer = Writer::new(into, head(head_of.stream.number()))?;
    writer.value(&head_of.fields())?;
    writer.bytes(data)?;
    Ok(writer.finish())
}

/// Writes a batch: events of one kind with sequences that follow each other.
pub struct BatchEncoder<'b> {
    writer: Writer<'b>,
    count_at: usize,
    count: u8,
    uptime_ms: u64,
}

impl<'b> BatchEncoder<'b> {
    /// `first` describes the first event to be pushed.
    pub fn new(first: &Head, into: &'b mut [u8]) -> Result<Self, EncodeError> {
        let mut writer = Writer::new(into, head(BATCH | first.stream.number()))?;
        writer.value(&first.fields())?;
        let count_at = writer.used();
        writer.value(&0u8)?;
        Ok(BatchEncoder {
            writer,
            count_at,
            count: 0,
            uptime_ms: first.uptime_ms,
        })
    }

    /// Adds the next event. After an error the batch is as it was before, so a full one can be sent and a new one begun.
    pub fn push(&mut self, uptime_ms: u64, data: &[u8]) -> Result<(), EncodeError> {
        let after = uptime_ms
            .checked_sub(self.uptime_ms)
            .ok_or(EncodeError::Order)?;
        let count = self.count.checked_add(1).ok_or(EncodeError::Bound)?;
        let before = self.writer.used();
        if let Err(error) = self.write(after, data) {
            self.writer.cut(before);
            return Err(error);
        }
        self.count = count;
        self.uptime_ms = uptime_ms;
        Ok(())
    }

    fn write(&mut self, after_ms: u64, data: &[u8]) -> Result<(), EncodeError> {
        self.writer.value(&after_ms)?;
        self.writer.value(&data.len())?;
        self.writer.bytes(data)
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
    pub fn finish(mut self) -> &'b [u8] {
        self.writer.replace(self.count_at, self.count);
        self.writer.finish()
    }
}

/// A decoded message of `d/<id>`.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    head: Head,
    batch: Option<u8>,
    bytes: &'a [u8],
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
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (detail, rest) = take_head(bytes)?;
        let stream = Stream::new(detail & 0x0f).ok_or(DecodeError::Value)?;
        let (fields, rest) = take::<Fields>(rest)?;
        let head = Head {
            incarnation: u32::from_le_bytes(fields.incarnation),
            boot: fields.boot,
            stream,
            kind: fields.kind,
            seq: fields.seq,
            uptime_ms: fields.uptime_ms,
        };
        if detail & BATCH == 0 {
            return Ok(Envelope {
                head,
                batch: None,
                bytes: rest,
            });
        }
        let (count, items) = rest.split_first().ok_or(DecodeError::Short)?;
        let last = count.checked_sub(1).ok_or(DecodeError::Count)?;
        head.seq
            .checked_add(u64::from(last))
            .ok_or(DecodeError::Overflow)?;
        let (mut uptime_ms, mut rest) = (head.uptime_ms, items);
        for _ in 0..*count {
            let (after_ms, _, next) = take_item(rest)?;
            uptime_ms = uptime_ms
                .checked_add(after_ms)
                .ok_or(DecodeError::Overflow)?;
            rest = next;
        }
        crate::end(rest)?;
        Ok(Envelope {
            head,
            batch: Some(*count),
            bytes: items,
        })
    }

    /// What it says of its first event.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// Whether it came as a batch, which is acknowledged whole.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// The events in their order, at least one.
    pub fn events(&self) -> impl Iterator<Item = Event<'a>> + use<'a> {
        let Envelope { head, batch, bytes } = *self;
        let (mut uptime_ms, mut rest) = (head.uptime_ms, bytes);
        (0..batch.unwrap_or(1)).map_while(move |index| {
            let data = if batch.is_some() {
                let (after_ms, data, next) = take_item(rest).ok()?;
                uptime_ms = uptime_ms.checked_add(after_ms)?;
                rest = next;
                data
            } else {
                rest
            };
            let seq = head.seq.checked_add(u64::from(index))?;
            let id = EventId {
                incarnation: head.incarnation,
                boot: head.boot,
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

/// One item of a batch: milliseconds after the one before, data, the rest.
fn take_item(bytes: &[u8]) -> Result<(u64, &[u8], &[u8]), DecodeError> {
    let (after_ms, rest) = take::<u64>(bytes)?;
    let (data, rest) = take::<&[u8]>(rest)?;
    Ok((after_ms, data, rest))
}
