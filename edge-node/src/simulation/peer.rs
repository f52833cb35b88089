//! A simulated client: what it keeps over connections and crashes of the node, and how it speaks the protocol.

use std::{collections::BTreeSet, num::NonZeroU16};

use bytes::Bytes;
use fastrand::Rng;
use spool::NodeTime;

use super::{
    model::{Draft, Model},
    story::{brief, tell},
};
use crate::{
    broker::tests::harness::{Client, TestNode, goodbye},
    mqtt::{
        encode::encode,
        packet::{
            Ack, ConnAck, Connect, Packet, PacketId, PublishPropertySet, QoS, ReasonCode, Version,
            Will,
        },
    },
};

mod link;
pub(super) mod payload;
mod publisher;
mod subscriber;

use link::{Link, Todo};
use payload::{number_in, payload};
use publisher::Outgoing;
pub(super) use publisher::{IN_FLIGHT, TOPICS};
use subscriber::Wish;

pub(super) struct Peer {
    index: usize,
    version: Version,
    is_durable: bool,
    /// Session expiry interval of a durable session, in seconds.
    expiry_seconds: u32,
    wishes: Vec<Wish>,
    pub(super) link: Option<Link>,
    /// Connections that another one took over, or that said goodbye, and the node still has to hear the end of.
    pub(super) stale: Vec<Client>,
    outgoing: Vec<Outgoing>,
    received: BTreeSet<PacketId>,
    last_id: u16,
    last_control: u16,
    /// What CONNACK must say of the session, if the client knows.
    is_present: Option<bool>,
    must_clean: bool,
    /// The session may have expired before the last CONNECT.
    is_overdue: bool,
    /// The session ends with the connection: it is not durable, or a clean one of 3.1.1.
    is_brief: bool,
    /// When the client's last connection that the node greeted ended.
    left_at: NodeTime,
    /// Bytes of its payloads, at most.
    payload_bytes: usize,
}

/// A connection that its client left.
struct Parted {
    client: Client,
    will: Option<usize>,
    /// When the node heard of it, at the earliest.
    since: NodeTime,
}

impl Parted {
    /// The node has heard that the client is gone.
    fn leave_will(&self, node: &TestNode, model: &mut Model) {
        if let Some(will) = self.will {
            let appended = node.core.spool().appended();
            let waits = |client: usize| node.holds_offline(&format!("client-{client}"));
            model
                .wills
                .ended(will, self.since, node.now(), appended, waits);
        }
    }
}

impl Peer {
    pub(super) fn new(index: usize, payload_bytes: usize, now: NodeTime, rng: &mut Rng) -> Peer {
        let (version, is_durable) = match index {
            0 => (Version::V5, true),
            1 => (Version::V311, true),
            _ => (Version::V5, rng.u8(..4) == 0),
        };
        let expires = version == Version::V5 && rng.u8(..4) == 0;
        Peer {
            index,
            version,
            is_durable,
            expiry_seconds: if expires { 20 } else { 36_000 },
            wishes: Wish::all(rng),
            link: None,
            stale: Vec::new(),
            outgoing: Vec::new(),
            received: BTreeSet::new(),
            last_id: 0,
            last_control: 0,
            is_present: Some(false),
            must_clean: false,
            is_overdue: false,
            is_brief: !is_durable,
            left_at: now,
            payload_bytes,
        }
    }

