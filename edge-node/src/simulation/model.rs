//! What the node has promised, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use spool::{Loss, LossReason, NodeTime, Seq};

use crate::{
    broker::tests::harness::{SINK, filters},
    mqtt::packet::QoS,
};

pub(super) mod derived;
pub(super) mod device;
mod retained;
mod wills;

use derived::Derivations;
use device::Devices;
use retained::Retained;
use wills::Wills;

/// Clients of a simulation.
pub(super) const CLIENTS: usize = 3;

/// The sinks, by their names, and what each is sent. The second fails for long.
pub(super) const SINKS: [(&str, &[&str]); 2] =
    [(SINK, &["#"]), ("far", &["t/#", "alarm/#", "plant/#"])];

/// Whether a sink is sent what is published on this topic.
pub(super) fn is_for(sink: usize, topic: &str) -> bool {
    filters(SINKS[sink].1)
        .iter()
        .any(|filter| filter.matches(topic))
}

/// A message that a client published, or the node for it as its will.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) publisher: usize,
    pub(super) topic: String,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// Message expiry interval in seconds.
    pub(super) expiry: Option<u32>,
    acked: bool,
    /// Clients that were subscribed, to their knowledge, when it was sent and have been since.
    owed: BTreeSet<usize>,
    /// Clients that were subscribed when it was sent for the first time.
    heard_by: BTreeSet<usize>,
    got: BTreeSet<usize>,
    /// When it left its publisher, first and last; how often.
    sent: Option<(NodeTime, NodeTime)>,
    sendings: usize,
    /// Where it stands in the log, as the sink was shown.
    positions: BTreeSet<Seq>,
    pub(super) at: [AtSink; SINKS.len()],
}

/// What became of a message at one sink.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AtSink {
    pub(super) arrived: bool,
    pub(super) buried: bool,
    /// The receiver has refused it at least once, so that others may pass it.
    pub(super) refused: bool,
}

impl AtSink {
    pub(super) fn is_any(self) -> bool {
        self.arrived || self.buried || self.refused
    }
}

/// A message that a client has yet to say.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) topic: String,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) expiry: Option<u32>,
}

/// A PUBLISH as a client got it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery<'a> {
    pub(super) client: usize,
    pub(super) number: usize,
    pub(super) topic: &'a str,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
    /// What its message expiry interval says.
    pub(super) expiry: Option<u32>,
    /// The node made it after this.
    pub(super) after: NodeTime,
    /// When the client takes it.
    pub(super) now: NodeTime,
}

/// Everything published and delivered so far.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) messages: Vec<Message>,
    pub(super) retained: Retained,
    pub(super) wills: Wills,
    pub(super) derivations: Derivations,
    pub(super) devices: Devices,
    /// How many sessions each client has had.
    sessions: [u32; CLIENTS],
    /// Since when the session of a client that is away may have expired, unnoticed by the client.
    may_be_over: [Option<NodeTime>; CLIENTS],
    /// The last first delivery, by subscriber, its session, publisher, topic and QoS.
    last: BTreeMap<Stream, usize>,
    /// What each session of a subscriber got.
    seen: BTreeSet<(usize, u32, usize)>,
    /// Who took a message of a shared group for good, at QoS 2.
    takers: BTreeMap<usize, (usize, u32)>,
    last_at_sink: BTreeMap<(usize, usize, String, QoS), usize>,
    pub(super) counts: Counts,
}

/// What happened at all, so that seeds that do nothing are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Counts {
    pub(super) acked: u64,
    pub(super) delivered: u64,
    pub(super) wills: u64,
    pub(super) expired: u64,
    pub(super) buried: u64,
    pub(super) retained: u64,
    pub(super) derived: u64,
    /// Sessions that had expired when their clients came back.
    pub(super) outlived: u64,
    /// Publishes sent while something waited for room.
    pub(super) withheld: u64,
    /// Packets that came together, of which the node left some for later.
    pub(super) put_by: u64,
    /// Events that a device has committed.
    pub(super) of_devices: u64,
}

