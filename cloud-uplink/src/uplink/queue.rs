//! What waits to be sent: one line per partition key, of which one batch at a time holds a part.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use spool::{Lane, Seq};

use super::{BatchId, backoff::Backoff};

/// A partition key within a lane and a target: order across the topics of a receiver is nothing anybody could see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LineKey {
    pub(crate) lane: Lane,
    key: u64,
}

impl LineKey {
    /// Two keys or targets that meet in the hash wait for each other, no more.
    pub(crate) fn new(lane: Lane, key: u64, target: &str) -> LineKey {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        LineKey {
            lane,
            key: target.bytes().fold(key, fold),
        }
    }
}

/// An event that waits, or is in flight.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) seq: Seq,
    pub(crate) line: LineKey,
    pub(crate) target: Arc<str>,
    pub(crate) bytes: usize,
    /// The largest batch it may be part of: halved whenever a batch with it was refused.
    pub(crate) batch_max: usize,
    /// Times sent.
    pub(crate) tries: u32,
    pub(crate) doubt: Option<Doubt>,
}

/// What stands against an event that was refused, perhaps by no fault of its own.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    pub(crate) refusals: u32,
    /// The first batch sent after the first refusal: what one before it says of the target is older news.
    pub(crate) since: BatchId,
    pub(crate) backoff: Backoff,
}

/// Lane first, then position.
type Place = (Lane, Seq);

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    state: LineState,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum LineState {
    #[default]
    Ready,
    /// A batch holds events of it.
    InFlight,
    /// Its first event was refused.
    Resting(Instant),
    /// The event at this index is sent next, to learn whether those before it are at fault.
    Probing(usize),
}

/// What is known of a target while anything waits for it.
#[derive(Debug, Default)]
struct Target {
    ready: BTreeMap<Place, LineKey>,
    events: usize,
    /// The latest batch of which an event was accepted.
    accepted: Option<BatchId>,
    /// Refusals since the last acceptance.
    strikes: u32,
    backoff: Backoff,
    resting: Option<Instant>,
}

/// Refusals of a target in a row, with nothing accepted between, before the target rests as a whole. Enough to find one
/// event in a batch of a thousand by halving it.
pub(super) const STRIKES: u32 = 12;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    lines: HashMap<LineKey, Line>,
    targets: HashMap<Arc<str>, Target>,
    /// First events of the lines that may be sent, of targets that do not rest.
    ready: BTreeMap<Place, Arc<str>>,
    resting_lines: BTreeSet<(Instant, LineKey)>,
    resting_targets: BTreeSet<(Instant, Arc<str>)>,
    events: usize,
}

