//! What makes no valid event: wrapped or refused, and counted either way.

use spool::LossReason;

use super::{
    harness::*,
    rules::{given, node_with_sink},
};
use crate::{
    broker::Excess,
    mqtt::packet::{Ack, Connect, Packet, QoS, ReasonCode, Version},
};

/// Says that it is an event of a version that there is not.
const INVALID: &str = r#"{"specversion":"2"}"#;

/// Wrapped and refused, as status counts them, and refused, as the ledger does.
fn counted(node: &mut TestNode) -> (u64, u64, u64) {
    let messages = node.status().messages;
    (
        messages.wrapped,
        messages.refused,
        node.lost(LossReason::Refused),
    )
}

fn ack(packet_id: u16, reason: ReasonCode) -> Ack {
    let mut ack = Ack::success(id(packet_id));
    ack.reason = reason;
    ack
}

#[test]
fn what_is_wrapped_is_acknowledged_delivered_as_it_came_and_counted() {
    let mut node = node_with_sink();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "t", QoS::AtMostOnce);
    let mut device = node.connect(v5("pump"));
    let answer = node.publish(&mut device, "t", INVALID, QoS::AtLeastOnce, 1);
    assert_eq!(answer, Some(Packet::PubAck(Ack::success(id(1)))));
    assert_eq!(reader.messages(&mut node), [("t".into(), INVALID.into())]);
    let events = given(&node);
    assert_eq!(events[0].event.r#type, "mqtt.publish.invalid");
    assert_eq!(events[0].event.data_bytes(), INVALID.as_bytes());
    node.publish(&mut device, "t", "valid", QoS::AtLeastOnce, 2);
    assert_eq!(counted(&mut node), (1, 0, 0));
}

#[test]
fn what_is_refused_gets_the_reason_code_of_mqtt_5_reaches_nobody_and_is_counted() {
    let mut node = node_with_sink();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "#", QoS::AtMostOnce);
    let mut device = node.connect(v5("pump"));
    let invalid = ReasonCode::PayloadFormatInvalid;
    for (qos, expected) in [
        (QoS::AtMostOnce, None),
        (QoS::AtLeastOnce, Some(Packet::PubAck(ack(1, invalid)))),
        (QoS::ExactlyOnce, Some(Packet::PubRec(ack(2, invalid)))),
    ] {
        let answer = node.publish(&mut device, "strict/t", INVALID, qos, qos as u16);
        assert_eq!(answer, expected);
    }
    assert_eq!(counted(&mut node), (0, 3, 3));
    assert_eq!(reader.messages(&mut node), []);
    assert_eq!(given(&node), []);

    // The identifier of what was refused at QoS 2 is free.
    let answer = node.publish(&mut device, "strict/t", "valid", QoS::ExactlyOnce, 2);
    assert_eq!(answer, Some(Packet::PubRec(Ack::success(id(2)))));
    assert_eq!(given(&node).len(), 1);
}

#[test]
fn a_client_of_3_1_1_whose_publish_is_refused_is_not_made_to_send_it_for_ever() {
    let mut node = node_with_sink();
    let mut old = node.connect(Connect {
        clean_start: true,
        ..Connect::new(Version::V311, "old")
    });
    let answer = node.publish(&mut old, "strict/t", INVALID, QoS::AtLeastOnce, 1);
    assert_eq!(answer, Some(Packet::PubAck(Ack::success(id(1)))));
    assert_eq!(given(&node), []);
    assert_eq!(counted(&mut node), (0, 1, 1));
    assert_eq!(node.excesses, [Excess::Untold], "the operator is told");
}

#[test]
fn a_will_that_is_no_valid_event_is_counted_like_any_publish() {
    for (topic, expected) in [("t", (1, 0, 0)), ("strict/t", (0, 1, 1))] {
        let mut node = node_with_sink();
        let mut connect = with_will(v5("pump"), topic, 0);
        connect.will.as_mut().unwrap().payload = INVALID.into();
        let client = node.connect(connect);
        node.drop_connection(client);
        assert_eq!(counted(&mut node), expected, "{topic}");
    }
}
