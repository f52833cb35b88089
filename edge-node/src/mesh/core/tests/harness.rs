use std::collections::{BTreeMap, BTreeSet};

use spool::CursorId;

use super::super::*;

pub(super) const SILENT: Closed = Closed::Silent;

/// The core with a log in memory. Streams take what they are given at once, unless told otherwise.
pub(super) struct Mesh {
    pub(super) core: Core<u64>,
    pub(super) now: Instant,
    pub(super) holds_openings: bool,
    pub(super) refuses_openings: bool,
    pub(super) fails_reads: bool,
    pub(super) takes_nothing: BTreeSet<MemberId>,
    pub(super) event_bytes: usize,
    /// Topic, event, and whether a stream could carry it; the position is the index and one.
    log: Vec<(String, u64, bool)>,
    cursors: BTreeMap<String, Cursor>,
    openings: VecDeque<GroupKey>,
    /// Reads that are under way, with how much of the log was there when they began; `None`: each ends at once.
    pub(super) held_reads: Option<Vec<(Action<u64>, usize)>>,
    next_id: u64,
    streams: BTreeMap<MemberId, Stream>,
    removed: Vec<String>,
    pub(super) holds_rests: bool,
    rests: VecDeque<GroupKey>,
    /// What the log says.
    resting: BTreeMap<String, Instant>,
}

struct Cursor {
    id: CursorId,
    key: GroupKey,
    start: usize,
    acked: BTreeSet<Seq>,
}

#[derive(Default)]
struct Stream {
    delivered: Vec<u64>,
    waiting: VecDeque<u64>,
    taken: Vec<(Instant, u64)>,
    answers: Vec<Result<(), Refusal>>,
    closed: Option<Closed>,
    ended: Option<Instant>,
}

impl Mesh {
    pub(super) fn new() -> Mesh {
        let now = Instant::now();
        Mesh {
            core: Core::new(now, []),
            now,
            holds_openings: false,
            refuses_openings: false,
            fails_reads: false,
            takes_nothing: BTreeSet::new(),
            event_bytes: 100,
            log: Vec::new(),
            cursors: BTreeMap::new(),
            openings: VecDeque::new(),
            held_reads: None,
            next_id: 0,
            streams: BTreeMap::new(),
            removed: Vec::new(),
            holds_rests: false,
            rests: VecDeque::new(),
            resting: BTreeMap::new(),
        }
    }

    pub(super) fn subscribe(&mut self, ip: &str, pid: &str, items: &[(&str, Mode)]) -> MemberId {
        self.next_id += 1;
        let id = MemberId(self.next_id);
        self.streams.insert(id, Stream::default());
        self.subscribe_on(id, ip, pid, items);
        id
    }

    pub(super) fn subscribe_on(
        &mut self,
        id: MemberId,
        ip: &str,
        pid: &str,
        items: &[(&str, Mode)],
    ) {
        let items = items.iter().map(|(topic, mode)| Item {
            topic: filter(topic),
            mode: *mode,
        });
        self.core
            .handle_subscribe(self.now, id, client(Some(id), ip, pid), items.collect());
        self.poll();
    }

    pub(super) fn unsubscribe(&mut self, ip: &str, pid: &str, topics: &[&str]) {
        let topics: Vec<_> = topics.iter().map(|it| filter(it)).collect();
        self.core
            .handle_unsubscribe(self.now, &client(None, ip, pid), &topics);
        self.poll();
    }

    pub(super) fn unsubscribe_from(&mut self, id: MemberId, ip: &str, pid: &str, topics: &[&str]) {
        let topics: Vec<_> = topics.iter().map(|it| filter(it)).collect();
        self.core
            .handle_unsubscribe(self.now, &client(Some(id), ip, pid), &topics);
        self.poll();
    }

    pub(super) fn heartbeat(&mut self, ip: &str, pid: &str) -> bool {
        self.core.handle_heartbeat(self.now, &client(None, ip, pid))
    }

    pub(super) fn publish(&mut self, topic: &str, event: u64) {
        self.log.push((topic.to_owned(), event, true));
        self.core.handle_commit();
        self.poll();
    }

    /// Publishes some events in one commit.
    pub(super) fn publish_at_once(&mut self, topic: &str, events: std::ops::Range<u64>) {
        let events = events.map(|event| (topic.to_owned(), event, true));
        self.log.extend(events);
        self.core.handle_commit();
        self.poll();
    }

