//! Who subscribes to what, what each was handed, and what has to be handed out again. A plain state machine: it knows no
//! clock, no network and no log.
//!
//! EventMesh's streams have no acknowledgement. So an event stays owed to its group until [`KEPT`] after its stream took it,
//! and is given again, with the same id, when the stream ends before that: to any member where one of them gets
//! each event (CLUSTERING), to the same member when it returns where each gets it (BROADCASTING).
//!
//! ```text
//!  handle_subscribe ──▶ Open ──▶ handle_opened ──▶ Answer
//!        handle_commit ──▶ Read ──▶ handle_read ──▶ Deliver ──▶ handle_taken ──▶ room for the next Read
//!                                                                          └─ after 60 s on a stream that lives ──▶ Ack
//! ```
//!
//! Invariants:
//! - A position is in `Action::Ack` only if a stream took it and lived for [`KEPT`] since, or took it and there were
//!   [`HANDED_MAX`] behind it, or it carries nothing a stream could take.
//! - No more than [`QUEUED_EVENTS`] wait for one stream.

mod action;
mod group;
mod member;
mod subscribe;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use filters::TopicFilter;
use spool::Seq;

use super::key::{Audience, GroupKey, Identity};
pub(super) use action::{Action, Closed, Found, Reading, Refusal};
use group::{Group, State};
pub(super) use member::MemberId;
use member::{Member, Queued};

/// How long what was handed to a stream may still be given again.
pub(super) const KEPT: Duration = Duration::from_secs(60);
/// A member that shows no sign of life for so long is gone, as EventMesh has it.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A stream that takes nothing for so long while events wait for it is ended: what waits goes to others. Longer than
/// [`KEPT`], so that a subscriber who takes much at once and handles it slowly has that behind it, and gets on.
pub(super) const STALL_MAX: Duration = Duration::from_secs(2 * KEPT.as_secs());
/// The same for a stream that holds up its group: the oldest event of one that has [`HANDED_MAX`] waits for it.
pub(super) const HOLD_UP_MAX: Duration = Duration::from_secs(10);
/// How long a group is kept without members, over all starts of the node: since when it has none is in the log.
pub(super) const GROUP_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the part of a broadcasting member is kept without it. A process that started again is another member, so
/// what it left behind is rarely wanted, and it holds back the log.
pub(super) const PART_KEPT: Duration = Duration::from_secs(10 * 60);
/// Positions of one group that may be given again.
pub(super) const HANDED_MAX: usize = 16_384;
/// Positions of all groups that may be given again.
pub(super) const HANDED_TOTAL_MAX: usize = 262_144;
/// Events that wait for one stream to take them.
pub(super) const QUEUED_EVENTS: usize = 64;
/// Bytes that wait for one stream, not counting the last event.
pub(super) const QUEUED_BYTES: usize = 1 << 20;
/// Groups, as cursors.
pub(super) const GROUPS_MAX: usize = 1024;
/// Members, as streams.
pub(super) const MEMBERS_MAX: usize = 1024;
/// Topics of one member.
pub(super) const TOPICS_MAX: usize = 128;
/// A read or an opening that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// That a group has no member is noted again after this where the log had no room for it.
const NOTE_AGAIN: Duration = Duration::from_secs(60);
/// Deadlines are looked at no more often.
const TICK: Duration = Duration::from_secs(1);

/// A topic a member wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) topic: TopicFilter,
    pub(super) mode: Mode,
}

/// Who of a group gets an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Clustering,
    Broadcasting,
}

/// A client as its requests name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) group: String,
    pub(super) identity: Identity,
    /// Where its connection comes from, which tells two of one identity apart.
    pub(super) peer: Option<SocketAddr>,
}

impl Client {
    /// The group from which it reads a topic, as the member of this number among those of its identity.
    fn key(&self, item: &Item, ordinal: u32) -> GroupKey {
        GroupKey {
            group: self.group.clone(),
            topic: item.topic.clone(),
            audience: match item.mode {
                Mode::Clustering => Audience::Clustering,
                Mode::Broadcasting => Audience::Broadcasting(self.identity.clone(), ordinal),
            },
        }
    }
}