    /// Opens a connection, over one that may be there.
    pub(super) fn connect(
        &mut self,
        node: &mut TestNode,
        model: &mut Model,
        clean: bool,
        rng: &mut Rng,
        hearers: BTreeSet<usize>,
    ) {
        let now = node.now();
        let taken_over = self.part(node, model);
        let clean = clean || self.must_clean || !self.is_durable;
        let mut connect = Connect::new(self.version, format!("client-{}", self.index));
        connect.clean_start = clean;
        connect.keep_alive = 0;
        let mut receive_maximum = usize::from(u16::MAX);
        if self.version == Version::V5 {
            connect.session_expiry_interval = self.is_durable.then_some(self.expiry_seconds);
            receive_maximum = rng.usize(1..12);
            connect.receive_maximum = NonZeroU16::new(receive_maximum as u16);
        }
        self.is_brief = !self.is_durable || clean && self.version == Version::V311;
        self.expect_session(model, clean, now);
        let will = self.will(model, rng, now, hearers);
        connect.will = will.as_ref().map(|(_, will)| will.clone());
        let client = node.dial(self.version);
        tell(|| format!("{} -> CONNECT clean {clean} will {will:?}", self.index));
        node.send(&client, Packet::Connect(Box::new(connect)));
        if let Some(parted) = taken_over {
            parted.leave_will(node, model);
            self.stale.push(parted.client);
        }
        let appended = node.core.spool().appended();
        if clean {
            model.wills.session_ended(self.index, now);
        } else {
            model.wills.returned(self.index, now, appended);
        }
        let mut link = Link::new(client, now, receive_maximum);
        if let Some((number, will)) = will {
            let seconds = if self.is_brief {
                0
            } else {
                self.expiry_seconds
            };
            let (expiry, delay) = (u64::from(seconds), u64::from(will.delay_interval));
            let wills = &mut model.wills;
            wills.given(number, self.index, expiry * 1000, delay * 1000);
            link.will = Some(number);
        }
        self.link = Some(link);
    }

    /// What the next CONNACK says of the session.
    fn expect_session(&mut self, model: &mut Model, clean: bool, now: NodeTime) {
        let away = now.0 - self.left_at.0;
        self.is_overdue = false;
        if clean {
            self.must_clean = true;
            self.is_present = Some(false);
            self.end_session(model);
        } else if away >= u64::from(self.expiry_seconds) * 1000 {
            self.is_overdue = true;
            // Without this CONNACK it cannot tell from the next one whether its session has begun anew.
            self.must_clean = true;
            self.is_present = None;
        } else if self.is_present == Some(false) {
            self.is_present = None;
        }
    }

    fn will(
        &self,
        model: &mut Model,
        rng: &mut Rng,
        now: NodeTime,
        hearers: BTreeSet<usize>,
    ) -> Option<(usize, Will)> {
        if rng.u8(..3) > 0 {
            return None;
        }
        let draft = Draft {
            topic: self.will_topic(),
            qos: [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][rng.usize(..3)],
            retain: false,
            expiry: None,
        };
        let (topic, qos) = (draft.topic.clone(), draft.qos);
        let number = model.publish(self.index, draft);
        let hearers = if qos == QoS::AtMostOnce {
            BTreeSet::new()
        } else {
            hearers
        };
        model.sent(number, now, hearers);
        let delay = if self.version == Version::V5 {
            [0, 0, 5, 60][rng.usize(..4)]
        } else {
            0
        };
        let will = Will {
            topic,
            payload: Bytes::from(payload(number, self.payload_bytes)),
            qos,
            retain: false,
            delay_interval: delay,
            properties: PublishPropertySet::default().into(),
        };
        Some((number, will))
    }

    /// Where the node says that this client is gone.
    pub(super) fn will_topic(&self) -> String {
        format!("w/{}", self.index)
    }

    fn end_session(&mut self, model: &mut Model) {
        self.received.clear();
        self.outgoing.clear();
        for wish in &mut self.wishes {
            wish.held = false;
            wish.ever = false;
        }
        model.session_ended(self.index);
    }

    /// The connection breaks, and the node hears of it.
    pub(super) fn unplug(&mut self, node: &mut TestNode, model: &mut Model) {
        let Some(parted) = self.part(node, model) else {
            return;
        };
        tell(|| format!("{} is gone", self.index));
        node.hang_up(&parted.client);
        parted.leave_will(node, model);
    }

