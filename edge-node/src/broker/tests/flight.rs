//! The in-flight window: what is sent again, and what a wrong acknowledgement costs.

use super::harness::*;
use crate::mqtt::packet::{Ack, Packet, QoS, ReasonCode};

#[test]
fn what_is_sent_again_keeps_to_the_receive_maximum_of_the_new_connection() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut node = TestNode::new();
        let mut reader = node.connect(durable("reader"));
        node.subscribe(&mut reader, "t", qos);
        let mut device = node.connect(v5("pump"));
        for n in 1..=10 {
            node.publish(&mut device, "t", &n.to_string(), qos, n);
        }
        assert_eq!(reader.publishes(&mut node).len(), 10);
        node.drop_connection(reader);
        let mut reader = node.connect(with_receive_maximum(durable("reader"), 3));
        assert_eq!(reader.publishes(&mut node).len(), 3, "{qos:?}");
    }
}

#[test]
fn all_that_was_in_flight_comes_again_in_order_before_the_rest_through_any_window() {
    for window in [3, 41, 256] {
        let mut node = TestNode::new();
        let mut reader = node.connect(durable("reader"));
        node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
        let mut device = node.connect(v5("pump"));
        for n in 1..=40 {
            node.publish(&mut device, "t", &n.to_string(), QoS::AtLeastOnce, n);
        }
        assert_eq!(reader.publishes(&mut node).len(), 40);
        node.drop_connection(reader);
        node.publish(&mut device, "t", "41", QoS::AtLeastOnce, 41);
        let mut reader = node.connect(with_receive_maximum(durable("reader"), window));
        let all: Vec<String> = (1..=41).map(|n| n.to_string()).collect();
        assert_eq!(take_all(&mut node, &mut reader), all, "{window}");
    }
}

#[test]
fn an_acknowledgement_of_another_qos_is_a_protocol_error_and_the_message_stays_owed() {
    for wrong in ["PUBACK", "PUBREC", "PUBCOMP"] {
        let (qos, answer) = match wrong {
            "PUBACK" => (QoS::ExactlyOnce, Packet::PubAck as fn(Ack) -> Packet),
            "PUBREC" => (QoS::AtLeastOnce, Packet::PubRec as fn(Ack) -> Packet),
            _ => (QoS::ExactlyOnce, Packet::PubComp as fn(Ack) -> Packet),
        };
        let mut node = TestNode::new();
        let mut reader = node.connect(durable("reader"));
        node.subscribe(&mut reader, "t", qos);
        let mut device = node.connect(v5("pump"));
        node.publish(&mut device, "t", "1", qos, 1);
        let sent = reader.publishes(&mut node).remove(0);
        node.send(&reader, answer(Ack::success(sent.packet_id.unwrap())));
        node.settle();
        let last = reader.all(&mut node).pop();
        assert!(
            matches!(&last, Some(Packet::Disconnect(d)) if d.reason == ReasonCode::ProtocolError),
            "{wrong}: {last:?}"
        );
        node.drop_connection(reader);
        let mut node = node.crash();
        let mut reader = node.connect(durable("reader"));
        assert_eq!(reader.messages(&mut node), [("t".into(), "1".into())]);
    }
}

#[test]
fn what_a_member_holds_since_before_a_crash_is_given_to_nobody_else() {
    let mut node = TestNode::new();
    let mut first = node.connect(durable("first"));
    let mut second = node.connect(durable("second"));
    node.subscribe(&mut first, "$share/g/t", QoS::ExactlyOnce);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::ExactlyOnce, 1);
    assert_eq!(first.publishes(&mut node).len(), 1);
    node.subscribe(&mut second, "own", QoS::AtLeastOnce);
    node.subscribe(&mut second, "$share/g/t", QoS::ExactlyOnce);
    node.drop_connection(second);
    node.drop_connection(first);
    for n in 2..=3 {
        node.send(&device, Packet::PubRel(Ack::success(id(n - 1))));
        node.publish(&mut device, "t", &n.to_string(), QoS::ExactlyOnce, n);
    }
    let mut node = node.crash();
    // The second member has room for one, and something of its own comes while the log is read.
    let mut second = node.dial(crate::mqtt::packet::Version::V5);
    let connect = with_receive_maximum(durable("second"), 1);
    node.send(&second, Packet::Connect(Box::new(connect)));
    node.commit();
    let mut device = node.dial(crate::mqtt::packet::Version::V5);
    node.send(&device, Packet::Connect(Box::new(v5("pump"))));
    node.send(&device, publish("own", "own", QoS::AtLeastOnce, 9));
    node.settle();
    assert!(!device.all(&mut node).is_empty());
    let own = second.publishes(&mut node).remove(0);
    assert_eq!(own.topic.as_str(), "own");
    node.send(&second, puback(&own));
    node.settle();
    let mut got = Vec::new();
    while let Some(publish) = second.publishes(&mut node).pop() {
        got.push(String::from_utf8(publish.payload.to_vec()).unwrap());
        node.send(&second, pubrec(&publish));
        node.settle();
        node.send(
            &second,
            Packet::PubComp(Ack::success(publish.packet_id.unwrap())),
        );
        node.settle();
    }
    assert_eq!(got, ["2", "3"]);
}

#[test]
fn a_log_that_cannot_be_read_is_asked_again_after_a_while_and_not_at_once() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    node.drop_connection(reader);
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);

    node.fail_reads = true;
    let mut reader = node.connect(durable("reader"));
    for _ in 0..50 {
        node.pass(100);
    }
    let failed = node.failed_reads;
    assert!((5..=6).contains(&failed), "{failed} reads in 5 seconds");
    assert_eq!(node.take_readings().len(), 0, "nothing is read at once");
    node.fail_reads = false;
    node.pass(1_000);
    assert_eq!(take_all(&mut node, &mut reader), ["1"]);
}