/// How long a group is kept without members.
fn kept(key: &GroupKey) -> Duration {
    match key.audience {
        Audience::Clustering => GROUP_KEPT,
        Audience::Broadcasting(..) => PART_KEPT,
    }
}

/// The state of the mesh's consumers. `M` is an event as it is delivered.
pub(super) struct Core<M> {
    groups: BTreeMap<GroupKey, Group>,
    members: BTreeMap<MemberId, Member>,
    /// Subscriptions whose groups are not all open.
    pending: Vec<Pending>,
    handed: usize,
    looked_at: Instant,
    actions: VecDeque<Action<M>>,
}

struct Pending {
    member: MemberId,
    opening: BTreeSet<GroupKey>,
}

impl<M> Core<M> {
    /// A mesh without members. `cursors`: the names of all cursors of the log, whose groups go on, and for how long the log
    /// says that they have had no member.
    pub(super) fn new<'a>(
        now: Instant,
        cursors: impl IntoIterator<Item = (&'a str, Option<Duration>)>,
    ) -> Core<M> {
        let group = |(name, rested)| {
            let key = GroupKey::of_cursor(name)?;
            let group = Group::dormant(now, kept(&key), rested);
            Some((key, group))
        };
        Core {
            groups: cursors.into_iter().filter_map(group).collect(),
            members: BTreeMap::new(),
            pending: Vec::new(),
            handed: 0,
            looked_at: now,
            actions: VecDeque::new(),
        }
    }

    /// The log has more.
    pub(super) fn handle_commit(&mut self) {
        for group in self.groups.values_mut() {
            group.at_end = false;
            group.stale = true;
        }
        self.pump_all();
    }