    /// This client leaves its connection; the node has yet to hear of it.
    fn part(&mut self, node: &TestNode, model: &mut Model) -> Option<Parted> {
        let link = self.link.take()?;
        let is_closed = node.is_closed(&link.client);
        if is_closed && !link.is_greeted {
            // It may have been refused, and has not read so.
            model.wills.turned_away(self.index);
        }
        let since = if is_closed { link.since } else { node.now() };
        self.left(model, &link, since);
        Some(Parted {
            client: link.client,
            will: link.will,
            since,
        })
    }

    /// The node is about to stop: what it closed before counts as closed, whether this client has noticed or not.
    pub(super) fn notice_end(&mut self, node: &TestNode, model: &mut Model) {
        if self.is_shut_out(node)
            && let Some(parted) = self.part(node, model)
        {
            parted.leave_will(node, model);
        }
    }

    /// Whether the node has closed this client's connection.
    pub(super) fn is_shut_out(&self, node: &TestNode) -> bool {
        let is_closed = |link: &Link| node.is_closed(&link.client);
        self.link.as_ref().is_some_and(is_closed)
    }

    /// A connection ended. Nothing says that the node, and whatever it became since, knew of one without CONNACK.
    fn left(&mut self, model: &mut Model, link: &Link, since: NodeTime) {
        if link.is_greeted {
            self.left_at = since;
            let lasts_ms = u64::from(self.expiry_seconds) * 1000;
            model.left(self.index, NodeTime(since.0 + lasts_ms));
        }
        if self.is_brief {
            self.end_session(model);
        }
    }

    /// The node stops: the connection with it.
    pub(super) fn lose_node(&mut self, model: &mut Model, now: NodeTime) {
        self.stale.clear();
        if let Some(link) = self.link.take() {
            self.left(model, &link, now);
        }
    }

    /// Takes its leave, if the node reads it.
    pub(super) fn say_goodbye(&mut self, node: &mut TestNode, model: &mut Model) {
        let ready = |link: &mut Link| {
            link.is_greeted && link.begun.is_none() && node.core.wants_input(link.client.id)
        };
        let Some(link) = self.link.take_if(ready) else {
            return;
        };
        tell(|| format!("{} -> DISCONNECT", self.index));
        node.send(&link.client, goodbye());
        if let Some(will) = link.will {
            let appended = node.core.spool().appended();
            model.wills.withdrawn(will, appended);
        }
        self.left(model, &link, node.now());
        self.stale.push(link.client);
    }

    /// Sends the oldest of what waits: so many packets in one read of the node, and of the last all but so many bytes, which
    /// come with the next read. False if nothing waits.
    pub(super) fn send(
        &mut self,
        node: &mut TestNode,
        model: &mut Model,
        (packets, late): (usize, usize),
        subscribed: impl Fn(&str) -> BTreeSet<usize>,
    ) -> bool {
        let wants = |link: &&mut Link| node.core.wants_input(link.client.id);
        let Some(link) = self.link.as_mut().filter(wants) else {
            return false;
        };
        let waits = link.begun.is_some() || !link.todo.is_empty();
        let (mut bytes, first) = link.begun.take().unzip();
        let mut whole = Vec::from_iter(first);
        let bytes = bytes.get_or_insert_default();
        let mut end = 0;
        while whole.len() < packets
            && let Some(packet) = self.next_packet(model)
        {
            end = bytes.len();
            encode(self.version, &packet, bytes).unwrap();
            whole.push(packet);
        }
        let late = late.min(bytes.len().saturating_sub(end + 1));
        let Some(link) = self.link.as_mut().filter(|_| !whole.is_empty()) else {
            return waits;
        };
        if late > 0 {
            let rest = bytes.split_off(bytes.len() - late);
            link.begun = whole.pop().map(|packet| (rest, packet));
        }
        for packet in &whole {
            match packet {
                Packet::Publish(publish) => {
                    let number = number_in(&publish.payload);
                    model.sent(number, node.now(), subscribed(publish.topic.as_str()));
                }
                Packet::PubAck(ack) | Packet::PubComp(ack) => {
                    link.open.remove(&ack.packet_id);
                }
                _ => {}
            }
            tell(|| format!("{} -> {}", self.index, brief(packet)));
        }
        node.send_bytes(&link.client, bytes);
        let is_publish = |packet: &Packet| matches!(packet, Packet::Publish(_));
        let withheld = whole.iter().any(is_publish) && !node.core.broker().withholding().is_empty();
        model.counts.withheld += u64::from(withheld);
        model.counts.put_by += u64::from(whole.len() > 1 && !node.core.wants_input(link.client.id));
        true
    }

