//! Subscriptions: their groups are opened, and only then answered; groups that expired are removed.

use std::{collections::BTreeSet, time::Instant};

use filters::TopicFilter;
use spool::CursorId;

use super::{
    Action, Client, Closed, Core, GROUPS_MAX, Group, GroupKey, Item, MEMBERS_MAX, Member, MemberId,
    NOTE_AGAIN, Pending, Refusal, State, TOPICS_MAX, kept,
};

impl<M> Core<M> {
    /// A subscription on the stream `id`; the first on a stream makes it a member. One `Action::Answer` follows.
    pub(in crate::mesh) fn handle_subscribe(
        &mut self,
        now: Instant,
        id: MemberId,
        client: Client,
        items: Vec<Item>,
    ) {
        if let Err(refusal) = self.may_subscribe(id, &client, &items) {
            self.answer(id, Err(refusal));
            if !self.members.contains_key(&id) {
                self.actions.push_back(Action::Close(id, Closed::Refused));
            }
            return;
        }
        let ordinal = self.free_ordinal(&client);
        let member = self
            .members
            .entry(id)
            .or_insert_with(|| Member::new(now, client, ordinal));
        member.seen(now);
        let mut opening = BTreeSet::new();
        for item in items {
            let key = member.key(&item);
            if let Some(before) = member.topics.insert(item.topic, key.clone())
                && before != key
                && let Some(group) = self.groups.get_mut(&before)
            {
                group.leave(now, id);
            }
            let group = self
                .groups
                .entry(key.clone())
                .or_insert_with(|| Group::unknown(kept(&key)));
            group.members.insert(id);
            group.ends_at = None;
            match group.state {
                State::Open(_) => continue,
                State::Unknown | State::Dormant => {
                    group.state = State::Opening {
                        known: group.state == State::Dormant,
                    };
                    self.actions.push_back(Action::Open(key.clone()));
                }
                State::Opening { .. } | State::Resting | State::Leaving => {}
            }
            opening.insert(key);
        }
        self.pending.push(Pending {
            member: id,
            opening,
        });
        self.settle_pending();
    }

    /// The group is open, or could not be opened.
    pub(in crate::mesh) fn handle_opened(
        &mut self,
        now: Instant,
        key: &GroupKey,
        result: Result<CursorId, String>,
    ) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        let State::Opening { known } = group.state else {
            return;
        };
        match result {
            Ok(cursor) => {
                group.state = State::Open(cursor);
                group.noted = false;
                group.retry_at = None;
                if group.members.is_empty() {
                    group.ends_at = Some(now + group.kept);
                }
                for pending in &mut self.pending {
                    pending.opening.remove(key);
                }
                self.settle_pending();
                self.pump(key);
            }
            Err(error) => {
                let members = std::mem::take(&mut group.members);
                if known {
                    group.state = State::Dormant;
                    group.ends_at = Some(now + group.kept);
                } else {
                    self.groups.remove(key);
                }
                self.fail_pending(key, &members, &error);
            }
        }
    }

    /// The log says that the group has no member, or could not.
    pub(in crate::mesh) fn handle_rested(&mut self, now: Instant, key: &GroupKey, noted: bool) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        if group.state != State::Resting {
            return;
        }
        if group.members.is_empty() {
            group.state = State::Dormant;
            group.noted = noted;
            group.retry_at = (!noted).then_some(now + NOTE_AGAIN);
        } else {
            group.state = State::Opening { known: true };
            self.actions.push_back(Action::Open(key.clone()));
        }
    }

    /// The group is gone from the log, or could not be removed.
    pub(in crate::mesh) fn handle_removed(&mut self, key: &GroupKey, removed: bool) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        if group.state != State::Leaving {
            return;
        }
        if !group.members.is_empty() {
            group.state = State::Opening { known: !removed };
            self.actions.push_back(Action::Open(key.clone()));
        } else if removed {
            self.groups.remove(key);
        } else {
            // It is as overdue as before: the next deadline tries again.
            group.state = State::Dormant;
        }
    }

    /// The client no longer wants these topics. Its stream and those of other members go on.
    pub(in crate::mesh) fn handle_unsubscribe(
        &mut self,
        now: Instant,
        client: &Client,
        topics: &[TopicFilter],
    ) {
        for id in self.members_of(client) {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.seen(now);
            for topic in topics {
                if let Some(key) = member.topics.remove(topic)
                    && let Some(group) = self.groups.get_mut(&key)
                {
                    group.leave(now, id);
                }
            }
        }
        self.pump_all();
    }

    fn may_subscribe(&self, id: MemberId, client: &Client, items: &[Item]) -> Result<(), Refusal> {
        let member = self.members.get(&id);
        if member.is_none() && self.members.len() >= MEMBERS_MAX {
            return Err(Refusal(format!(
                "there are {MEMBERS_MAX} subscribers; no more are taken"
            )));
        }
        if member.is_some_and(|it| {
            it.client.group != client.group || it.client.identity != client.identity
        }) {
            return Err(Refusal(
                "this stream belongs to another client; open one for each".to_owned(),
            ));
        }
        let mut topics: BTreeSet<&TopicFilter> = items.iter().map(|it| &it.topic).collect();
        topics.extend(member.iter().flat_map(|it| it.topics.keys()));
        if topics.len() > TOPICS_MAX {
            return Err(Refusal(format!(
                "a subscriber has {TOPICS_MAX} topics at most; open another stream"
            )));
        }
        let ordinal = member.map_or_else(|| self.free_ordinal(client), |it| it.ordinal);
        let keys = items.iter().map(|it| client.key(it, ordinal));
        let new: BTreeSet<GroupKey> = keys.filter(|it| !self.groups.contains_key(it)).collect();
        if self.groups.len() + new.len() > GROUPS_MAX && !new.is_empty() {
            return Err(Refusal(format!(
                "there are {GROUPS_MAX} groups; no more are taken"
            )));
        }
        Ok(())
    }

    /// The lowest number that no live stream of this identity has. With it, a member that returns finds its part.
    fn free_ordinal(&self, client: &Client) -> u32 {
        let taken: BTreeSet<u32> = self
            .members
            .values()
            .filter(|it| it.client.group == client.group && it.client.identity == client.identity)
            .map(|it| it.ordinal)
            .collect();
        (0..)
            .find(|ordinal| !taken.contains(ordinal))
            .unwrap_or(u32::MAX)
    }

    fn answer(&mut self, member: MemberId, result: Result<(), Refusal>) {
        self.actions.push_back(Action::Answer(member, result));
    }

    fn settle_pending(&mut self) {
        let (open, opening) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| pending.opening.is_empty());
        self.pending = opening;
        let open: Vec<Pending> = open;
        for pending in open {
            self.answer(pending.member, Ok(()));
            if let Some(member) = self.members.get_mut(&pending.member) {
                member.answered = true;
            }
            self.pump_member(pending.member);
        }
    }

    fn fail_pending(&mut self, key: &GroupKey, members: &BTreeSet<MemberId>, error: &str) {
        for id in members {
            if let Some(member) = self.members.get_mut(id) {
                member.topics.retain(|_, it| it != key);
            }
        }
        let (failed, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| pending.opening.contains(key));
        self.pending = rest;
        for pending in failed {
            self.answer(pending.member, Err(Refusal(error.to_owned())));
        }
    }
}
