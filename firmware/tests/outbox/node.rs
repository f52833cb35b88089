//! A node that keeps its promises: marks, data and gaps are stored together.

use std::collections::BTreeMap;

use wire::{
    Mark, Stream,
    birth::{Dropped, StreamState},
    envelope::Envelope,
};

use super::device::Said;

/// Incarnation, boot, stream, sequence.
pub(crate) type Id = (u32, u32, u8, u64);

/// Lives that are tried, and at which of their operations they are cut.
pub(crate) const SEEDS: u64 = 4;
pub(crate) const EVERY: usize = 1;

#[derive(Default)]
pub(crate) struct Node {
    marks: BTreeMap<(u32, u8), Mark>,
    /// What came, in its order.
    pub(crate) events: Vec<(Id, Vec<u8>)>,
    /// Incarnation, stream, and both ends of what will never come.
    ledger: Vec<(u32, u8, Mark, Mark)>,
}

impl Node {
    pub(crate) fn mark(&self, incarnation: u32, stream: Stream) -> Mark {
        self.marks
            .get(&(incarnation, stream.number()))
            .copied()
            .unwrap_or_default()
    }

    /// Takes a birth, as far as the outbox speaks in it.
    pub(crate) fn born(&mut self, _: (u32, u32), streams: &[StreamState], dropped: &[Dropped]) {
        for state in streams {
            let mark = self.mark(state.incarnation, state.stream);
            if state.oldest > mark {
                self.ledger
                    .push((state.incarnation, state.stream.number(), mark, state.oldest));
            }
        }
        for dropped in dropped {
            self.ledger.push((
                dropped.incarnation,
                dropped.stream.number(),
                dropped.from,
                dropped.to,
            ));
        }
    }

    /// Takes a message: of which stream it is.
    pub(crate) fn receive(&mut self, born: u32, message: &[u8]) -> (u32, Stream) {
        let envelope = Envelope::decode(message).unwrap();
        let head = envelope.head();
        let incarnation = head.incarnation.unwrap_or(born);
        for event in envelope.events(born) {
            let (mark, stream) = (event.id.mark(), event.id.stream.number());
            let stored = self.mark(incarnation, event.id.stream);
            if mark <= stored {
                continue;
            }
            self.ledger.push((incarnation, stream, stored, mark));
            self.marks.insert((incarnation, stream), mark);
            self.events.push((
                (incarnation, mark.boot, stream, mark.seq),
                event.data.to_vec(),
            ));
        }
        (incarnation, head.stream)
    }

    /// What was committed, did not come, and is not in the ledger.
    pub(crate) fn unreported(&self, gone: &[&Said]) -> Vec<String> {
        let committed = gone.iter().filter(|said| said.is_committed);
        let unreported = committed.filter(|said| !self.reports(said.id));
        unreported
            .map(|said| format!("{said:?} is lost and not reported"))
            .collect()
    }

    fn reports(&self, (incarnation, boot, stream, seq): Id) -> bool {
        let mark = Mark { boot, seq };
        self.ledger.iter().any(|(of, number, from, to)| {
            (*of, *number) == (incarnation, stream) && *from <= mark && mark <= *to
        })
    }
}