    /// The oldest packet that waits.
    fn next_packet(&mut self, model: &Model) -> Option<Packet> {
        loop {
            match self.link.as_mut()?.todo.pop_front()? {
                Todo::Packet(packet) => return Some(packet),
                Todo::Publish(number) => {
                    if let Some(packet) = self.next_of(model, number) {
                        return Some(packet);
                    }
                }
            }
        }
    }

    /// Takes the next packet from the node. False if there is none.
    ///
    /// `is_settled`: the node knows that all it has asked the log for is committed.
    pub(super) fn receive(
        &mut self,
        node: &mut TestNode,
        model: &mut Model,
        is_settled: bool,
    ) -> bool {
        let Some(link) = &mut self.link else {
            return false;
        };
        let Some(packet) = link.client.next(node) else {
            if link.is_greeted {
                link.emptied(node.now(), is_settled);
            }
            return false;
        };
        tell(|| format!("{} <- {}", self.index, brief(&packet)));
        match packet {
            Packet::ConnAck(ack) => self.greeted(model, &ack),
            Packet::Publish(publish) => self.take(model, &publish, node.now()),
            Packet::PubRel(ack) => {
                self.received.remove(&ack.packet_id);
                let answer = Packet::PubComp(Ack::success(ack.packet_id));
                link.todo.push_back(Todo::Packet(answer));
            }
            Packet::PubAck(ack) => {
                link.check_answer(self.index, "PUBACK", &ack);
                self.done(model, &ack);
            }
            Packet::PubRec(ack) => {
                link.check_answer(self.index, "PUBREC", &ack);
                self.received_by_node(model, &ack);
            }
            Packet::PubComp(ack) => {
                link.check_answer(self.index, "PUBCOMP", &ack);
                self.completed(&ack);
            }
            Packet::SubAck(ack) | Packet::UnsubAck(ack) => self.granted(&ack),
            Packet::Disconnect(disconnect) => assert!(
                matches!(
                    disconnect.reason,
                    ReasonCode::SessionTakenOver
                        | ReasonCode::QuotaExceeded
                        | ReasonCode::ServerBusy
                ),
                "{disconnect:?}"
            ),
            other => panic!("{other:?}"),
        }
        true
    }

    fn greeted(&mut self, model: &mut Model, ack: &ConnAck) {
        if ack.reason != ReasonCode::Success {
            let no_room = [ReasonCode::ServerUnavailable, ReasonCode::QuotaExceeded];
            assert!(no_room.contains(&ack.reason), "{ack:?}");
            self.is_present = None;
            model.wills.turned_away(self.index);
            return;
        }
        assert!(
            self.is_present
                .is_none_or(|known| known == ack.session_present),
            "client {}: session present: {}",
            self.index,
            ack.session_present
        );
        self.must_clean = false;
        self.is_present = Some(!self.is_brief);
        if !ack.session_present {
            model.counts.outlived += u64::from(self.is_overdue);
            self.end_session(model);
        }
        let link = self.link.as_mut().expect("it brought a packet");
        link.is_greeted = true;
        model.came(self.index);
        model.wills.greeted(self.index, link.will);
        self.resend();
    }

    /// What keeps this client from rest, if anything.
    pub(super) fn unrest(&self) -> Option<String> {
        let link = self.link.as_ref()?;
        let rests = self.outgoing.is_empty() && self.received.is_empty() && link.rests();
        (!rests).then(|| {
            format!(
                "client {}: outgoing {:?}, received {:?}, open {:?}, expected {:?}, todo {:?}",
                self.index, self.outgoing, self.received, link.open, link.expected, link.todo
            )
        })
    }
}