    pub(super) fn publish_nothing(&mut self, topic: &str, event: u64) {
        self.log.push((topic.to_owned(), event, false));
        self.core.handle_commit();
        self.poll();
    }

    pub(super) fn end(&mut self, id: MemberId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ended.get_or_insert(self.now);
        }
        self.core.handle_end(self.now, id);
        self.poll();
    }

    /// Time passes, and every deadline on the way is met.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.core.next_deadline().filter(|it| *it <= until) {
            self.now = self.now.max(deadline);
            self.core.handle_deadline(self.now);
            self.poll();
        }
        self.now = until;
    }

    /// The same, while the clients of these numbers at `10.0.0.1` send heartbeats.
    pub(super) fn pass_alive(&mut self, time: Duration, pids: &[&str]) {
        let until = self.now + time;
        while self.now < until {
            self.pass(Duration::from_secs(1).min(until - self.now));
            for pid in pids {
                self.heartbeat("10.0.0.1", pid);
            }
        }
    }

    /// The node starts again: the log is what it was, the streams are gone.
    pub(super) fn restart(&mut self) {
        let rested = |it: &str| Some(self.now - *self.resting.get(it)?);
        let cursors = self.cursors.keys();
        let cursors: Vec<_> = cursors
            .map(|it| (format!("mesh/{it}"), rested(it)))
            .collect();
        let cursors = cursors
            .iter()
            .map(|(name, rested)| (name.as_str(), *rested));
        self.core = Core::new(self.now, cursors);
        self.rests.clear();
        for stream in self.streams.values_mut() {
            stream.ended.get_or_insert(self.now);
        }
        self.openings.clear();
        if let Some(held) = &mut self.held_reads {
            held.clear();
        }
    }

    pub(super) fn open_one(&mut self) {
        let key = self.openings.pop_front().unwrap();
        self.open(&key);
        self.poll();
    }

    pub(super) fn poll(&mut self) {
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Open(key) if self.holds_openings => self.openings.push_back(key),
                Action::Open(key) => self.open(&key),
                Action::Read { .. } if self.held_reads.is_some() => {
                    let there = self.log.len();
                    self.held_reads.as_mut().unwrap().push((action, there));
                }
                Action::Read { .. } => self.read(&action, self.log.len()),
                other => self.perform(other),
            }
        }
    }

    fn perform(&mut self, action: Action<u64>) {
        match action {
            Action::Rest(key) if self.holds_rests => self.rests.push_back(key),
            Action::Rest(key) => self.rest(&key),
            Action::Remove(key) => {
                self.resting.remove(&key.to_string());
                self.cursors.remove(&key.to_string()).unwrap();
                self.removed.push(key.to_string());
                self.core.handle_removed(&key, true);
            }
            Action::Deliver { member, message } => {
                let stream = self.streams.get_mut(&member).unwrap();
                assert_eq!(stream.ended, None, "delivered to a stream that ended");
                stream.delivered.push(message);
                stream.waiting.push_back(message);
                if !self.takes_nothing.contains(&member) {
                    self.take(member);
                }
            }
            Action::Answer(member, result) => {
                self.streams.get_mut(&member).unwrap().answers.push(result)
            }
            Action::Close(member, why) => {
                let stream = self.streams.get_mut(&member).unwrap();
                stream.closed = Some(why);
                stream.ended.get_or_insert(self.now);
                self.core.handle_end(self.now, member);
            }
            Action::Ack { cursor, seqs } => {
                let cursor = self
                    .cursors
                    .values_mut()
                    .find(|it| it.id == cursor)
                    .unwrap();
                for seq in seqs {
                    assert!(cursor.acked.insert(seq), "acknowledged twice: {seq:?}");
                }
            }
            Action::Open(_) | Action::Read { .. } => unreachable!("performed by poll"),
        }
    }

    pub(super) fn rest_one(&mut self) {
        let key = self.rests.pop_front().unwrap();
        self.rest(&key);
        self.poll();
    }

    fn rest(&mut self, key: &GroupKey) {
        self.resting.entry(key.to_string()).or_insert(self.now);
        self.core.handle_rested(self.now, key, true);
    }

    /// The stream takes the next event that waits for it.
    pub(super) fn take(&mut self, id: MemberId) {
        let stream = self.streams.get_mut(&id).unwrap();
        let event = stream.waiting.pop_front().expect("an event waits");
        stream.taken.push((self.now, event));
        self.core.handle_taken(self.now, id);
    }

    fn open(&mut self, key: &GroupKey) {
        if self.refuses_openings {
            return self
                .core
                .handle_opened(self.now, key, Err("full".to_owned()));
        }
        let id = CursorId(u32::try_from(self.cursors.len()).unwrap() + 1);
        let start = self.log.len();
        let fresh = || Cursor {
            id,
            key: key.clone(),
            start,
            acked: BTreeSet::new(),
        };
        let id = self.cursors.entry(key.to_string()).or_insert_with(fresh).id;
        self.resting.remove(&key.to_string());
        self.core.handle_opened(self.now, key, Ok(id));
    }

    pub(super) fn read(&mut self, action: &Action<u64>, there: usize) {
        let Action::Read {
            key,
            cursor,
            after,
            events,
        } = action
        else {
            panic!("{action:?}")
        };
        let reading = (!self.fails_reads).then(|| {
            let cursor = self.cursors.values().find(|it| it.id == *cursor).unwrap();
            let mut found = Reading {
                entries: Vec::new(),
                next: *after,
                at_end: true,
            };
            let from = cursor.start.max(usize::try_from(after.0).unwrap());
            for (index, (topic, event, carried)) in
                self.log.iter().enumerate().take(there).skip(from)
            {
                let seq = Seq(index as u64 + 1);
                if cursor.key.topic.matches(topic) && !cursor.acked.contains(&seq) {
                    if found.entries.len() == *events {
                        found.at_end = false;
                        break;
                    }
                    let event = Found::Event {
                        bytes: self.event_bytes,
                        message: *event,
                    };
                    found
                        .entries
                        .push((seq, if *carried { event } else { Found::Nothing }));
                }
                found.next = seq;
            }
            found
        });
        self.core.handle_read(self.now, key, reading);
    }

    pub(super) fn delivered(&self, id: MemberId) -> Vec<u64> {
        self.streams[&id].delivered.clone()
    }

    /// What a stream took.
    pub(super) fn taken(&self, id: MemberId) -> Vec<u64> {
        let taken = self.streams[&id].taken.iter();
        taken.map(|(_, event)| *event).collect()
    }

    pub(super) fn answers(&mut self, id: MemberId) -> Vec<Result<(), Refusal>> {
        std::mem::take(&mut self.streams.get_mut(&id).unwrap().answers)
    }

    pub(super) fn closed(&self, id: MemberId) -> Option<Closed> {
        self.streams[&id].closed
    }

    pub(super) fn is_live(&self, id: MemberId) -> bool {
        self.streams[&id].ended.is_none()
    }

    pub(super) fn removed(&self) -> Vec<&str> {
        self.removed.iter().map(String::as_str).collect()
    }

    /// What the clustering group of a topic has acknowledged.
    pub(super) fn acked(&self, topic: &str) -> Vec<u64> {
        let cursor = &self.cursors[&format!("clustering/g/{topic}")];
        cursor
            .acked
            .iter()
            .map(|seq| self.log[usize::try_from(seq.0).unwrap() - 1].1)
            .collect()
    }

    /// Of one event: did a stream take it that lived for a minute after?
    pub(super) fn arrived(&self, event: u64) -> bool {
        self.streams.values().any(|stream| {
            let end = stream.ended.unwrap_or(self.now);
            let at = stream
                .taken
                .iter()
                .filter(|(_, it)| *it == event)
                .map(|(at, _)| *at)
                .min();
            at.is_some_and(|at| end.duration_since(at) >= KEPT)
        })
    }
}

fn filter(topic: &str) -> TopicFilter {
    TopicFilter::parse(topic).unwrap()
}

/// A client of group `g`; each stream has a connection of its own.
fn client(id: Option<MemberId>, ip: &str, pid: &str) -> Client {
    let port = id.map(|it| u16::try_from(it.0).unwrap());
    Client {
        group: "g".to_owned(),
        identity: Identity {
            ip: ip.to_owned(),
            pid: pid.to_owned(),
        },
        peer: port.map(|port| SocketAddr::from(([127, 0, 0, 1], port))),
    }
}
