//! A client's end of one connection.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::BytesMut;
use spool::NodeTime;

use crate::{
    broker::tests::harness::Client,
    mqtt::packet::{Ack, Packet, PacketId, QoS},
};

/// What waits to leave on a connection.
#[derive(Debug)]
pub(super) enum Todo {
    /// An outgoing publish, first or again.
    Publish(usize),
    Packet(Packet),
}

pub(crate) struct Link {
    pub(crate) client: Client,
    pub(super) since: NodeTime,
    pub(super) is_greeted: bool,
    /// When the node had nothing for it.
    pub(super) emptied_at: NodeTime,
    /// When, besides, nothing for it waited for a commit.
    pub(super) settled_at: NodeTime,
    pub(super) will: Option<usize>,
    pub(super) receive_maximum: usize,
    /// Packet identifiers of the node's publishes that this client has not done with.
    pub(super) open: BTreeSet<PacketId>,
    /// The acknowledgements that the node owes, in order.
    pub(super) expected: VecDeque<(&'static str, u16)>,
    pub(super) todo: VecDeque<Todo>,
    /// A packet of which the node has read a part, and the rest of its bytes.
    pub(super) begun: Option<(BytesMut, Packet)>,
    /// SUBSCRIBE (or UNSUBSCRIBE) packets without an answer, and the wish they are about.
    pub(super) control: BTreeMap<u16, (usize, bool)>,
}

impl Link {
    pub(super) fn new(client: Client, now: NodeTime, receive_maximum: usize) -> Link {
        Link {
            client,
            since: now,
            is_greeted: false,
            emptied_at: now,
            settled_at: now,
            will: None,
            receive_maximum,
            open: BTreeSet::new(),
            expected: VecDeque::new(),
            todo: VecDeque::new(),
            begun: None,
            control: BTreeMap::new(),
        }
    }

    pub(super) fn rests(&self) -> bool {
        self.open.is_empty()
            && self.expected.is_empty()
            && self.control.is_empty()
            && self.todo.is_empty()
            && self.begun.is_none()
    }

    /// The node has nothing more for it.
    pub(super) fn emptied(&mut self, now: NodeTime, is_settled: bool) {
        self.emptied_at = now;
        if is_settled {
            self.settled_at = now;
        }
    }

    /// The node owes an acknowledgement for this publish.
    pub(super) fn expect_answer(&mut self, qos: QoS, id: u16) {
        let name = if qos == QoS::AtLeastOnce {
            "PUBACK"
        } else {
            "PUBREC"
        };
        self.expected.push_back((name, id));
    }

    /// An acknowledgement came: the one that is due.
    pub(super) fn check_answer(&mut self, index: usize, name: &'static str, ack: &Ack) {
        assert_eq!(
            Some((name, ack.packet_id.0.get())),
            self.expected.pop_front(),
            "client {index}: acknowledgements in the order of their causes"
        );
    }

    /// A publish of the node takes one of the places that this client grants.
    pub(super) fn take_place(&mut self, index: usize, id: PacketId) {
        assert!(
            self.open.insert(id),
            "client {index}: packet identifier {id:?} is in use"
        );
        assert!(
            self.open.len() <= self.receive_maximum,
            "client {index} got {} publishes and takes {}",
            self.open.len(),
            self.receive_maximum
        );
    }
}
