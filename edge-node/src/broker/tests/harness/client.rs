//! The client's end of a connection: what has come, and taking all that comes.

use bytes::BytesMut;

use super::{TestNode, puback};
use crate::{
    broker::ConnectionId,
    mqtt::{
        decode::Decoder,
        packet::{Packet, Publish, Version},
    },
};

/// A client's end of a connection.
pub(crate) struct Client {
    pub(crate) id: ConnectionId,
    pub(super) version: Version,
    decoder: Decoder,
    received: BytesMut,
}

impl Client {
    pub(super) fn new(id: ConnectionId, version: Version) -> Client {
        Client {
            id,
            version,
            decoder: Decoder::from_server(version, usize::MAX),
            received: BytesMut::new(),
        }
    }

    /// The next packet that has arrived.
    pub(crate) fn next(&mut self, node: &mut TestNode) -> Option<Packet> {
        let mut out = BytesMut::new();
        node.core.take_output(self.id, &mut out);
        self.received.extend_from_slice(&out);
        self.decoder
            .decode(&mut self.received)
            .expect("the node sends whole and valid packets")
    }

    /// All packets that have arrived.
    pub(crate) fn all(&mut self, node: &mut TestNode) -> Vec<Packet> {
        std::iter::from_fn(|| self.next(node)).collect()
    }

    /// Whatever there is for it waits for a commit: what waits for none has left once the log told of the last one.
    pub(crate) fn gets_nothing(&mut self, node: &mut TestNode) {
        node.core.handle_commit();
        assert_eq!(self.all(node), []);
    }

    /// The PUBLISH packets among them, as topic and payload.
    pub(crate) fn messages(&mut self, node: &mut TestNode) -> Vec<(String, String)> {
        let text = |publish: &Publish| {
            (
                publish.topic.as_str().to_owned(),
                String::from_utf8(publish.payload.to_vec()).unwrap(),
            )
        };
        self.publishes(node).iter().map(text).collect()
    }

    pub(crate) fn publishes(&mut self, node: &mut TestNode) -> Vec<Publish> {
        let publish = |packet| {
            if let Packet::Publish(publish) = packet {
                Some(publish)
            } else {
                None
            }
        };
        self.all(node).into_iter().filter_map(publish).collect()
    }
}

/// Everything that comes until nothing more does, in rounds, each acknowledged once it came (QoS 1).
pub(crate) fn take_rounds(node: &mut TestNode, client: &mut Client) -> Vec<Vec<Publish>> {
    let mut rounds = Vec::new();
    loop {
        let round = client.publishes(node);
        if round.is_empty() {
            return rounds;
        }
        for publish in round.iter().filter(|publish| publish.packet_id.is_some()) {
            node.send(client, puback(publish));
        }
        rounds.push(round);
        node.settle();
    }
}

/// As `take_rounds`, in one.
pub(crate) fn take_publishes(node: &mut TestNode, client: &mut Client) -> Vec<Publish> {
    take_rounds(node, client).concat()
}

/// As `take_rounds`, the payloads as text.
pub(crate) fn take_all(node: &mut TestNode, client: &mut Client) -> Vec<String> {
    payloads(&take_publishes(node, client))
}

pub(crate) fn payloads(publishes: &[Publish]) -> Vec<String> {
    publishes
        .iter()
        .map(|publish| String::from_utf8(publish.payload.to_vec()).unwrap())
        .collect()
}
