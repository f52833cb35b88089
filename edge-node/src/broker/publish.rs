//! Publishes on their way in: from a client's PUBLISH to a record, and to everybody who hears it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    num::NonZeroU16,
    rc::Rc,
};

use bytes::Bytes;
use spool::{Full, Kind, Lane, LossReason, NodeTime, RouteId, Seq, WhenFull};

use super::{
    Broker,
    answer::{Answer, Gate},
    connection::ConnectionId,
    fault::PeerError,
    flight::Place,
    group::GroupId,
    journal::Journal,
    message::Message,
    retained,
    session::SessionId,
    subscriptions::Audience,
};
use crate::{
    mqtt::{
        packet::{Publish, QoS, ReasonCode, Version},
        stored,
    },
    record::{Change, PublishRecord, StoredWill},
};

/// A publish that may be taken in: everything its record needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) record: PublishRecord<'a>,
    /// The session that published, if a client did.
    pub(crate) publisher: Option<SessionId>,
    pub(crate) lane: Lane,
    /// Already delivered to those listed there.
    pub(crate) withheld: Option<&'a Rc<Withheld>>,
}

/// A publish whose acknowledgement is withheld because its lane has no room. It keeps the identity it was minted.
#[derive(Debug)]
pub struct Withheld {
    topic: String,
    payload: Bytes,
    properties: Vec<u8>,
    minted: Vec<u8>,
    lane: Lane,
    qos: QoS,
    retain: bool,
    packet_id: Option<NonZeroU16>,
    received: NodeTime,
    /// Its position, once it found room.
    pub(crate) seq: Cell<Option<Seq>>,
    /// Sessions to which it was sent from memory.
    pub(crate) delivered: RefCell<BTreeSet<SessionId>>,
    /// Those of them that have acknowledged it.
    pub(crate) settled: RefCell<BTreeSet<(SessionId, Option<GroupId>)>>,
}

impl Withheld {
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

    fn record<'a>(&'a self, sender: &'a str) -> PublishRecord<'a> {
        PublishRecord {
            qos: self.qos,
            retain: self.retain,
            will: false,
            packet_id: self.packet_id,
            sender,
            origin: "",
            topic: &self.topic,
            properties: &self.properties,
            minted: &self.minted,
            payload: &self.payload,
        }
    }
}

/// Where a publish went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Into the log.
    Stored(Seq),
    /// To live subscribers only: nobody is owed it.
    Passed,
    /// Nobody heard it.
    Unheard,
}