    /// What an [`Action::Read`] gave; `None` if the log could not be read.
    pub(super) fn handle_read(
        &mut self,
        now: Instant,
        key: &GroupKey,
        reading: Option<Reading<M>>,
    ) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        group.reading = false;
        let Some(reading) = reading else {
            group.retry_at = Some(now + RETRY);
            return;
        };
        let shared_key = Arc::new(key.clone());
        let mut next = reading.next;
        let mut done = Vec::new();
        for (seq, found) in reading.entries {
            if group.handed.contains_key(&seq) {
                continue;
            }
            let Found::Event { bytes, message } = found else {
                done.push(seq);
                continue;
            };
            while group.is_full(self.handed)
                && let Some(first) = group.release_first()
            {
                done.push(first);
                self.handed -= 1;
            }
            let full = group.is_full(self.handed);
            let free = (!full).then(|| group.next_member(&self.members)).flatten();
            let Some(id) = free else {
                next = Seq(seq.0.saturating_sub(1));
                break;
            };
            group.hand(seq, id);
            self.handed += 1;
            if let Some(member) = self.members.get_mut(&id) {
                let group = Arc::clone(&shared_key);
                member.queue(now, Queued { group, seq, bytes });
            }
            let member = id;
            self.actions.push_back(Action::Deliver { member, message });
        }
        // A commit or a broken stream may have come while it was read.
        let whole = next == reading.next && group.rewound.is_none() && !group.stale;
        group.at_end = reading.at_end && whole;
        group.after = group
            .rewound
            .take()
            .map_or(next, |rewound| rewound.min(next));
        if let (State::Open(cursor), false) = (group.state, done.is_empty()) {
            self.actions.push_back(Action::Ack { cursor, seqs: done });
        }
        self.pump(key);
    }

    /// A stream took the event that waited longest for it.
    pub(super) fn handle_taken(&mut self, now: Instant, id: MemberId) {
        let Some(taken) = self.members.get_mut(&id).and_then(|it| it.take(now)) else {
            return;
        };
        if let Some(group) = self.groups.get_mut(&*taken.group) {
            group.taken(now, taken.seq, id);
        }
        self.pump_member(id);
    }

    /// A stream ended, whoever ended it: what it had not taken, or not for long, is given again.
    pub(super) fn handle_end(&mut self, now: Instant, id: MemberId) {
        if self.members.remove(&id).is_none() {
            return;
        }
        self.pending.retain(|pending| pending.member != id);
        for group in self.groups.values_mut() {
            group.leave(now, id);
            self.handed -= group.take_back(now, id);
        }
        self.pump_all();
    }

    /// Whether the client is known; if not, it has to subscribe again.
    pub(super) fn handle_heartbeat(&mut self, now: Instant, client: &Client) -> bool {
        let ids = self.members_of(client);
        for id in &ids {
            if let Some(member) = self.members.get_mut(id) {
                member.seen(now);
            }
        }
        !ids.is_empty()
    }

    /// Ends every stream.
    pub(super) fn shut_down(&mut self) {
        for id in self.members.keys() {
            self.actions.push_back(Action::Close(*id, Closed::Stopping));
        }
    }

    /// What time has brought.
    pub(super) fn handle_deadline(&mut self, now: Instant) {
        self.looked_at = now;
        let held_up = self.groups.values().filter(|it| it.is_full(self.handed));
        let holding_up: BTreeSet<MemberId> = held_up.filter_map(Group::waits_for).collect();
        for (id, member) in &self.members {
            let patience = if holding_up.contains(id) {
                HOLD_UP_MAX
            } else {
                STALL_MAX
            };
            if let Some(why) = member.overdue(now, patience) {
                self.actions.push_back(Action::Close(*id, why));
            }
        }
        for (key, group) in &mut self.groups {
            let seqs = group.release_old(now);
            self.handed -= seqs.len();
            if let (State::Open(cursor), false) = (group.state, seqs.is_empty()) {
                self.actions.push_back(Action::Ack { cursor, seqs });
            }
            if group.retry_at.is_some_and(|at| at <= now) {
                group.retry_at = None;
            }
            let idle = matches!(group.state, State::Open(_) | State::Dormant);
            if idle && group.ends_at.is_some_and(|end| now >= end) {
                self.handed -= group.handed.len();
                *group = group.leaving();
                self.actions.push_back(Action::Remove(key.clone()));
            } else if group.is_to_rest() {
                group.state = State::Resting;
                self.actions.push_back(Action::Rest(key.clone()));
            }
        }
        self.pump_all();
    }

    /// When [`Core::handle_deadline`] is to be called next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let timed = !self.members.is_empty() || !self.groups.is_empty();
        timed.then(|| self.looked_at + TICK)
    }

    pub(super) fn poll_action(&mut self) -> Option<Action<M>> {
        self.actions.pop_front()
    }

    /// The members a request is about: those of its identity, of these the ones on its connection if there are any.
    fn members_of(&self, client: &Client) -> Vec<MemberId> {
        let same: Vec<_> = self
            .members
            .iter()
            .filter(|(_, it)| {
                it.client.group == client.group && it.client.identity == client.identity
            })
            .collect();
        let near = same.iter().filter(|(_, it)| it.client.peer == client.peer);
        let near: Vec<_> = near.map(|(id, _)| **id).collect();
        if near.is_empty() {
            same.iter().map(|(id, _)| **id).collect()
        } else {
            near
        }
    }

    fn pump_member(&mut self, id: MemberId) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        for key in member.topics.values() {
            if let Some(group) = self.groups.get_mut(key) {
                self.actions
                    .extend(group.read_on(key, &self.members, self.handed));
            }
        }
    }

    fn pump_all(&mut self) {
        for (key, group) in &mut self.groups {
            self.actions
                .extend(group.read_on(key, &self.members, self.handed));
        }
    }

    fn pump(&mut self, key: &GroupKey) {
        if let Some(group) = self.groups.get_mut(key) {
            self.actions
                .extend(group.read_on(key, &self.members, self.handed));
        }
    }
}

#[cfg(test)]
mod tests;