/// What a batch may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    /// Lowest position first, whatever its lane.
    pub(crate) by_position: bool,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.events
    }

    /// Adds an event behind those of its key.
    pub(crate) fn push(&mut self, waiting: Waiting) {
        self.count(&waiting.target);
        self.events += 1;
        let key = waiting.line;
        self.withdraw(key);
        let line = self.lines.entry(key).or_default();
        let place = line
            .waiting
            .partition_point(|other| other.seq < waiting.seq);
        line.waiting.insert(place, waiting);
        self.offer(key);
    }

    /// Counts an event for its target until `forget`.
    pub(crate) fn count(&mut self, target: &Arc<str>) {
        self.targets.entry(Arc::clone(target)).or_default().events += 1;
    }

    /// Whether nothing of its line waits before this event, which is not in it.
    pub(crate) fn is_first(&self, event: &Waiting) -> bool {
        let first = self
            .lines
            .get(&event.line)
            .and_then(|line| line.waiting.front());
        first.is_none_or(|first| first.seq > event.seq)
    }

    /// Puts the event that is next in its line among those that may be sent.
    fn offer(&mut self, key: LineKey) {
        let Some(line) = self.lines.get(&key) else {
            return;
        };
        let Some(next) = line.next() else { return };
        let place = (key.lane, next.seq);
        let Some(target) = self.targets.get_mut(&next.target) else {
            return;
        };
        target.ready.insert(place, key);
        if target.resting.is_none() {
            self.ready.insert(place, Arc::clone(&next.target));
        }
    }

    fn withdraw(&mut self, key: LineKey) {
        let Some(next) = self.lines.get(&key).and_then(Line::next) else {
            return;
        };
        let place = (key.lane, next.seq);
        if let Some(target) = self.targets.get_mut(&next.target) {
            target.ready.remove(&place);
        }
        self.ready.remove(&place);
    }

    /// Whether anything may be sent now.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The event at `seq` of this line, if it is the one to be sent next.
    pub(crate) fn is_next(&self, seq: Seq, key: LineKey) -> bool {
        self.ready.contains_key(&(key.lane, seq))
    }

    /// Takes the next batch: the first event there is, and those behind it for the same target, in order.
    pub(crate) fn take(&mut self, room: Room) -> Vec<Waiting> {
        let Some((first, target)) = self.first(room.by_position) else {
            return Vec::new();
        };
        let mut batch: Vec<Waiting> = Vec::new();
        let (mut bytes, mut events) = (0usize, room.events.max(1));
        let from = (if room.by_position { first.0 } else { Lane(0) }, Seq::ZERO);
        // Lines of which the batch holds events already: their next ones may join it, and nothing else may take them.
        let mut joined: BTreeMap<Place, LineKey> = BTreeMap::new();
        let mut next = Some(first);
        while let Some(place) = next {
            let key = match joined.get(&place) {
                Some(key) => *key,
                None => match self
                    .targets
                    .get(&target)
                    .and_then(|it| it.ready.get(&place))
                {
                    Some(key) => *key,
                    None => break,
                },
            };
            let Some(line) = self.lines.get_mut(&key) else {
                break;
            };
            let index = line.next_index().unwrap_or(0);
            let probing = index > 0;
            let Some(event) = line.waiting.get(index) else {
                break;
            };
            let fits = batch.is_empty()
                || (batch.len() < events.min(event.batch_max)
                    && bytes.saturating_add(event.bytes) <= room.bytes);
            if !fits {
                break;
            }
            events = events.min(event.batch_max);
            bytes = bytes.saturating_add(event.bytes);
            if joined.remove(&place).is_none() {
                self.ready.remove(&place);
                if let Some(target) = self.targets.get_mut(&target) {
                    target.ready.remove(&place);
                }
            }
            line.state = LineState::InFlight;
            if let Some(event) = line.waiting.remove(index) {
                batch.push(event);
            }
            if let Some(behind) = line
                .waiting
                .front()
                .filter(|it| !probing && it.target == target)
            {
                joined.insert((key.lane, behind.seq), key);
            }
            let waiting = self
                .targets
                .get(&target)
                .and_then(|it| it.ready.range(from..).next())
                .map(|it| it.0);
            next = [waiting, joined.keys().next()]
                .into_iter()
                .flatten()
                .min()
                .copied();
        }
        self.events -= batch.len();
        batch
    }

    fn first(&self, by_position: bool) -> Option<(Place, Arc<str>)> {
        let (mut place, mut target) = self.ready.first_key_value()?;
        let mut lane = place.0;
        while by_position && let Some(lower) = lane.0.checked_add(1) {
            let Some((other, of)) = self.ready.range((Lane(lower), Seq::ZERO)..).next() else {
                break;
            };
            lane = other.0;
            if other.1 < place.1 {
                (place, target) = (other, of);
            }
        }
        Some((*place, Arc::clone(target)))
    }

    /// Gives back an event of a batch that is over; it takes its old place.
    pub(crate) fn give_back(&mut self, waiting: Waiting) {
        self.events += 1;
        let key = waiting.line;
        let line = self.lines.entry(key).or_default();
        let place = line
            .waiting
            .partition_point(|other| other.seq < waiting.seq);
        line.waiting.insert(place, waiting);
    }

    /// An event is done with.
    pub(crate) fn forget(&mut self, event: &Waiting) {
        if let Some(target) = self.targets.get_mut(&event.target) {
            target.events -= 1;
            if target.events == 0 {
                if let Some(until) = target.resting {
                    self.resting_targets
                        .remove(&(until, Arc::clone(&event.target)));
                }
                self.targets.remove(&event.target);
            }
        }
    }

    /// A batch that held events of this line is over.
    pub(crate) fn release(&mut self, key: LineKey) {
        let Some(line) = self.lines.get_mut(&key) else {
            return;
        };
        if line.state != LineState::InFlight {
            return;
        }
        line.state = LineState::Ready;
        if line.waiting.is_empty() {
            self.lines.remove(&key);
        } else {
            self.offer(key);
        }
    }

    /// The first event of a line that a batch has given up was refused: the line rests.
    pub(crate) fn rest_line(&mut self, key: LineKey, until: Instant) {
        if let Some(line) = self.lines.get_mut(&key) {
            line.state = LineState::Resting(until);
            self.resting_lines.insert((until, key));
        }
    }

    /// Sends the first event of a line that was refused less than `tries` times before those before it; the line was
    /// given up by a batch. Nothing changes if it has none for the target of its first.
    pub(crate) fn probe(&mut self, key: LineKey, tries: u32) {
        let Some(line) = self.lines.get_mut(&key) else {
            return;
        };
        let Some(target) = line.waiting.front().map(|first| Arc::clone(&first.target)) else {
            return;
        };
        let refusals = |event: &Waiting| event.doubt.as_ref().map_or(0, |doubt| doubt.refusals);
        let behind = line
            .waiting
            .iter()
            .skip(1)
            .take_while(|event| event.target == target);
        if let Some(index) = behind.map(refusals).position(|refusals| refusals < tries) {
            line.state = LineState::Probing(index + 1);
            self.offer(key);
        }
    }

    /// Whether the target accepted an event of this batch or a later one.
    pub(crate) fn accepted_since(&self, target: &str, batch: BatchId) -> bool {
        self.targets
            .get(target)
            .is_some_and(|target| target.accepted >= Some(batch))
    }

    pub(crate) fn accept(&mut self, target: &str, batch: BatchId) {
        if let Some(target) = self.targets.get_mut(target) {
            target.accepted = target.accepted.max(Some(batch));
            target.strikes = 0;
            target.backoff.succeed();
        }
    }

    /// Counts a refusal; after many in a row the target rests. Gives the end of that rest.
    pub(crate) fn strike(
        &mut self,
        target: &str,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<Instant> {
        let (name, _) = self.targets.get_key_value(target)?;
        let name = Arc::clone(name);
        let state = self.targets.get_mut(target)?;
        state.strikes += 1;
        if state.strikes < STRIKES {
            return None;
        }
        let until = state.backoff.fail(now, None, rng);
        if let Some(old) = state.resting.replace(until) {
            self.resting_targets.remove(&(old, Arc::clone(&name)));
        }
        for place in state.ready.keys() {
            self.ready.remove(place);
        }
        self.resting_targets.insert((until, name));
        Some(until)
    }

    /// Ends the rests that are over.
    pub(crate) fn wake(&mut self, now: Instant) {
        while let Some((until, key)) = self
            .resting_lines
            .first()
            .copied()
            .filter(|(until, _)| *until <= now)
        {
            self.resting_lines.remove(&(until, key));
            if let Some(line) = self
                .lines
                .get_mut(&key)
                .filter(|line| line.state == LineState::Resting(until))
            {
                line.state = LineState::Ready;
                self.offer(key);
            }
        }
        while self
            .resting_targets
            .first()
            .is_some_and(|(until, _)| *until <= now)
        {
            let Some((_, name)) = self.resting_targets.pop_first() else {
                return;
            };
            let Some(target) = self.targets.get_mut(&name) else {
                continue;
            };
            target.resting = None;
            for place in target.ready.keys() {
                self.ready.insert(*place, Arc::clone(&name));
            }
        }
    }

    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let line = self.resting_lines.first().map(|(until, _)| *until);
        let target = self.resting_targets.first().map(|(until, _)| *until);
        [line, target].into_iter().flatten().min()
    }
}

impl Line {
    /// The event to be sent next, unless the line is in flight or rests.
    fn next(&self) -> Option<&Waiting> {
        self.waiting.get(self.next_index()?)
    }

    fn next_index(&self) -> Option<usize> {
        match self.state {
            LineState::Ready => Some(0),
            LineState::Probing(index) => Some(index),
            LineState::InFlight | LineState::Resting(_) => None,
        }
    }
}
