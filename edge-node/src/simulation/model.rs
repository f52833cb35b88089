//! What the node has promised, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::mqtt::packet::QoS;

/// A message that a client published.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) publisher: usize,
    pub(super) topic: String,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    acked: bool,
    /// Clients that were subscribed, to their knowledge, when it was sent and have been since.
    owed: BTreeSet<usize>,
    /// Clients that were subscribed when it was sent for the first time.
    heard_by: BTreeSet<usize>,
    got: BTreeSet<usize>,
    sent: bool,
    at_sink: bool,
}

/// Everything published and delivered so far.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) messages: Vec<Message>,
    /// The last first delivery, by subscriber, its session, publisher, topic and QoS.
    last: BTreeMap<Stream, usize>,
    /// What each session of a subscriber got.
    seen: BTreeSet<(usize, u32, usize)>,
    last_at_sink: BTreeMap<(usize, String, QoS), usize>,
    pub(super) delivered: u64,
    pub(super) acked: u64,
}

pub(super) fn is_shared(topic: &str) -> bool {
    topic.starts_with("s/")
}

impl Model {
    /// A new message, and its number.
    pub(super) fn publish(
        &mut self,
        publisher: usize,
        topic: String,
        qos: QoS,
        retain: bool,
    ) -> usize {
        self.messages.push(Message {
            publisher,
            topic,
            qos,
            retain,
            acked: false,
            owed: BTreeSet::new(),
            heard_by: BTreeSet::new(),
            got: BTreeSet::new(),
            sent: false,
            at_sink: false,
        });
        self.messages.len() - 1
    }

    /// It leaves its publisher for the first time; `subscribed` have a granted subscription for it.
    pub(super) fn sent(&mut self, number: usize, subscribed: BTreeSet<usize>) {
        let message = &mut self.messages[number];
        if !message.sent {
            message.sent = true;
            message.owed.clone_from(&subscribed);
            message.heard_by = subscribed;
        }
    }

    /// The publisher got its acknowledgement.
    pub(super) fn acknowledged(&mut self, number: usize) {
        self.messages[number].acked = true;
        self.acked += 1;
    }

    /// The client gives up its session: nothing is owed to it any more.
    pub(super) fn session_ended(&mut self, client: usize) {
        for message in &mut self.messages {
            message.owed.remove(&client);
        }
    }

    /// The client unsubscribes from what `covers`: what was acknowledged before stays owed.
    pub(super) fn unsubscribed(&mut self, client: usize, covers: impl Fn(&str) -> bool) {
        for message in &mut self.messages {
            if !message.acked && covers(&message.topic) {
                message.owed.remove(&client);
                message.heard_by.remove(&client);
            }
        }
    }

    /// The client got it for the first time that its packet identifier shows.
    pub(super) fn delivered(
        &mut self,
        client: usize,
        session: u32,
        number: usize,
        topic: &str,
        qos: QoS,
    ) {
        let Some(message) = self.messages.get_mut(number) else {
            panic!("client {client} got message {number}, which nobody published");
        };
        assert!(
            message.sent && message.topic == topic,
            "client {client} got message {number} on {topic}: {message:?}"
        );
        self.delivered += 1;
        if message.retain {
            return;
        }
        message.got.insert(client);
        if is_shared(topic) {
            return;
        }
        let heard = message.heard_by.contains(&client);
        let key = (client, session, message.publisher, topic.to_owned(), qos);
        let is_first = self.seen.insert((client, session, number));
        if !is_first {
            assert!(
                qos != QoS::ExactlyOnce,
                "client {client} got message {number} of QoS 2 twice"
            );
            return;
        }
        let last = self.last.entry(key).or_insert(number);
        assert!(
            *last <= number || !heard || qos == QoS::AtMostOnce,
            "client {client} got message {number} for the first time after message {last}"
        );
        *last = number.max(*last);
    }

    /// The sink's receiver got it.
    pub(super) fn arrived(&mut self, number: usize) {
        let message = &mut self.messages[number];
        let is_first = !std::mem::replace(&mut message.at_sink, true);
        if is_first && message.qos != QoS::AtMostOnce {
            let key = (message.publisher, message.topic.clone(), message.qos);
            let last = self.last_at_sink.entry(key).or_insert(number);
            assert!(
                *last <= number,
                "the sink got message {number} for the first time after message {last}"
            );
            *last = number;
        }
    }

    /// Nothing moves any more: every promise must have been kept.
    pub(super) fn check(&self) {
        let acked = self.messages.iter().enumerate();
        for (number, message) in acked.filter(|(_, message)| message.acked) {
            assert!(
                message.at_sink,
                "message {number} was acknowledged and never reached the sink: {message:?}"
            );
            let kept = if message.retain {
                true
            } else if is_shared(&message.topic) {
                message.owed.is_empty() || !message.got.is_empty()
            } else {
                message.owed.is_subset(&message.got)
            };
            assert!(
                kept,
                "message {number} was acknowledged and did not reach everybody: {message:?}"
            );
        }
    }
}

/// A client, its session, a publisher, a topic and a QoS.
type Stream = (usize, u32, usize, String, QoS);
