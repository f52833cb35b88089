use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::{Duration, Instant},
};

use spool::{CursorId, Seq};

use super::{
    Action, HANDED_MAX, HANDED_TOTAL_MAX, KEPT, Member, MemberId, QUEUED_EVENTS, SILENCE_MAX,
};
use crate::mesh::key::GroupKey;

/// A durable group, as the mesh has it in memory.
pub(super) struct Group {
    pub(super) state: State,
    pub(super) members: BTreeSet<MemberId>,
    /// The member served last.
    served: MemberId,
    /// Read on from here.
    pub(super) after: Seq,
    pub(super) reading: bool,
    /// A commit came while it was read.
    pub(super) stale: bool,
    /// A stream broke while it was read.
    pub(super) rewound: Option<Seq>,
    /// There is no more before the next commit.
    pub(super) at_end: bool,
    pub(super) handed: BTreeMap<Seq, Handed>,
    /// How long it is kept without members, and until when that is if it has none.
    pub(super) kept: Duration,
    pub(super) ends_at: Option<Instant>,
    /// The log says since when it has none.
    pub(super) noted: bool,
    pub(super) retry_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not in the log, as far as the mesh knows.
    Unknown,
    /// In the log, without members.
    Dormant,
    Opening {
        /// Whether it was in the log before.
        known: bool,
    },
    Open(CursorId),
    /// Being noted in the log as one without members.
    Resting,
    /// Being removed from the log.
    Leaving,
}

/// A position that a stream was handed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handed {
    to: MemberId,
    /// Not yet: it waits for its stream.
    taken_at: Option<Instant>,
}

impl Handed {
    /// Whether its stream is taken to have brought it.
    fn has_arrived(self, now: Instant) -> bool {
        self.taken_at.is_some_and(|at| now >= at + KEPT)
    }
}

impl Group {
    pub(super) fn unknown(kept: Duration) -> Group {
        Group {
            state: State::Unknown,
            members: BTreeSet::new(),
            served: MemberId::default(),
            after: Seq::ZERO,
            reading: false,
            stale: false,
            rewound: None,
            at_end: false,
            handed: BTreeMap::new(),
            kept,
            ends_at: None,
            noted: false,
            retry_at: None,
        }
    }

    /// A group of an earlier life of the node, which has had no member for so long, if the log says so. A member that could
    /// not come while the node was down has as long as one may be silent.
    pub(super) fn dormant(now: Instant, kept: Duration, rested: Option<Duration>) -> Group {
        let left = kept.saturating_sub(rested.unwrap_or_default());
        Group {
            state: State::Dormant,
            ends_at: Some(now + left.max(SILENCE_MAX)),
            noted: rested.is_some(),
            ..Group::unknown(kept)
        }
    }

    /// What is known of it while it is removed.
    pub(super) fn leaving(&self) -> Group {
        Group {
            state: State::Leaving,
            ends_at: self.ends_at,
            ..Group::unknown(self.kept)
        }
    }

    pub(super) fn leave(&mut self, now: Instant, id: MemberId) {
        if self.members.remove(&id) && self.members.is_empty() {
            self.ends_at = Some(now + self.kept);
        }
    }

    /// Whether it has no member, and the log knows all of it but that.
    pub(super) fn is_to_rest(&self) -> bool {
        let is_still = matches!(self.state, State::Open(_) | State::Dormant) && !self.reading;
        let is_empty = self.members.is_empty() && self.handed.is_empty();
        is_still && is_empty && !self.noted && self.retry_at.is_none()
    }

    /// Asks for more if there may be more and a member has room. `handed`: by all groups.
    pub(super) fn read_on<M>(
        &mut self,
        key: &GroupKey,
        members: &BTreeMap<MemberId, Member>,
        handed: usize,
    ) -> Option<Action<M>> {
        let State::Open(cursor) = self.state else {
            return None;
        };
        if self.reading || self.at_end || self.retry_at.is_some() {
            return None;
        }
        if self.is_full(handed) && self.waits_for().is_some() {
            return None;
        }
        let room = self.room(members);
        if room == 0 {
            return None;
        }
        self.reading = true;
        self.stale = false;
        Some(Action::Read {
            key: key.clone(),
            cursor,
            after: self.after,
            events: room.min(QUEUED_EVENTS),
        })
    }

    /// How many events its members have room for.
    fn room(&self, members: &BTreeMap<MemberId, Member>) -> usize {
        self.members
            .iter()
            .filter_map(|id| members.get(id))
            .map(Member::room)
            .sum()
    }

    /// The next member with room, each in its turn.
    pub(super) fn next_member(&mut self, members: &BTreeMap<MemberId, Member>) -> Option<MemberId> {
        let later = self
            .members
            .range((Bound::Excluded(self.served), Bound::Unbounded));
        let mut turn = later.chain(self.members.range(..=self.served));
        let id = turn
            .find(|id| members.get(id).is_some_and(|it| it.room() > 0))
            .copied()?;
        self.served = id;
        Some(id)
    }

    pub(super) fn hand(&mut self, seq: Seq, to: MemberId) {
        let taken_at = None;
        self.handed.insert(seq, Handed { to, taken_at });
    }

    /// Its stream took a position.
    pub(super) fn taken(&mut self, now: Instant, seq: Seq, by: MemberId) {
        if let Some(handed) = self.handed.get_mut(&seq).filter(|it| it.to == by) {
            handed.taken_at = Some(now);
        }
    }

    /// Whether one position has to be released before the next is handed out. `handed`: by all groups.
    pub(super) fn is_full(&self, handed: usize) -> bool {
        let own = self.handed.len();
        own >= HANDED_MAX || (handed >= HANDED_TOTAL_MAX && own > 1)
    }

    /// The member that has not taken the first position.
    pub(super) fn waits_for(&self) -> Option<MemberId> {
        let (_, first) = self.handed.first_key_value()?;
        first.taken_at.is_none().then_some(first.to)
    }

    /// Positions taken so long ago that their streams are taken to have brought them. In order of the log, so that
    /// the cursor keeps few gaps.
    pub(super) fn release_old(&mut self, now: Instant) -> Vec<Seq> {
        let mut seqs = Vec::new();
        while let Some(first) = self.handed.first_entry()
            && first.get().has_arrived(now)
        {
            seqs.push(*first.key());
            first.remove();
        }
        seqs
    }

    /// Releases the first position, unless it waits for its stream.
    pub(super) fn release_first(&mut self) -> Option<Seq> {
        let first = self.handed.first_entry()?;
        first.get().taken_at?;
        Some(first.remove_entry().0)
    }

    /// Takes back what a stream was handed and has not brought, so that it is read again; how many that were.
    pub(super) fn take_back(&mut self, now: Instant, id: MemberId) -> usize {
        let before = self.handed.len();
        let is_back = |it: &Handed| it.to == id && !it.has_arrived(now);
        let first = self
            .handed
            .iter()
            .find(|(_, it)| is_back(it))
            .map(|(seq, _)| *seq);
        let Some(first) = first else { return 0 };
        self.handed.retain(|_, it| !is_back(it));
        let again = Seq(first.0.saturating_sub(1));
        self.after = self.after.min(again);
        self.at_end = false;
        if self.reading {
            self.rewound = Some(self.rewound.map_or(again, |it| it.min(again)));
        }
        before - self.handed.len()
    }
}
