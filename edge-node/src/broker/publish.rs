//! Publishes on their way in: from a client's PUBLISH to a record, and to everybody who hears it.

use std::rc::Rc;

use filters::stage::EventTime;
use spool::{Full, Kind, Lane, LossReason, NodeTime, RouteId, Seq, WhenFull};

use super::{
    Broker,
    connection::ConnectionId,
    fault::{Excess, PeerError},
    flight::Place,
    journal::Journal,
    message::Message,
    retained::{self, Retention},
    session::SessionId,
    subscriptions::Audience,
    withheld::Withheld,
};
use crate::{
    mqtt::{
        packet::{Publish, QoS, ReasonCode, Version},
        stored,
    },
    node::tap::Passed,
    record::{Change, PublishRecord},
    rules::{Crowded, Judged, Parts, Subject},
};

/// A publish that may be taken in: everything its record needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) record: PublishRecord<'a>,
    /// The session that published, if a client did.
    pub(crate) publisher: Option<SessionId>,
    /// Where it is kept unless a rule says otherwise.
    pub(crate) lane: Lane,
    /// The connection it came on, if none of its lane may wait there for room.
    pub(crate) in_turn: Option<ConnectionId>,
    /// What becomes of it where it fits no transaction with what is in this one.
    pub(crate) crowded: Crowded,
    /// Already delivered to those listed there.
    pub(crate) withheld: Option<&'a Rc<Withheld>>,
    /// The rules from which it is derived, the latest last.
    pub(crate) derived_by: &'a [String],
    /// What its record keeps encoded, if that is at hand.
    pub(crate) parts: Option<Parts<'a>>,
}

impl<'a> Arrival<'a> {
    /// One that came on no connection, to be kept in this lane.
    pub(crate) fn of(record: PublishRecord<'a>, lane: Lane) -> Arrival<'a> {
        Arrival {
            record,
            publisher: None,
            lane,
            in_turn: None,
            crowded: Crowded::Refused,
            withheld: None,
            derived_by: &[],
            parts: None,
        }
    }
}

/// A publish found no room in this lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRoom {
    pub(crate) full: Full,
    pub(crate) lane: Lane,
}

/// Where a publish went. The answer waits until everything up to the position is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Into the log.
    Stored(Seq),
    /// To live subscribers only: nobody is owed it.
    Passed(Seq),
    /// Nobody heard it.
    Unheard(Seq),
}

/// What of a publish is in the log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Appended {
    /// The publish.
    Publish(Seq),
    /// Nothing of it, since nobody is owed it. What it rests on is: the answer waits for that.
    Nothing { after: Seq },
}

impl Appended {
    /// Its position, if it has one.
    pub(super) fn publish(self) -> Option<Seq> {
        match self {
            Appended::Publish(seq) => Some(seq),
            Appended::Nothing { .. } => None,
        }
    }

