//! One connection of a device: whether it was born, what it must send again, what it is to be told.

use std::collections::{BTreeMap, VecDeque};

use filters::decode::device::DeviceKinds;
use spool::{NodeTime, Seq};
use wire::{MAX_JUMP, Mark, answer::BirthReason, answer::Stored, envelope::Envelope};

use super::{Device, Wanted, place::StreamId};

/// Milliseconds between two acknowledgements to one device.
const ACK_EVERY_MS: u64 = 20;

/// Streams that are stopped at one time: as many as are kept of one device.
const MAX_STOPPED: usize = 64;

/// The state of one connection; nothing of it survives.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// The outbox of the birth of this connection; `None` before it.
    pub(crate) born: Option<u32>,
    /// Tables that came before the birth.
    pub(crate) beside: DeviceKinds,
    /// Streams of which an event was refused.
    stopped: BTreeMap<StreamId, Stopped>,
    /// What the device is not yet told: stored once this position is committed.
    owed: VecDeque<(Seq, StreamId, Mark)>,
    /// Whole messages that leave once this position is committed.
    waiting: VecDeque<(Seq, Vec<u8>)>,
    /// What goes down once this position is committed.
    down: VecDeque<(Seq, Down)>,
    /// The last command that was sent on this connection since the birth.
    pub(crate) commanded: Option<u64>,
    next_ack: NodeTime,
}

/// What goes to a device on `c/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// The command of this number.
    Command(u64),
    /// The configuration it is to work with.
    Configuration,
}

/// What is to be done with a message of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All but the first `have` of them are new; before the first new one `missing` are missing.
    Take { have: usize, missing: u64 },
    /// All of them are stored or about to be.
    Repeat,
    /// Not taken: an earlier one of the stream has to come first.
    Behind(Stopped),
    /// Not taken; the device is asked for its birth.
    Ask(BirthReason),
    /// Not taken: the device has more streams than the node keeps.
    TooManyStreams,
}

/// What a stopped stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// The event that has to return.
    pub(crate) at: Mark,
    /// When, from the moment the device hears of it; `None`: once the birth that it was asked for has come.
    pub(crate) after_ms: Option<u32>,
}

impl Link {
    /// Begins a connection, or a new birth on it.
    pub(crate) fn be_born(&mut self, incarnation: u32) {
        self.born = Some(incarnation);
        self.stopped.clear();
        self.down.clear();
        self.commanded = None;
        self.beside = DeviceKinds::default();
    }