impl Counts {
    pub(super) fn has_everything(self) -> bool {
        self.acked > 1000
            && self.delivered > 1000
            && self.wills > 100
            && self.expired > 0
            && self.buried > 50
            && self.retained > 50
            && self.derived > 1000
            && self.outlived > 5
            && self.withheld > 0
            && self.put_by > 0
            && self.of_devices > 1000
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.acked += other.acked;
        self.delivered += other.delivered;
        self.wills += other.wills;
        self.expired += other.expired;
        self.buried += other.buried;
        self.retained += other.retained;
        self.derived += other.derived;
        self.outlived += other.outlived;
        self.withheld += other.withheld;
        self.put_by += other.put_by;
        self.of_devices += other.of_devices;
    }
}

pub(super) fn is_shared(topic: &str) -> bool {
    topic.starts_with("s/")
}

impl Model {
    /// A new message, and its number.
    pub(super) fn publish(&mut self, publisher: usize, draft: Draft) -> usize {
        self.messages.push(Message {
            publisher,
            topic: draft.topic,
            qos: draft.qos,
            retain: draft.retain,
            expiry: draft.expiry,
            acked: false,
            owed: BTreeSet::new(),
            heard_by: BTreeSet::new(),
            got: BTreeSet::new(),
            sent: None,
            sendings: 0,
            positions: BTreeSet::new(),
            at: <[AtSink; SINKS.len()]>::default(),
        });
        self.messages.len() - 1
    }

    /// It leaves its publisher; `subscribed` have a granted subscription for it.
    pub(super) fn sent(&mut self, number: usize, now: NodeTime, subscribed: BTreeSet<usize>) {
        let message = &mut self.messages[number];
        message.sendings += 1;
        match &mut message.sent {
            Some((_, last)) => *last = now,
            sent @ None => {
                *sent = Some((now, now));
                message.owed.clone_from(&subscribed);
                message.heard_by = subscribed;
            }
        }
        if message.retain {
            self.retained.sent(&message.topic, number);
        }
    }

    /// The publisher got its acknowledgement.
    pub(super) fn acknowledged(&mut self, number: usize) {
        let message = &mut self.messages[number];
        message.acked = true;
        if message.retain {
            self.retained.acked(&message.topic, number);
        }
        self.counts.acked += 1;
    }

    /// The client is there, with CONNACK.
    pub(super) fn came(&mut self, client: usize) {
        self.may_be_over[client] = None;
    }

    /// The client's connection ended; its session lasts until then at least.
    pub(super) fn left(&mut self, client: usize, until: NodeTime) {
        self.may_be_over[client] = Some(until);
    }

    /// The client gives up its session: nothing is owed to it any more.
    pub(super) fn session_ended(&mut self, client: usize) {
        self.sessions[client] += 1;
        for message in &mut self.messages {
            message.owed.remove(&client);
        }
    }

    /// The client unsubscribes from what `covers`. What was acknowledged before stays owed by a durable session, but not by a
    /// group, which ends with its last member.
    pub(super) fn unsubscribed(
        &mut self,
        client: usize,
        is_durable: bool,
        covers: impl Fn(&str) -> bool,
    ) {
        for message in &mut self.messages {
            let stays = message.acked && is_durable && !is_shared(&message.topic);
            if !stays && covers(&message.topic) {
                message.owed.remove(&client);
                message.heard_by.remove(&client);
            }
        }
    }

    /// The client got it for the first time that its packet identifier shows.
    pub(super) fn delivered(&mut self, delivery: Delivery<'_>) {
        let Delivery { client, number, .. } = delivery;
        let Some(message) = self.messages.get_mut(number) else {
            panic!("client {client} got message {number}, which nobody published");
        };
        assert!(
            message.sent.is_some() && message.topic == delivery.topic,
            "client {client} got message {number} as {delivery:?}: {message:?}"
        );
        message.check_expiry(&delivery);
        self.counts.delivered += 1;
        message.got.insert(client);
        if delivery.retain {
            assert!(message.retain, "{delivery:?} was never retained");
            self.counts.retained += 1;
            return;
        }
        if is_shared(delivery.topic) {
            self.check_taker(&delivery);
        } else {
            self.check_stream(&delivery);
        }
    }

