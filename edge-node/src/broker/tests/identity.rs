//! One event, one identity: what a client sends again, and what becomes of it.

use super::{
    harness::*,
    rules::{given, node_with_sink},
};
use crate::mqtt::packet::{Packet, PublishPropertySet, QoS};

/// The ids of all events in the log.
fn ids(node: &TestNode) -> Vec<String> {
    given(node).into_iter().map(|it| it.event.id).collect()
}

fn again(packet: Packet) -> Packet {
    change_publish(packet, |publish| publish.dup = true)
}

/// A PUBLISH that is an event in binary mode, with an id of its own.
fn with_id(packet: Packet, id: &str) -> Packet {
    change_publish(packet, |publish| {
        let own = [
            ("specversion", "1.0"),
            ("id", id),
            ("source", "/pump"),
            ("type", "reading"),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let properties = PublishPropertySet {
            user_properties: own.to_vec(),
            ..PublishPropertySet::default()
        };
        publish.properties = properties.into();
    })
}

#[test]
fn a_redelivery_at_qos_1_without_an_id_is_a_new_event_whatever_dup_says() {
    let mut node = node_with_sink();
    let device = node.connect(durable("pump"));
    for packet in [
        publish("t", "1", QoS::AtLeastOnce, 7),
        again(publish("t", "1", QoS::AtLeastOnce, 7)),
    ] {
        node.send(&device, packet);
        node.settle();
    }
    let before = ids(&node);
    assert_eq!(before.len(), 2);
    assert_ne!(before[0], before[1]);
    let node = node.crash();
    assert_eq!(ids(&node), before, "read again, the same events");
}

#[test]
fn a_redelivery_at_qos_1_with_an_id_of_its_own_is_the_same_event() {
    let mut node = node_with_sink();
    let device = node.connect(durable("pump"));
    let reading = || with_id(publish("t", "1", QoS::AtLeastOnce, 7), "own");
    for packet in [reading(), again(reading())] {
        node.send(&device, packet);
        node.settle();
    }
    assert_eq!(ids(&node), ["own", "own"]);
}

#[test]
fn a_redelivery_at_qos_2_keeps_the_id_that_was_minted_over_a_crash() {
    let mut node = node_with_sink();
    let mut device = node.connect(durable("pump"));
    node.publish(&mut device, "t", "1", QoS::ExactlyOnce, 7);
    let before = ids(&node);
    assert_eq!(before.len(), 1);
    let mut node = node.crash();
    let device = node.connect(durable("pump"));
    node.send(&device, again(publish("t", "1", QoS::ExactlyOnce, 7)));
    node.settle();
    assert_eq!(ids(&node), before);
}