    /// What to do with a message of events of a device that was born on this connection, of which `wanted` is asked for.
    pub(crate) fn judge(
        &self,
        device: &Device,
        wanted: Option<&Wanted>,
        envelope: &Envelope<'_>,
    ) -> Verdict {
        let Some(born) = self.born else {
            return Verdict::Ask(BirthReason::Missing);
        };
        let head = envelope.head();
        let stream = StreamId::of(head.incarnation.unwrap_or(born), head.stream);
        let known = device.mark(stream);
        let count = envelope.count();
        let have = match known.boot.cmp(&head.mark.boot) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Greater => count,
            std::cmp::Ordering::Equal => {
                let stored = known.seq.saturating_add(1).saturating_sub(head.mark.seq);
                usize::try_from(stored).unwrap_or(usize::MAX).min(count)
            }
        };
        if have == count {
            return Verdict::Repeat;
        }
        if let Some(stopped) = self.stopped.get(&stream)
            && head.mark > stopped.at
        {
            return Verdict::Behind(*stopped);
        }
        let is_given_up = wanted.is_some_and(|it| it.is_given_up(head.kind));
        if device.kinds().event_type(head.kind).is_none() && !is_given_up {
            return Verdict::Ask(BirthReason::UnknownKind);
        }
        if !device.has_place_for(stream) {
            return Verdict::TooManyStreams;
        }
        let missing = match have {
            0 => device.missing_before(stream, head.mark),
            _ => 0,
        };
        if missing > MAX_JUMP {
            return Verdict::Ask(BirthReason::Jump);
        }
        Verdict::Take { have, missing }
    }

    /// Nothing later of the stream is taken until the event at this place returns. Where that is asked of more streams than a
    /// device has, nothing at all is taken until it is born again.
    pub(crate) fn stop(&mut self, stream: StreamId, stopped: Stopped) {
        if self.stopped.len() >= MAX_STOPPED && !self.stopped.contains_key(&stream) {
            self.born = None;
        }
        if self.born.is_none() {
            self.stopped.clear();
            return;
        }
        let known = self.stopped.entry(stream).or_insert(stopped);
        if stopped.at <= known.at {
            *known = stopped;
        }
    }

    /// Events of the stream were taken or are there already: the device is told when `seq` is committed.
    pub(crate) fn owe(&mut self, seq: Seq, stream: StreamId, mark: Mark) {
        if self.stopped.get(&stream).is_some_and(|it| it.at <= mark) {
            self.stopped.remove(&stream);
        }
        // A repeat needs no entry of its own while one of its stream waits for as much.
        match self.owed.back_mut() {
            Some(last) if last.0 == seq && last.1 == stream => last.2 = last.2.max(mark),
            _ => self.owed.push_back((seq, stream, mark)),
        }
    }

    /// A message that leaves when `seq` is committed.
    pub(crate) fn tell(&mut self, seq: Seq, message: Vec<u8>) {
        self.waiting.push_back((seq, message));
    }

    /// Whether a commit behind `committed` lets anything leave. What is committed and not yet told waits for its time.
    pub(crate) fn waits_for_commit(&self, committed: Seq) -> bool {
        let owed = self.owed.front().map(|(gate, _, _)| *gate);
        let waiting = self.waiting.front().map(|(gate, _)| *gate);
        let down = self.down.front().map(|(gate, _)| *gate);
        let gates = [owed, waiting, down].into_iter().flatten();
        gates.max().is_some_and(|gate| gate > committed)
    }

    /// The next whole message that may leave.
    pub(crate) fn take_message(&mut self, committed: Seq) -> Option<Vec<u8>> {
        let (gate, _) = self.waiting.front()?;
        if *gate > committed {
            return None;
        }
        self.waiting.pop_front().map(|(_, message)| message)
    }

    /// What goes down when `seq` is committed.
    pub(crate) fn send_down(&mut self, seq: Seq, what: Down) {
        if let Down::Command(command) = what {
            self.commanded = Some(command);
        }
        self.down.push_back((seq, what));
    }

    /// The next that may go down.
    pub(crate) fn take_down(&mut self, committed: Seq) -> Option<Down> {
        let (gate, _) = self.down.front()?;
        if *gate > committed {
            return None;
        }
        self.down.pop_front().map(|(_, what)| what)
    }

    /// The connection has no room for it yet.
    pub(crate) fn put_back(&mut self, what: Down) {
        self.down.push_front((Seq::ZERO, what));
    }

    /// What may be acknowledged now; `Err` says when to ask again for what is committed already.
    pub(crate) fn take_acks(
        &mut self,
        committed: Seq,
        now: NodeTime,
    ) -> Result<Vec<Stored>, NodeTime> {
        let is_ready = |owed: Option<&(Seq, StreamId, Mark)>| {
            owed.is_some_and(|(gate, _, _)| *gate <= committed)
        };
        if !is_ready(self.owed.front()) {
            return Ok(Vec::new());
        }
        if now < self.next_ack {
            return Err(self.next_ack);
        }
        self.next_ack = NodeTime(now.0 + ACK_EVERY_MS);
        let mut marks: BTreeMap<StreamId, Mark> = BTreeMap::new();
        while is_ready(self.owed.front()) {
            if let Some((_, stream, mark)) = self.owed.pop_front() {
                let told = marks.entry(stream).or_default();
                *told = mark.max(*told);
            }
        }
        let stored = marks.into_iter();
        Ok(stored
            .filter_map(|(stream, mark)| stream.stored(mark))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_device_has_more_streams_stopped_than_are_kept_of_one() {
        let stopped = Stopped {
            at: Mark { boot: 1, seq: 1 },
            after_ms: None,
        };
        let stream = |incarnation| StreamId {
            incarnation,
            number: 0,
        };
        let mut link = Link::default();
        link.stop(stream(0), stopped);
        assert_eq!(link.stopped.len(), 0, "nothing is taken before the birth");
        link.be_born(7);
        for incarnation in 0..64 {
            link.stop(stream(incarnation), stopped);
        }
        assert_eq!((link.stopped.len(), link.born), (64, Some(7)));
        link.stop(stream(64), stopped);
        assert_eq!((link.stopped.len(), link.born), (0, None));
    }

    #[test]
    fn what_is_committed_and_has_to_wait_for_its_time_waits_for_no_commit() {
        let stream = StreamId {
            incarnation: 1,
            number: 0,
        };
        let mark = |seq| Mark { boot: 1, seq };
        let mut link = Link::default();
        link.owe(Seq(1), stream, mark(1));
        assert!(link.waits_for_commit(Seq(0)));
        let first = link.take_acks(Seq(1), NodeTime(100)).unwrap();
        assert_eq!(first.first().map(|it| it.mark), Some(mark(1)));
        link.owe(Seq(2), stream, mark(2));
        assert!(link.waits_for_commit(Seq(1)));
        assert_eq!(link.take_acks(Seq(2), NodeTime(101)), Err(NodeTime(120)));
        assert!(!link.waits_for_commit(Seq(2)));
        link.tell(Seq(3), vec![1]);
        assert!(link.waits_for_commit(Seq(2)), "a message behind it");
    }
}
