use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Instant,
};

use spool::{CursorId, Seq};

use super::{Action, HANDED_MAX, HANDED_TOTAL_MAX, KEPT, Member, MemberId, QUEUED_EVENTS};
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
    pub(super) empty_since: Option<Instant>,
    pub(super) retry_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not in the log, as far as the mesh knows.
    Unknown,
    /// In the log, from an earlier life of the node.
    Dormant,
    Opening {
        /// Whether it was in the log before.
        known: bool,
    },
    Open(CursorId),
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
    pub(super) fn unknown() -> Group {
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
            empty_since: None,
            retry_at: None,
        }
    }

    pub(super) fn dormant(now: Instant) -> Group {
        Group {
            state: State::Dormant,
            empty_since: Some(now),
            ..Group::unknown()
        }
    }

    pub(super) fn leaving(empty_since: Option<Instant>) -> Group {
        Group {
            state: State::Leaving,
            empty_since,
            ..Group::unknown()
        }
    }

    pub(super) fn leave(&mut self, now: Instant, id: MemberId) {
        if self.members.remove(&id) && self.members.is_empty() {
            self.empty_since = Some(now);
        }
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
