//! Publishes whose acknowledgement is withheld until their lane has room.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, VecDeque},
    num::NonZeroU16,
    rc::Rc,
};

use bytes::Bytes;
use spool::{Full, Lane, NodeTime, Seq};

use super::{
    Broker,
    answer::Gate,
    connection::ConnectionId,
    flight::Place,
    group::GroupId,
    journal::Journal,
    message::{Message, effective},
    publish::{Arrival, NoRoom, Taken, waited_ms},
    session::{Session, SessionId},
    subscriptions::Audience,
};
use crate::{
    mqtt::packet::{QoS, ReasonCode},
    record::PublishRecord,
    rules::Crowded,
};

/// Bytes of all withheld publishes in memory: those that wait for room, and those that a subscriber has in flight though
/// their publisher has left.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldBytes(Rc<Cell<usize>>);

impl HeldBytes {
    pub(super) fn get(&self) -> usize {
        self.0.get()
    }
}

/// A publish whose acknowledgement is withheld because its lane has no room. It keeps the identity it was minted.
#[derive(Debug)]
pub struct Withheld {
    /// Where its bytes count until nobody holds it.
    held: HeldBytes,
    topic: String,
    payload: Bytes,
    properties: Vec<u8>,
    minted: Vec<u8>,
    /// Where rules put it when it was tried last, and where it would be kept without them.
    lane: Lane,
    minted_lane: Lane,
    qos: QoS,
    retain: bool,
    packet_id: Option<NonZeroU16>,
    received: NodeTime,
    /// Its position, once it found room.
    pub(crate) seq: Cell<Option<Seq>>,
    /// To whom it was sent from memory.
    pub(super) delivered: RefCell<Delivered>,
    /// Those of them that have acknowledged it.
    pub(crate) settled: RefCell<BTreeSet<(SessionId, Option<GroupId>)>>,
}

/// Who was sent a withheld publish.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// At QoS 1: it is in flight to them, or was.
    pub(super) sessions: BTreeSet<SessionId>,
    /// At QoS 0.
    pub(super) unacknowledged: BTreeSet<SessionId>,
    /// To a member, at QoS 0.
    pub(super) groups: BTreeSet<GroupId>,
}

impl Delivered {
    /// Who hears it still: who is granted more than QoS 0 by now is owed it, whatever was sent before.
    fn rest(&self, qos: QoS, audience: &Audience, publisher: Option<SessionId>) -> Audience {
        let is_unacknowledged = |grant: u8| effective(qos, grant) == QoS::AtMostOnce;
        let mut sessions = self.sessions.clone();
        sessions.extend(self.unacknowledged.iter().filter(|id| {
            audience
                .grant(**id, publisher)
                .is_none_or(|grant| is_unacknowledged(grant.qos))
        }));
        let mut groups = self.groups.clone();
        groups.retain(|id| {
            let members = audience.groups.get(id).into_iter().flatten();
            members.map(|(_, grant)| grant.qos).all(is_unacknowledged)
        });
        audience.without(&sessions, &groups)
    }
}

impl Withheld {
    fn of(arrival: &Arrival<'_>, lane: Lane, now: NodeTime, held: &HeldBytes) -> Withheld {
        let record = &arrival.record;
        let withheld = Withheld {
            held: held.clone(),
            topic: record.topic.to_owned(),
            payload: Bytes::copy_from_slice(record.payload),
            properties: record.properties.to_vec(),
            minted: record.minted.to_vec(),
            lane,
            minted_lane: arrival.lane,
            qos: record.qos,
            retain: record.retain,
            packet_id: record.packet_id,
            received: record.received(now),
            seq: Cell::new(None),
            delivered: RefCell::default(),
            settled: RefCell::default(),
        };
        held.0.set(held.get() + withheld.weight());
        withheld
    }

    /// Those of the sessions that hear it who were not sent it.
    fn missed_by<'a>(&self, audience: &'a Audience) -> impl Iterator<Item = SessionId> + use<'a> {
        let delivered = self.delivered.borrow();
        let mut sent = delivered.sessions.clone();
        sent.extend(&delivered.unacknowledged);
        let sessions = audience.sessions.keys().copied();
        sessions.filter(move |id| !sent.contains(id))
    }

    /// Bytes it holds in memory.
    pub(crate) fn weight(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.len() + self.minted.len()
    }

    pub(crate) fn message(&self) -> Message<'_> {
        Message {
            topic: &self.topic,
            properties: &self.properties,
            received: self.received,
            qos: self.qos,
            retain: self.retain,
            payload: &self.payload,
        }
    }

    fn record<'a>(&'a self, sender: &'a str, now: NodeTime) -> PublishRecord<'a> {
        PublishRecord {
            qos: self.qos,
            retain: self.retain,
            will: false,
            packet_id: self.packet_id,
            waited_ms: waited_ms(self.received, now),
            place: None,
            sender,
            origin: "",
            topic: &self.topic,
            properties: &self.properties,
            minted: &self.minted,
            settled: &[],
            payload: &self.payload,
        }
    }
}

impl Drop for Withheld {
    fn drop(&mut self) {
        self.held
            .0
            .set(self.held.get().saturating_sub(self.weight()));
    }
}

impl Session {
    /// What was sent from memory is owed at this position.
    fn is_sent(&mut self, withheld: &Rc<Withheld>, seq: Seq) {
        let is_it =
            |place: &Place| matches!(place, Place::Withheld(other) if Rc::ptr_eq(other, withheld));
        for flight in self.flights.values_mut() {
            if is_it(&flight.place) {
                flight.place = Place::Stored(seq);
            }
        }
        // While it is away, what is stored before this one has yet to be read.
        if self.connection.is_none() || self.feed.is_behind() {
            self.flights.is_ahead(seq);
        } else {
            self.feed.advance(seq);
            self.feed.owed = self.feed.owed.max(seq);
        }
    }
}

