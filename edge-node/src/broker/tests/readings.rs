//! What was read from the log for somebody who is gone.

use spool::Batch;

use super::{harness::*, in_flight::retained};
use crate::{mqtt::packet::QoS, node::core::Reading};

#[test]
fn what_was_in_flight_is_sent_again_once_though_two_connections_asked_for_it() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    assert_eq!(reader.messages(&mut node).len(), 1);
    node.drop_connection(reader);

    let mut asked = Vec::new();
    let mut connect = |node: &mut TestNode| {
        let client = node.dial(crate::mqtt::packet::Version::V5);
        let connect = crate::mqtt::packet::Packet::Connect(Box::new(durable("reader")));
        node.send(&client, connect);
        node.commit();
        asked.extend(node.take_readings());
        client
    };
    let first = connect(&mut node);
    node.hang_up(&first);
    let mut second = connect(&mut node);
    assert_eq!(first.id, second.id);
    let errands = |reading: &&Reading| matches!(reading, Reading::Errands(..));
    assert_eq!(asked.iter().filter(errands).count(), 2);
    for reading in asked {
        let found = reading.order().run(node.core.spool());
        node.core.handle_reading(reading, found);
    }
    node.settle();
    assert_eq!(second.messages(&mut node).len(), 1);
}

#[test]
fn an_empty_read_for_a_session_that_ended_does_not_stop_the_one_with_its_index() {
    let mut node = TestNode::new();
    let mut device = node.connect(v5("pump"));
    let mut asked = Vec::new();
    let mut behind = |node: &mut TestNode, name: &str| {
        let mut reader = node.connect(with_receive_maximum(v5(name), 1));
        node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
        for n in 1..=2 {
            node.publish(&mut device, "t", &n.to_string(), QoS::AtLeastOnce, n);
        }
        let first = reader.publishes(node);
        assert_eq!(payloads(&first), ["1"]);
        node.send(&reader, puback(&first[0]));
        asked.extend(node.take_readings());
        reader
    };
    let gone = behind(&mut node, "gone");
    node.hang_up(&gone);
    node.commit();
    let mut reader = behind(&mut node, "reader");
    assert_eq!(asked.len(), 2);
    let (old, own) = (asked.remove(0), asked.remove(0));
    let nothing = Batch {
        next: node.core.spool().committed(),
        ..Batch::default()
    };
    node.core.handle_reading(old, Ok(nothing));
    let found = own.order().run(node.core.spool());
    node.core.handle_reading(own, found);
    assert_eq!(payloads(&reader.publishes(&mut node)), ["2"]);
}

/// Hands the core what it has asked for while as much waits for a commit as may; gives what it asks for then.
fn hand_without_room(node: &mut TestNode, device: &Client) -> usize {
    let asked = node.take_readings();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let filling = "x".repeat(2_000);
    node.send(device, publish("fill", &filling, QoS::AtLeastOnce, 99));
    for reading in asked {
        let found = reading.order().run(node.core.spool());
        node.core.handle_reading(reading, found);
    }
    node.take_readings().len()
}

#[test]
fn what_the_log_has_no_room_to_deliver_at_qos_2_is_not_read_again_before_the_next_commit() {
    for filter in ["t", "$share/g/t"] {
        let mut node = TestNode::with_options(|options| options.waiting_bytes = 1_000);
        let mut reader = node.connect(durable("reader"));
        node.subscribe(&mut reader, filter, QoS::ExactlyOnce);
        let device = node.connect(v5("pump"));
        node.send(&device, publish("t", "x", QoS::ExactlyOnce, 1));
        node.commit();
        assert_eq!(hand_without_room(&mut node, &device), 0, "{filter}");
        node.settle();
        assert_eq!(payloads(&reader.publishes(&mut node)), ["x"], "{filter}");
    }
}

#[test]
fn what_is_retained_and_finds_no_room_to_be_delivered_at_qos_2_is_not_read_again_for_a_while() {
    let mut node = TestNode::with_options(|options| options.waiting_bytes = 1_000);
    let device = node.connect(v5("pump"));
    node.send(&device, retained("t", "x", 1));
    node.settle();
    let mut reader = node.connect(durable("reader"));
    node.send(&reader, subscribe("t", QoS::ExactlyOnce));
    node.commit();
    assert_eq!(hand_without_room(&mut node, &device), 0);
    node.pass(1_000);
    assert_eq!(payloads(&reader.publishes(&mut node)), ["x"]);
}