    /// Of a shared group, one takes a message of QoS 2, for as long as its session lives.
    fn check_taker(&mut self, delivery: &Delivery<'_>) {
        if delivery.qos != QoS::ExactlyOnce {
            return;
        }
        let me = (delivery.client, self.sessions[delivery.client]);
        if let Some(taker) = self.takers.insert(delivery.number, me) {
            let may_be_over = self.may_be_over[taker.0].is_some_and(|since| since <= delivery.now);
            assert!(
                taker.1 != self.sessions[taker.0] || may_be_over,
                "message {} of QoS 2 went to client {} of a group, and before to client {}, whose session lives",
                delivery.number,
                me.0,
                taker.0
            );
        }
    }

    /// At QoS 2 once, and first deliveries in the order of the publisher.
    fn check_stream(&mut self, delivery: &Delivery<'_>) {
        let Delivery {
            client,
            number,
            qos,
            ..
        } = *delivery;
        let session = self.sessions[client];
        let message = &self.messages[number];
        let heard = message.heard_by.contains(&client);
        // Of one that was sent again, the copy in its turn may have expired.
        let is_second = message.sendings > 1 && message.may_be_expired(delivery.now);
        let key = (
            client,
            session,
            message.publisher,
            message.topic.clone(),
            qos,
        );
        if !self.seen.insert((client, session, number)) {
            assert!(
                qos != QoS::ExactlyOnce,
                "client {client} got message {number} of QoS 2 twice"
            );
            return;
        }
        let last = self.last.entry(key).or_insert(number);
        assert!(
            *last <= number || !heard || is_second || qos == QoS::AtMostOnce,
            "client {client} got message {number} for the first time after message {last}"
        );
        *last = number.max(*last);
    }

    /// The receiver of this sink got what stands at `seq`.
    pub(super) fn arrived(&mut self, sink: usize, number: usize, seq: Seq) {
        let message = &mut self.messages[number];
        message.stored_at(number, seq);
        let is_first = !std::mem::replace(&mut message.at[sink].arrived, true);
        if is_first && message.qos != QoS::AtMostOnce && !message.at[sink].refused {
            let topic = message.topic.clone();
            let key = (sink, message.publisher, topic, message.qos);
            let last = self.last_at_sink.entry(key).or_insert(number);
            assert!(
                *last <= number,
                "sink {sink} got message {number} for the first time after message {last}"
            );
            *last = number;
        }
    }

    /// The sink is shown it as of use until `expires` on the node clock, which its event says as `expirytime`.
    pub(super) fn shown(
        &self,
        sink: usize,
        number: usize,
        expires: Option<NodeTime>,
        expirytime: Option<i64>,
    ) {
        let message = &self.messages[number];
        assert!(
            is_for(sink, &message.topic),
            "message {number} is not for sink {sink}: {message:?}"
        );
        let span = message.sent.zip(message.expiry).map(|(sent, seconds)| {
            let ends = |from: NodeTime| from.0 + u64::from(seconds) * 1000;
            ends(sent.0)..=ends(sent.1)
        });
        let Some(span) = span else {
            assert_eq!((expires, expirytime), (None, None), "{message:?}");
            return;
        };
        let says = expirytime.and_then(|at| u64::try_from(at).ok());
        assert!(
            says.is_some_and(|at| span.contains(&at)),
            "message {number} has {expirytime:?}: {message:?}"
        );
        assert!(
            expires.is_some_and(|at| span.contains(&at.0)),
            "message {number} is of use until {expires:?}: {message:?}"
        );
    }

    /// The receiver refuses it, this time or for good.
    pub(super) fn refused(&mut self, sink: usize, number: usize) {
        self.messages[number].at[sink].refused = true;
    }

    /// It stands among the dead letters.
    pub(super) fn buried(&mut self, sink: usize, number: usize, seq: Seq) {
        let message = &mut self.messages[number];
        assert!(
            message.at[sink].refused,
            "message {number} is a dead letter, and nobody refused it"
        );
        message.stored_at(number, seq);
        message.at[sink].buried = true;
        self.counts.buried += 1;
    }