    /// What has to be committed before it is answered.
    pub(super) fn last(self) -> Seq {
        match self {
            Appended::Publish(seq) | Appended::Nothing { after: seq } => seq,
        }
    }
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
        if self.device_topic(&topic).is_some() {
            return self.handle_device_publish(journal, id, session_id, &publish, &topic);
        }
        if publish.qos == QoS::ExactlyOnce && self.answer_repeat(id, session_id, packet_id) {
            return Ok(());
        }
        self.count_open(id, publish.qos)?;
        self.count_received(publish.qos);
        let properties = stored::encode(&publish.properties).unwrap_or_default(); // decoded ones can be encoded
        let received = self.received_at(id, journal.now);
        let (event, minted) = match journal.mint(&topic, &publish, &client, received) {
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
            waited_ms: waited_ms(received, journal.now),
            place: None,
            sender: &client,
            origin: "",
            topic: &topic,
            properties: &properties,
            minted: &minted.bytes,
            settled: &[],
            payload: &publish.payload,
        };
        let arrival = Arrival {
            record,
            publisher: Some(session_id),
            lane: minted.lane,
            in_turn: (publish.qos != QoS::AtMostOnce).then_some(id),
            crowded: match publish.qos {
                QoS::AtMostOnce => Crowded::Lessened,
                QoS::AtLeastOnce | QoS::ExactlyOnce => Crowded::Waits,
            },
            withheld: None,
            derived_by: &[],
            parts: Some(Parts {
                minted: &event,
                properties: &publish.properties,
            }),
        };
        let taken = self.take(journal, &arrival);
        let Some(packet_id) = packet_id else {
            if taken.is_err() {
                self.pass_by(journal.now, session_id, &record);
            }
            return Ok(());
        };
        match taken {
            Ok(taken) => self.promise_taken(id, session_id, publish.qos, packet_id, taken),
            Err(NoRoom { full, .. }) if self.is_refused(id, full) => {
                let reason = ReasonCode::QuotaExceeded;
                self.refuse(id, &publish, Some(packet_id), reason, &client, journal.now);
            }
            Err(NoRoom { lane, .. }) => {
                self.withhold(journal.now, id, session_id, packet_id, &arrival, lane);
            }
        }
        Ok(())
    }

    pub(super) fn count_received(&mut self, qos: QoS) {
        if let Some(count) = self.counters.received.get_mut(qos as usize) {
            *count += 1;
        }
    }

    /// QoS 0 that finds no room is for live subscribers only.
    fn pass_by(&mut self, now: NodeTime, publisher: SessionId, record: &PublishRecord<'_>) {
        let audience = self.subscriptions.audience(record.topic);
        let message = Message::of(record, now);
        self.fan_out(now, &message, &audience, Some(publisher), None);
        let (scope, bytes) = (record.sender.to_owned(), record.payload.len() as u64);
        self.lose(LossReason::Qos0NotStored, scope, 1, bytes, now);
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

    /// Takes a publish in: into the log if anybody is owed it, and to live subscribers.
    pub(crate) fn take(
        &mut self,
        journal: &mut Journal<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Taken, NoRoom> {
        let record = &arrival.record;
        let audience = self.subscriptions.audience(record.topic);
        let mut judged = self.judge.judge(
            &Subject::with(record, arrival.parts),
            arrival.lane,
            journal.next(),
            journal.clock(),
            arrival.derived_by,
        );
        let appended = match self.append_publish(journal, arrival, &audience, &mut judged) {
            Ok(appended) => appended,
            Err(full) => {
                let lane = judged.lane;
                self.judge.take_back(judged);
                return Err(NoRoom { full, lane });
            }
        };
        self.follow_judged(&judged, appended, record, journal.now);
        let ordered = self.follow_order(journal, record);
        self.ask_for_births(journal);
        let message = Message::of(record, journal.now);
        let publisher = arrival.publisher;
        let seq = match appended {
            Appended::Publish(seq) => seq,
            Appended::Nothing { after } => {
                let after = after.max(ordered);
                self.fan_out(journal.now, &message, &audience, publisher, None);
                let heard = !audience.sessions.is_empty() || !audience.groups.is_empty();
                return Ok(match heard {
                    true => Taken::Passed(after),
                    false => Taken::Unheard(after),
                });
            }
        };
        self.apply_publish(seq, journal.now, record);
        let place = Place::Stored(seq);
        match arrival.withheld {
            None => self.fan_out(journal.now, &message, &audience, publisher, Some(&place)),
            Some(withheld) => self.fan_out_rest(journal.now, withheld, &audience, publisher, seq),
        }
        Ok(Taken::Stored(seq))
    }

    /// Appends a publish as it was judged, if anybody is owed it or it changes what the node knows.
    pub(super) fn append_publish(
        &mut self,
        journal: &mut Journal<'_>,
        arrival: &Arrival<'_>,
        audience: &Audience,
        judged: &mut Judged,
    ) -> Result<Appended, Full> {
        let record = arrival.record;
        if judged.waits {
            return Err(Full::Waiting);
        }
        let waits = |id| self.waits_in_lane(id, judged.lane);
        if arrival.in_turn.is_some_and(waits) {
            return Err(Full::Bound {
                when_full: WhenFull::Refuse,
            });
        }
        let route = self.route(journal, audience, record.qos, arrival.publisher, judged)?;
        // What fits no transaction with others, or with a route that is new, may fit one of its own.
        let crowded = (!journal.is_empty()).then_some(arrival.crowded);
        let state = record.retain
            || record.packet_id.is_some()
            || record.will
            || record.place.is_some()
            || judged.is_birth();
        let live_above_zero =
            record.qos != QoS::AtMostOnce && audience.sessions.values().any(|l| l.grant.is_some());
        let history =
            journal.keeps_history() && !record.topic.starts_with('$') && !judged.is_dropped();
        if route == RouteId::NOBODY && !state && !live_above_zero && !history {
            let after = match (judged.is_remembered, judged.is_suppressed()) {
                (true, _) => judged.append(crowded, |settled| {
                    let settled = settled.to_vec();
                    journal.change(&Change::Judged { settled })
                })?,
                // What it repeats may not be committed yet.
                (false, true) => journal.appended(),
                (false, false) => Seq::ZERO,
            };
            return Ok(Appended::Nothing { after });
        }
        let kind = if state || judged.is_remembered {
            Kind::EventAndState
        } else {
            Kind::Event
        };
        let lane = judged.lane;
        let seq = judged.append(crowded, |settled| {
            let record = PublishRecord { settled, ..record };
            journal.append(kind, lane, route, &record)
        })?;
        Ok(Appended::Publish(seq))
    }

    /// Counts what rules made of a publish that was taken in, shows it to who looks on, and tells their stages of it. Publishes follow in
    /// the order of their positions.
    pub(super) fn follow_judged(
        &mut self,
        judged: &Judged,
        appended: Appended,
        record: &PublishRecord<'_>,
        now: NodeTime,
    ) {
        let judge = &self.judge;
        self.taps.show(|| {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            Passed {
                position: appended.publish(),
                record: bytes,
                view: judged.view().clone(),
                verdict: judge.verdict(judged),
            }
        });
        self.judge.tell(judged, appended.last(), now);
        for stage in self.judge.untold(judged) {
            let (seq, bytes) = (appended.last(), record.payload.len() as u64);
            self.lose_at(LossReason::Refused, stage, seq, bytes, now);
        }
        if let Some(rule) = self.judge.count(judged, appended.publish()) {
            let (seq, bytes) = (appended.publish(), record.payload.len() as u64);
            self.lose_at(
                LossReason::DroppedByRule,
                rule,
                seq.unwrap_or(Seq::ZERO),
                bytes,
                now,
            );
        }
    }

    /// Sends the commands by which Sparkplug's nodes are asked for their births: to who hears them now, and into no record.
    pub(super) fn ask_for_births(&mut self, journal: &Journal<'_>) {
        while let Some(rebirth) = self.judge.poll_rebirth() {
            let wall = i64::try_from(journal.clock().wall.0).unwrap_or(i64::MAX);
            let payload = rebirth.payload(EventTime(wall));
            let message = Message {
                topic: &rebirth.topic,
                properties: &[],
                received: journal.now,
                qos: QoS::AtMostOnce,
                retain: false,
                payload: &payload,
            };
            tracing::debug!(
                topic = rebirth.topic,
                "a Sparkplug node is asked for its births"
            );
            let audience = self.subscriptions.audience(&rebirth.topic);
            self.fan_out(journal.now, &message, &audience, None, None);
        }
    }

    /// Folds a stored publish into the state: live, and again at recovery.
    pub(crate) fn apply_publish(&mut self, seq: Seq, time: NodeTime, record: &PublishRecord<'_>) {
        if record.retain {
            let expires = record.expires(time);
            let kept = (!record.payload.is_empty()).then_some(retained::Kept { seq, expires });
            if kept.is_some() && !self.retained.has_place_for(record.topic, &self.limits) {
                let sender = self.clients.get(record.sender);
                if let Some(connection) = sender.and_then(|id| self.live(*id)) {
                    self.exceed(connection, Excess::Retained);
                }
                self.lose_at(
                    LossReason::RetainedBound,
                    record.topic.to_owned(),
                    seq,
                    record.payload.len() as u64,
                    time,
                );
                return self.apply_publish_of_session(seq, record);
            }
            let keep = kept.map(|kept| Retention::Keep(kept.seq));
            let replaced = self.retained.set(record.topic, kept);
            self.retentions.extend(keep);
            self.retentions.extend(replaced.map(Retention::Release));
            if expires.is_some() {
                self.sweep_retained_later(time);
            }
        }
        self.apply_publish_of_session(seq, record);
    }

    /// What a stored publish changes in the session of its publisher.
    fn apply_publish_of_session(&mut self, seq: Seq, record: &PublishRecord<'_>) {
        if let Some(place) = &record.place {
            self.devices.registry.apply_event(record.sender, place);
        }
        if let (Some(packet_id), Some(id)) = (record.packet_id, self.clients.get(record.sender))
            && let Some(session) = self.sessions.get_mut(*id)
        {
            session.kept.inbound.insert(packet_id, seq);
        }
        if record.will
            && let Some(id) = self.clients.get(record.sender)
            && let Some(session) = self.sessions.get_mut(*id)
        {
            session.kept.spend_will();
        }
    }
}

/// How long a publish waited that is stored now, in milliseconds.
pub(super) fn waited_ms(received: NodeTime, now: NodeTime) -> u32 {
    u32::try_from(now.0.saturating_sub(received.0)).unwrap_or(u32::MAX)
}