impl Broker {
    /// A session ended: whoever takes its index has been sent nothing.
    pub(super) fn forget_deliveries(&mut self, session: SessionId) {
        for id in &self.withholding {
            let withheld = self.connections.get(*id).map(|c| c.withheld.iter());
            for one in withheld.into_iter().flatten() {
                let mut delivered = one.delivered.borrow_mut();
                delivered.sessions.remove(&session);
                delivered.unacknowledged.remove(&session);
                one.settled.borrow_mut().retain(|(id, _)| *id != session);
            }
        }
    }

    /// Whether an earlier publish of this connection waits for room in the same lane.
    pub(super) fn waits_in_lane(&self, id: ConnectionId, lane: Lane) -> bool {
        self.connections
            .get(id)
            .is_some_and(|c| c.withheld.iter().any(|withheld| withheld.lane == lane))
    }

    /// Keeps a publish that found no room in a lane, and delivers it locally at once.
    pub(super) fn withhold(
        &mut self,
        now: NodeTime,
        id: ConnectionId,
        session: SessionId,
        packet_id: NonZeroU16,
        arrival: &Arrival<'_>,
        lane: Lane,
    ) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let mut missed = std::mem::take(&mut connection.missed);
        let withheld = Rc::new(Withheld::of(arrival, lane, now, &self.withheld));
        let audience = self.subscriptions.audience(arrival.record.topic);
        let place = Place::Withheld(Rc::clone(&withheld));
        let message = withheld.message();
        let in_order = audience.without(&missed, &BTreeSet::new());
        self.fan_out(now, &message, &in_order, Some(session), Some(&place));
        missed.extend(withheld.missed_by(&audience));
        let gate = Gate::Taken(Rc::clone(&withheld));
        let (qos, seq) = (withheld.qos, Seq(u64::MAX));
        self.promise(id, session, qos, packet_id, gate, seq, ReasonCode::Success);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.missed = missed;
            connection.withheld.push_back(Rc::clone(&withheld));
            self.withholding.insert(id);
        }
    }

    /// Whether a message may be in flight from there: what is only in memory stays there for as long as its subscriber does
    /// not acknowledge, though its publisher leaves and comes with the same again.
    pub(super) fn may_fly_from(&self, place: &Place) -> bool {
        match place {
            Place::Withheld(own) => {
                self.withheld.get().saturating_sub(own.weight()) < self.limits.withheld_bytes
            }
            Place::Stored(_) | Place::Retained(..) => true,
        }
    }

    /// Tries again what of this connection found no room.
    pub fn handle_room(&mut self, journal: &mut Journal<'_>, id: ConnectionId) {
        self.withholding.remove(&id);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(session) = connection.session() else {
            return;
        };
        let waiting = std::mem::take(&mut connection.withheld);
        let Some(client) = self
            .sessions
            .get(session)
            .map(|session| std::sync::Arc::clone(&session.client))
        else {
            return;
        };
        let mut full = BTreeSet::new();
        let mut still = VecDeque::new();
        for withheld in waiting {
            let taken = match full.contains(&withheld.lane.0) {
                true => None,
                false => Some(self.take_withheld(journal, session, &client, &withheld)),
            };
            match taken {
                Some(Ok(())) => continue,
                Some(Err(no_room)) if no_room.full == Full::TooLarge => {
                    self.refuse_withheld(id, session, &withheld, &client, journal.now);
                    continue;
                }
                Some(Err(no_room)) => full.extend([withheld.lane.0, no_room.lane.0]),
                None => {}
            }
            still.push_back(withheld);
        }
        if !still.is_empty() {
            self.withholding.insert(id);
        }
        if let Some(connection) = self.connections.get_mut(id) {
            if still.is_empty() {
                connection.missed.clear();
            }
            connection.withheld = still;
        }
        // One that nobody is owed is in no commit: its answer leaves with this one.
        self.release_answers(id);
    }

    fn take_withheld(
        &mut self,
        journal: &mut Journal<'_>,
        publisher: SessionId,
        client: &str,
        withheld: &Rc<Withheld>,
    ) -> Result<(), NoRoom> {
        let arrival = Arrival {
            publisher: Some(publisher),
            withheld: Some(withheld),
            crowded: Crowded::Waits,
            ..Arrival::of(withheld.record(client, journal.now), withheld.minted_lane)
        };
        let taken = self.take(journal, &arrival)?;
        if let Taken::Passed(after) | Taken::Unheard(after) = taken {
            withheld.seq.set(Some(after));
        }
        Ok(())
    }

    /// A withheld publish found room: what was sent from memory is now owed at its position; the rest is offered.
    pub(super) fn fan_out_rest(
        &mut self,
        now: NodeTime,
        withheld: &Rc<Withheld>,
        audience: &Audience,
        publisher: Option<SessionId>,
        seq: Seq,
    ) {
        withheld.seq.set(Some(seq));
        let delivered = withheld.delivered.take();
        let place = Place::Stored(seq);
        for id in &delivered.sessions {
            if let Some(session) = self.sessions.get_mut(*id) {
                session.is_sent(withheld, seq);
            }
        }
        for (session, group) in withheld.settled.take() {
            self.settle(session, &place, group);
        }
        let rest = delivered.rest(withheld.qos, audience, publisher);
        self.fan_out(now, &withheld.message(), &rest, publisher, Some(&place));
    }
}