    /// Nothing moves any more, and all clients are there but this one: what a group owes has not waited for it.
    pub(super) fn check_groups(&self, late: usize, now: NodeTime) {
        for (number, message) in self.messages.iter().enumerate() {
            // One of QoS 2 stays with the member that it is on its way to.
            let is_owed = message.acked
                && is_shared(&message.topic)
                && message.qos != QoS::ExactlyOnce
                && message.owed.iter().any(|client| *client != late);
            assert!(
                !is_owed || !message.got.is_empty() || message.may_be_expired(now),
                "message {number} waits for client {late} of its group: {message:?}"
            );
        }
    }

    /// Nothing moves any more: every promise must have been kept.
    pub(super) fn check(&mut self, now: NodeTime, ledger: &[Loss]) {
        self.derivations.check();
        self.counts.derived = self.derivations.count();
        let counted = |reason: LossReason, scope: &str| {
            let of = |loss: &&Loss| loss.reason == reason && loss.scope == scope;
            ledger.iter().filter(of).map(|loss| loss.count).sum::<u64>()
        };
        let mut given_up = self.devices.check();
        self.counts.of_devices = self.devices.count();
        let mut expired = [0; CLIENTS];
        for (number, message) in self.messages.iter().enumerate() {
            if !message.acked {
                continue;
            }
            for (sink, at) in message.at.iter().enumerate() {
                if at.arrived || at.buried || !is_for(sink, &message.topic) {
                    continue;
                }
                assert!(
                    at.refused,
                    "message {number} was acknowledged and never reached sink {sink}: {message:?}"
                );
                given_up[sink] += 1;
            }
            let may_expire = message.may_be_expired(now);
            if is_shared(&message.topic) {
                assert!(
                    message.owed.is_empty() || !message.got.is_empty() || may_expire,
                    "message {number} was acknowledged and reached nobody of its group: {message:?}"
                );
                continue;
            }
            for client in message.owed.difference(&message.got) {
                assert!(
                    may_expire,
                    "message {number} was acknowledged and did not reach client {client}: {message:?}"
                );
                expired[*client] += 1;
            }
        }
        for (client, expired) in expired.into_iter().enumerate() {
            let counted = counted(LossReason::Expired, &format!("client-{client}"));
            assert!(
                counted >= expired,
                "{expired} messages for client {client} expired, the ledger has {counted}"
            );
            self.counts.expired += expired;
        }
        for ((name, _), given_up) in SINKS.iter().zip(given_up) {
            let unburied = counted(LossReason::DeadLetterBound, name);
            assert!(
                unburied >= given_up,
                "{given_up} messages are no dead letters of {name} either, the ledger has {unburied}"
            );
        }
        let lost = std::array::from_fn(|client| {
            counted(LossReason::SessionEnded, &format!("client-{client}"))
        });
        self.counts.wills += self.wills.check(&self.messages, lost);
    }
}

impl Message {
    /// Where the sink was shown it. What a client sends once, or its identifier makes one, is one record.
    fn stored_at(&mut self, number: usize, seq: Seq) {
        self.positions.insert(seq);
        let most = if self.qos == QoS::AtLeastOnce {
            self.sendings
        } else {
            1
        };
        assert!(
            self.positions.len() <= most,
            "message {number} is in the log {} times: {self:?}",
            self.positions.len()
        );
    }

    fn may_be_expired(&self, now: NodeTime) -> bool {
        let Some(expiry) = self.expiry else {
            return false;
        };
        let first = self.sent.map_or(now, |(first, _)| first);
        now.0 >= first.0 + u64::from(expiry) * 1000
    }

    /// What leaves the node has not expired, and says how long it still is of use.
    fn check_expiry(&self, delivery: &Delivery<'_>) {
        let (Some(expiry), Some((_, last))) = (self.expiry, self.sent) else {
            assert_eq!(delivery.expiry, None, "{delivery:?}");
            return;
        };
        let waited = delivery.after.0.saturating_sub(last.0) / 1000;
        let most = u64::from(expiry).saturating_sub(waited);
        // One that was under way before may have expired since.
        assert!(
            most > 0 || delivery.dup,
            "{delivery:?} has expired: {self:?}"
        );
        if let Some(left) = delivery.expiry {
            assert!(u64::from(left) <= most, "{delivery:?}: {self:?}");
        }
    }
}

/// A client, its session, a publisher, a topic and a QoS.
type Stream = (usize, u32, usize, String, QoS);
