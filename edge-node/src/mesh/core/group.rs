use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Instant,
};

use spool::{CursorId, Seq};

use super::{Action, KEPT, Member, MemberId, QUEUED_EVENTS};
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
    at: Instant,
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

    /// Asks for more if there may be more and a member has room.
    pub(super) fn read_on<M>(
        &mut self,
        key: &GroupKey,
        members: &BTreeMap<MemberId, Member>,
    ) -> Option<Action<M>> {
        let State::Open(cursor) = self.state else {
            return None;
        };
        if self.reading || self.at_end || self.retry_at.is_some() {
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

    pub(super) fn hand(&mut self, now: Instant, seq: Seq, to: MemberId) {
        self.handed.insert(seq, Handed { to, at: now });
    }

    /// Positions handed out so long ago that their streams are taken to have brought them. In order of the log, so that
    /// the cursor keeps few gaps.
    pub(super) fn release_old(&mut self, now: Instant) -> Vec<Seq> {
        let mut seqs = Vec::new();
        while let Some(first) = self.handed.first_entry()
            && now >= first.get().at + KEPT
        {
            seqs.push(*first.key());
            first.remove();
        }
        seqs
    }

    pub(super) fn release_first(&mut self) -> Option<Seq> {
        self.handed.pop_first().map(|(seq, _)| seq)
    }

    /// Takes back what a stream was handed, so that it is read again; how many that were.
    pub(super) fn take_back(&mut self, id: MemberId) -> usize {
        let before = self.handed.len();
        let first = self
            .handed
            .iter()
            .find(|(_, it)| it.to == id)
            .map(|(seq, _)| *seq);
        let Some(first) = first else { return 0 };
        self.handed.retain(|_, it| it.to != id);
        let again = Seq(first.0.saturating_sub(1));
        self.after = self.after.min(again);
        self.at_end = false;
        if self.reading {
            self.rewound = Some(self.rewound.map_or(again, |it| it.min(again)));
        }
        before - self.handed.len()
    }
}