impl Broker {
    pub(crate) fn handle_publish(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session_id: SessionId,
        mut publish: Publish,
    ) -> Result<(), PeerError> {
        let topic = self.resolve_topic(id, &mut publish)?;
        let Some(session) = self.sessions.get(session_id) else {
            return Ok(());
        };
        let client = std::sync::Arc::clone(&session.client);
        let durable = session.is_durable();
        let packet_id = publish.packet_id.map(|packet_id| packet_id.0);
        if let (QoS::ExactlyOnce, Some(packet_id)) = (publish.qos, packet_id)
            && let Some(seq) = session.kept.inbound.get(&packet_id)
        {
            let gate = Gate::Committed(*seq);
            if *seq == Seq(u64::MAX) {
                return Ok(()); // It waits for room, and so does its answer.
            }
            self.answer(id, gate, Answer::PubRec(packet_id, ReasonCode::Success));
            return Ok(());
        }
        self.count_open(id, publish.qos)?;
        if let Some(count) = self.counters.received.get_mut(publish.qos as usize) {
            *count += 1;
        }
        let properties = stored::encode(&publish.properties).unwrap_or_default(); // decoded ones can be encoded
        let minted = match journal.mint(&topic, &publish, &client) {
            Ok(minted) => minted,
            Err(reason) => {
                self.refuse(id, &publish, packet_id, reason, &client, journal.now);
                return Ok(());
            }
        };
        self.counters.wrapped += u64::from(minted.wrapped);
        let record = PublishRecord {
            qos: publish.qos,
            retain: publish.retain,
            will: false,
            packet_id: packet_id.filter(|_| publish.qos == QoS::ExactlyOnce && durable),
            sender: &client,
            origin: "",
            topic: &topic,
            properties: &properties,
            minted: &minted.bytes,
            payload: &publish.payload,
        };
        let arrival = Arrival {
            record,
            publisher: Some(session_id),
            lane: minted.lane,
            withheld: None,
        };
        let must_wait = publish.qos != QoS::AtMostOnce && self.waits_in_lane(id, minted.lane);
        let taken = if must_wait {
            Err(Full::Bound {
                when_full: WhenFull::Refuse,
            })
        } else {
            self.take(journal, &arrival)
        };
        match (taken, publish.qos, packet_id) {
            (Ok(_), QoS::AtMostOnce, _) => {}
            (Err(_), QoS::AtMostOnce, _) | (_, _, None) => {
                let audience = self.subscriptions.audience(&topic);
                let message = Message::of(&record, journal.now);
                self.fan_out(journal.now, &message, &audience, Some(session_id), None);
                self.lose(
                    LossReason::Qos0NotStored,
                    client.to_string(),
                    1,
                    publish.payload.len() as u64,
                    journal.now,
                );
            }
            (Ok(taken), qos, Some(packet_id)) => {
                let (seq, reason) = match taken {
                    Taken::Stored(seq) => (seq, ReasonCode::Success),
                    Taken::Passed => (Seq::ZERO, ReasonCode::Success),
                    Taken::Unheard => (Seq::ZERO, ReasonCode::NoMatchingSubscribers),
                };
                self.promise(
                    id,
                    session_id,
                    qos,
                    packet_id,
                    Gate::Committed(seq),
                    seq,
                    reason,
                );
            }
            (
                Err(
                    Full::Bound {
                        when_full: WhenFull::Reject,
                    }
                    | Full::TooLarge,
                ),
                _,
                Some(packet_id),
            ) => {
                let _ = packet_id; // The answer names it below.
                self.refuse(
                    id,
                    &publish,
                    Some(packet_id),
                    ReasonCode::QuotaExceeded,
                    &client,
                    journal.now,
                );
            }
            (Err(_), qos, Some(packet_id)) => {
                let withheld = Rc::new(Withheld {
                    topic: topic.clone(),
                    payload: Bytes::copy_from_slice(&publish.payload),
                    properties: properties.clone(),
                    minted: minted.bytes.clone(),
                    lane: minted.lane,
                    qos,
                    retain: publish.retain,
                    packet_id: record.packet_id,
                    received: journal.now,
                    seq: Cell::new(None),
                    delivered: RefCell::default(),
                    settled: RefCell::default(),
                });
                let audience = self.subscriptions.audience(&topic);
                let place = Place::Withheld(Rc::clone(&withheld));
                self.fan_out(
                    journal.now,
                    &withheld.message(),
                    &audience,
                    Some(session_id),
                    Some(&place),
                );
                let gate = Gate::Taken(Rc::clone(&withheld));
                self.promise(
                    id,
                    session_id,
                    qos,
                    packet_id,
                    gate,
                    Seq(u64::MAX),
                    ReasonCode::Success,
                );
                self.withheld_bytes += withheld.weight();
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.withheld.push_back(withheld);
                    self.withholding.insert(id);
                }
            }
        }
        Ok(())
    }

    /// Queues the acknowledgement of a publish, and takes its identifier where it is QoS 2.
    #[expect(
        clippy::too_many_arguments,
        reason = "one acknowledgement, whose it is, and when it leaves"
    )]
    pub(super) fn promise(
        &mut self,
        id: ConnectionId,
        session: SessionId,
        qos: QoS,
        packet_id: NonZeroU16,
        gate: Gate,
        seq: Seq,
        reason: ReasonCode,
    ) {
        if qos == QoS::ExactlyOnce {
            if let Some(session) = self.sessions.get_mut(session) {
                session.kept.inbound.insert(packet_id, seq);
            }
            self.answer(id, gate, Answer::PubRec(packet_id, reason));
        } else {
            self.answer(id, gate, Answer::PubAck(packet_id, reason));
        }
    }

    pub(super) fn resolve_topic(
        &mut self,
        id: ConnectionId,
        publish: &mut Publish,
    ) -> Result<String, PeerError> {
        let alias = publish
            .properties
            .0
            .as_mut()
            .and_then(|set| set.topic_alias.take());
        let topic = publish.topic.as_str().to_owned();
        let Some(alias) = alias else { return Ok(topic) };
        let maximum = self.limits.topic_alias_maximum;
        let Some(connection) = self.connections.get_mut(id) else {
            return Ok(topic);
        };
        if alias.get() > maximum {
            return Err(PeerError::Protocol(
                ReasonCode::TopicAliasInvalid,
                "topic alias above the maximum",
            ));
        }
        if topic.is_empty() {
            let known = connection.aliases.get(&alias.get()).cloned();
            return known.ok_or(PeerError::Protocol(
                ReasonCode::TopicAliasInvalid,
                "topic alias without a topic",
            ));
        }
        connection.aliases.insert(alias.get(), topic.clone());
        Ok(topic)
    }

    pub(super) fn count_open(&mut self, id: ConnectionId, qos: QoS) -> Result<(), PeerError> {
        let maximum = self.limits.receive_maximum;
        let Some(connection) = self.connections.get_mut(id) else {
            return Ok(());
        };
        if qos == QoS::AtMostOnce {
            return Ok(());
        }
        if connection.version == Version::V5 && connection.open >= maximum {
            return Err(PeerError::Protocol(
                ReasonCode::ReceiveMaximumExceeded,
                "more publishes in flight than granted",
            ));
        }
        connection.open += 1;
        Ok(())
    }

    /// Whether an earlier publish of this connection waits for room in the same lane.
    pub(super) fn waits_in_lane(&self, id: ConnectionId, lane: Lane) -> bool {
        self.connections
            .get(id)
            .is_some_and(|c| c.withheld.iter().any(|withheld| withheld.lane == lane))
    }

    /// Answers a publish that is not taken: with its reason where the protocol can say it.
    pub(super) fn refuse(
        &mut self,
        id: ConnectionId,
        publish: &Publish,
        packet_id: Option<NonZeroU16>,
        reason: ReasonCode,
        client: &str,
        now: NodeTime,
    ) {
        let why = if reason == ReasonCode::QuotaExceeded {
            LossReason::Rejected
        } else {
            LossReason::Refused
        };
        self.lose(why, client.to_owned(), 1, publish.payload.len() as u64, now);
        self.counters.refused += 1;
        let Some(connection) = self.connections.get(id) else {
            return;
        };
        // A 3.1.1 client cannot be told; without an answer it would send the same again for ever.
        let reason = if connection.version == Version::V5 {
            reason
        } else {
            ReasonCode::Success
        };
        match (publish.qos, packet_id) {
            (QoS::AtLeastOnce, Some(packet_id)) => {
                self.answer(
                    id,
                    Gate::Committed(Seq::ZERO),
                    Answer::PubAck(packet_id, reason),
                );
            }
            (QoS::ExactlyOnce, Some(packet_id)) => {
                self.answer(
                    id,
                    Gate::Committed(Seq::ZERO),
                    Answer::PubRec(packet_id, reason),
                );
            }
            _ => {}
        }
    }

    /// Takes a publish in: into the log if anybody is owed it, and to live subscribers.
    pub(crate) fn take(
        &mut self,
        journal: &mut Journal<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Taken, Full> {
        let record = &arrival.record;
        let audience = self.subscriptions.audience(record.topic);
        let route = self.route(
            journal,
            &audience,
            record.qos,
            arrival.publisher,
            arrival.lane,
        );
        let state = record.retain || record.packet_id.is_some() || record.will;
        let live_above_zero =
            record.qos != QoS::AtMostOnce && audience.sessions.values().any(|l| l.grant.is_some());
        let history = journal.keeps_history() && !record.topic.starts_with('$');
        let is_stored = route != RouteId::NOBODY || state || live_above_zero || history;
        if !is_stored {
            let message = Message::of(record, journal.now);
            self.fan_out(journal.now, &message, &audience, arrival.publisher, None);
            let heard = !audience.sessions.is_empty() || !audience.groups.is_empty();
            return Ok(if heard { Taken::Passed } else { Taken::Unheard });
        }
        let kind = if state {
            Kind::EventAndState
        } else {
            Kind::Event
        };
        let seq = journal.append(kind, arrival.lane, route, record)?;
        self.apply_publish(seq, journal.now, record);
        let message = Message::of(record, journal.now);
        let place = Place::Stored(seq);
        match arrival.withheld {
            None => self.fan_out(
                journal.now,
                &message,
                &audience,
                arrival.publisher,
                Some(&place),
            ),
            Some(withheld) => {
                self.fan_out_rest(journal.now, withheld, &audience, arrival.publisher, seq)
            }
        }
        Ok(Taken::Stored(seq))
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
        for session in &delivered {
            if let Some(session) = self.sessions.get_mut(*session) {
                for flight in session.flights.values_mut() {
                    if matches!(&flight.place, Place::Withheld(other) if Rc::ptr_eq(other, withheld))
                    {
                        flight.place = place.clone();
                    }
                }
                if session.feed.is_behind() {
                    session.flights.is_ahead(seq);
                } else {
                    session.feed.advance(seq);
                    session.feed.owed = session.feed.owed.max(seq);
                }
            }
        }
        for (session, group) in withheld.settled.take() {
            self.settle(session, &place, group);
        }
        let rest = audience.without(&delivered);
        self.fan_out(now, &withheld.message(), &rest, publisher, Some(&place));
    }

    /// Tries again what found no room.
    pub fn handle_room(&mut self, journal: &mut Journal<'_>) {
        for id in std::mem::take(&mut self.withholding) {
            let Some(connection) = self.connections.get_mut(id) else {
                continue;
            };
            let Some(session) = connection.session() else {
                continue;
            };
            let waiting = std::mem::take(&mut connection.withheld);
            let Some(client) = self
                .sessions
                .get(session)
                .map(|session| std::sync::Arc::clone(&session.client))
            else {
                continue;
            };
            let mut full = BTreeSet::new();
            let mut still = std::collections::VecDeque::new();
            for withheld in waiting {
                let arrival = Arrival {
                    record: withheld.record(&client),
                    publisher: Some(session),
                    lane: withheld.lane,
                    withheld: Some(&withheld),
                };
                if full.contains(&withheld.lane.0)
                    || self.take_withheld(journal, &arrival, &withheld).is_err()
                {
                    full.insert(withheld.lane.0);
                    still.push_back(withheld);
                } else {
                    self.withheld_bytes = self.withheld_bytes.saturating_sub(withheld.weight());
                }
            }
            if !still.is_empty() {
                self.withholding.insert(id);
            }
            if let Some(connection) = self.connections.get_mut(id) {
                connection.withheld = still;
            }
            self.acking.insert(id);
        }
    }

    pub(super) fn take_withheld(
        &mut self,
        journal: &mut Journal<'_>,
        arrival: &Arrival<'_>,
        withheld: &Rc<Withheld>,
    ) -> Result<(), Full> {
        let taken = self.take(journal, arrival)?;
        if taken == Taken::Passed || taken == Taken::Unheard {
            withheld.seq.set(Some(Seq::ZERO));
        }
        Ok(())
    }

    /// Folds a stored publish into the state: live, and again at recovery.
    pub(crate) fn apply_publish(&mut self, seq: Seq, time: NodeTime, record: &PublishRecord<'_>) {
        if record.retain {
            let expires = record
                .expiry_seconds()
                .map(|seconds| NodeTime(time.0 + u64::from(seconds) * 1000));
            let kept = (!record.payload.is_empty()).then_some(retained::Kept { seq, expires });
            if kept.is_some()
                && !self.retained.contains(record.topic)
                && self.retained.len() >= self.limits.retained
            {
                self.lose_at(
                    LossReason::RetainedBound,
                    record.topic.to_owned(),
                    seq,
                    record.payload.len() as u64,
                    time,
                );
                return self.apply_publish_of_session(seq, record);
            }
            if kept.is_some() {
                self.pin(seq);
            }
            if let Some(replaced) = self.retained.set(record.topic, kept) {
                self.unpin(replaced);
            }
        }
        self.apply_publish_of_session(seq, record);
    }

    /// What a stored publish changes in the session of its publisher.
    pub(super) fn apply_publish_of_session(&mut self, seq: Seq, record: &PublishRecord<'_>) {
        if let (Some(packet_id), Some(id)) = (record.packet_id, self.clients.get(record.sender))
            && let Some(session) = self.sessions.get_mut(*id)
        {
            session.kept.inbound.insert(packet_id, seq);
        }
        if record.will
            && let Some(id) = self.clients.get(record.sender)
            && let Some(session) = self.sessions.get_mut(*id)
        {
            session.kept.will = None;
            session.kept.will_due = None;
        }
    }

    /// Publishes a will. It stays due if there is no room.
    pub(crate) fn publish_will(
        &mut self,
        journal: &mut Journal<'_>,
        client: &str,
        will: &StoredWill,
    ) -> Result<(), Full> {
        let qos = match will.qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        let minted = match journal.mint_will(client, will) {
            Ok(minted) => minted,
            Err(_) => {
                // The operator refuses what is no valid event, wills included; the session is done with it.
                self.lose(
                    LossReason::Refused,
                    client.to_owned(),
                    1,
                    will.payload.len() as u64,
                    journal.now,
                );
                let spent = Change::WillRefused {
                    client: client.to_owned(),
                };
                return self.change(journal, spent).map(drop);
            }
        };
        let record = PublishRecord {
            qos,
            retain: will.retain,
            will: true,
            packet_id: None,
            sender: client,
            origin: "",
            topic: &will.topic,
            properties: &will.properties,
            minted: &minted.bytes,
            payload: &will.payload,
        };
        let publisher = self.clients.get(client).copied();
        let arrival = Arrival {
            record,
            publisher,
            lane: minted.lane,
            withheld: None,
        };
        self.take(journal, &arrival).map(drop)
    }

    /// The client released an inbound QoS 2 identifier.
    pub(crate) fn handle_release(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session_id: SessionId,
        packet_id: NonZeroU16,
    ) -> Result<(), PeerError> {
        let Some(session) = self.sessions.get(session_id) else {
            return Ok(());
        };
        if !session.kept.inbound.contains_key(&packet_id) {
            let reason = ReasonCode::PacketIdentifierNotFound;
            self.answer(
                id,
                Gate::Committed(Seq::ZERO),
                Answer::PubComp(packet_id, reason),
            );
            return Ok(());
        }
        let client = session.client.to_string();
        let gate = self.change(journal, Change::Released { client, packet_id })?;
        self.answer(
            id,
            Gate::Committed(gate),
            Answer::PubComp(packet_id, ReasonCode::Success),
        );
        Ok(())
    }
}
