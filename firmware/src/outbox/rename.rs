use heapless::Vec;
use wire::{
    EncodeError, Mark,
    envelope::{BatchEncoder, Envelope, Head, encode_event},
};

use super::{Span, queue::EVENTS};
use crate::log::Record;

/// How many renamed boots are known. One more takes the place of the oldest, whose events leave under the ids in flash.
const MOST: usize = 2;
const STORED: usize = 12;

/// Boots whose ids others had before: what they left in flash leaves as the first boot of another incarnation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Renames(Vec<Rename, MOST>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rename {
    incarnation: u32,
    boot: u32,
    to: u32,
}

impl Renames {
    pub(super) fn add(&mut self, incarnation: u32, boot: u32, to: u32) {
        if self.0.is_full() {
            self.0.remove(0);
        }
        let rename = Rename {
            incarnation,
            boot,
            to,
        };
        let _ = self.0.push(rename); // there is a place
    }

    pub(super) fn encode(&self) -> Vec<u8, { MOST * STORED }> {
        let words = self
            .0
            .iter()
            .flat_map(|it| [it.incarnation, it.boot, it.to]);
        words.flat_map(u32::to_le_bytes).collect()
    }

    pub(super) fn decode(bytes: &[u8]) -> Self {
        let words = bytes
            .chunks_exact(4)
            .filter_map(|word| word.try_into().ok());
        let mut words = words.map(u32::from_le_bytes);
        let mut renames = Renames::default();
        while let (Some(incarnation), Some(boot), Some(to)) =
            (words.next(), words.next(), words.next())
        {
            renames.add(incarnation, boot, to);
        }
        renames
    }

    /// Which events a record of a class holds, by the ids under which they leave.
    pub(super) fn span_of(&self, record: &Record<'_>) -> Option<Span> {
        let span = Span::of(record.payload).filter(|_| record.kind == EVENTS)?;
        let is_of = |it: &&Rename| (it.incarnation, it.boot) == (span.incarnation, span.boot);
        Some(self.0.iter().find(is_of).map_or(span, |rename| Span {
            incarnation: rename.to,
            boot: 1,
            ..span
        }))
    }
}

/// Writes a stored message with the ids of `span`: its length, which is no more than before.
pub(super) fn rename(message: &[u8], span: Span, into: &mut [u8]) -> Result<usize, EncodeError> {
    let envelope = Envelope::decode(message).map_err(|_| EncodeError::Bound)?;
    let head = Head {
        incarnation: Some(span.incarnation),
        mark: Mark {
            boot: span.boot,
            seq: span.first_seq,
        },
        ..envelope.head()
    };
    let mut events = envelope.events(span.incarnation);
    if !envelope.is_batch() {
        let data = events.next().map_or(&[][..], |event| event.data);
        return Ok(encode_event(&head, data, into)?.len());
    }
    let mut batch = BatchEncoder::new(&head, into)?;
    for event in events {
        batch.push(event.uptime_ms, event.data)?;
    }
    Ok(batch.finish().len())
}
