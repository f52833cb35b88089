//! What a device has committed, and what became of it: stored once, in its order, and at the sinks.

use std::collections::BTreeMap;

use filters::Event;
use spool::Seq;
use wire::Mark;

use super::{AtSink, SINKS};
use crate::simulation::device::INCARNATION;

/// What the event at this place says.
pub(in super::super) fn value(mark: Mark) -> i16 {
    ((u64::from(mark.boot) * 1000 + mark.seq) % 30_000) as i16
}

/// All streams, by their numbers.
#[derive(Debug, Default)]
pub(in super::super) struct Devices {
    streams: BTreeMap<u8, Committed>,
}

#[derive(Debug, Default)]
struct Committed {
    events: BTreeMap<Mark, Stand>,
    /// Up to here the node has said that it has them.
    acknowledged: Mark,
    /// The last that each sink got without ever refusing it.
    last_at: [Mark; SINKS.len()],
}

/// Where an event stands.
#[derive(Debug, Default)]
struct Stand {
    seq: Option<Seq>,
    at: [AtSink; SINKS.len()],
}

impl Devices {
    fn stand(&mut self, stream: u8, mark: Mark) -> &mut Stand {
        let events = self.streams.get_mut(&stream).map(|it| &mut it.events);
        let stand = events.and_then(|events| events.get_mut(&mark));
        stand.unwrap_or_else(|| panic!("{mark:?} of stream {stream} was never committed"))
    }

    /// The device has committed an event.
    pub(in super::super) fn committed(&mut self, stream: u8, mark: Mark) {
        let events = &mut self.streams.entry(stream).or_default().events;
        events.insert(mark, Stand::default());
    }

    /// The node says that it has all up to here: the device forgets them.
    pub(in super::super) fn acknowledged(&mut self, stream: u8, mark: Mark) {
        let Some(committed) = self.streams.get_mut(&stream) else {
            assert_eq!(mark, Mark::default(), "nothing was committed to {stream}");
            return;
        };
        let last = committed.events.last_key_value().map(|(mark, _)| *mark);
        assert!(
            Some(mark) <= last.max(Some(Mark::default())),
            "{mark:?} of {stream}"
        );
        assert!(
            mark >= committed.acknowledged,
            "the mark of stream {stream} was {:?} and is {mark:?}",
            committed.acknowledged
        );
        committed.acknowledged = mark;
    }

    /// A sink is shown the event that stands at `seq`.
    pub(in super::super) fn shown(&mut self, stream: u8, mark: Mark, seq: Seq, event: &Event) {
        let stand = self.stand(stream, mark);
        let before = *stand.seq.get_or_insert(seq);
        assert_eq!(
            before, seq,
            "{mark:?} of stream {stream} is in the log twice"
        );
        let id = format!("{INCARNATION:08x}{:08x}-{stream}-{}", mark.boot, mark.seq);
        assert_eq!(event.id, id);
        let said = format!("{{\"celsius\":{}}}", value(mark));
        assert_eq!(event.data_bytes(), said.as_bytes(), "{id}");
    }

    /// The receiver refuses it, this time or for good.
    pub(in super::super) fn refused(&mut self, sink: usize, stream: u8, mark: Mark) {
        self.stand(stream, mark).at[sink].refused = true;
    }

    /// The receiver of a sink got it.
    pub(in super::super) fn arrived(&mut self, sink: usize, stream: u8, mark: Mark) {
        let at = &mut self.stand(stream, mark).at[sink];
        let is_first = !std::mem::replace(&mut at.arrived, true);
        let may_pass = at.refused;
        if let Some(committed) = self
            .streams
            .get_mut(&stream)
            .filter(|_| is_first && !may_pass)
        {
            let last = &mut committed.last_at[sink];
            assert!(
                *last < mark,
                "sink {sink} got {mark:?} of {stream} after {last:?}"
            );
            *last = mark;
        }
    }

    /// It stands among the dead letters.
    pub(in super::super) fn buried(&mut self, sink: usize, stream: u8, mark: Mark) {
        self.stand(stream, mark).at[sink].buried = true;
    }

    /// Nothing moves any more: everything is in the log, in its order, and at its sinks; how many are not, by sink, since they
    /// were refused and there was no room for dead letters.
    pub(super) fn check(&self) -> [u64; SINKS.len()] {
        let mut given_up = [0; SINKS.len()];
        for (stream, committed) in &self.streams {
            let mut last = Seq::ZERO;
            for (mark, stand) in &committed.events {
                let seq = stand.seq.unwrap_or_else(|| {
                    panic!("{mark:?} of stream {stream} was committed and is not in the log")
                });
                assert!(last < seq, "{mark:?} of stream {stream} is out of order");
                last = seq;
                for (given_up, at) in given_up.iter_mut().zip(&stand.at) {
                    assert!(at.is_any(), "{mark:?} of stream {stream}: {stand:?}");
                    *given_up += u64::from(!at.arrived && !at.buried);
                }
            }
        }
        given_up
    }

    pub(super) fn count(&self) -> u64 {
        let streams = self.streams.values();
        streams.map(|stream| stream.events.len() as u64).sum()
    }
}
