//! What the protocol asks of a server, and what a bad peer costs.

use super::{super::PeerError, harness::*};
use crate::mqtt::{
    encode::encode,
    packet::{Packet, PublishPropertySet, QoS, ReasonCode, RetainHandling, Version},
};

#[test]
fn overlapping_subscriptions_give_one_copy_at_the_highest_qos_with_all_identifiers() {
    let mut node = TestNode::new();
    let mut reader = node.connect(v5("reader"));
    node.send(
        &reader,
        subscribe_with(request("t/#", QoS::AtMostOnce), Some(7)),
    );
    node.send(
        &reader,
        subscribe_with(request("t/a", QoS::AtLeastOnce), Some(9)),
    );
    node.settle();
    reader.all(&mut node);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t/a", "1", QoS::AtLeastOnce, 1);
    let got = reader.publishes(&mut node);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].qos, QoS::AtLeastOnce);
    let mut identifiers = got[0]
        .properties
        .set()
        .unwrap()
        .subscription_identifiers
        .clone();
    identifiers.sort_unstable();
    assert_eq!(identifiers, [7, 9]);
}

#[test]
fn no_local_keeps_a_clients_own_messages_from_it_live_and_from_the_log() {
    let mut node = TestNode::new();
    let mut client = node.connect(durable("bridge"));
    let mut own = request("t", QoS::AtLeastOnce);
    own.no_local = true;
    node.send(&client, subscribe_with(own, None));
    node.settle();
    client.all(&mut node);
    node.publish(&mut client, "t", "own", QoS::AtLeastOnce, 1);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "other", QoS::AtLeastOnce, 1);
    let node_after = |node: &mut TestNode, client: &mut Client| client.messages(node);
    assert_eq!(
        node_after(&mut node, &mut client),
        [("t".into(), "other".into())]
    );
    node.drop_connection(client);
    let mut client = node.connect(durable("bridge"));
    assert_eq!(client.messages(&mut node), [("t".into(), "other".into())]);
}

#[test]
fn retain_handling_and_retain_as_published_are_kept() {
    let mut node = TestNode::new();
    let device = node.connect(v5("pump"));
    let retained = |text: &str, id| {
        change_publish(publish("state", text, QoS::AtLeastOnce, id), |publish| {
            publish.retain = true
        })
    };
    node.send(&device, retained("1", 1));
    node.settle();
    let mut reader = node.connect(v5("reader"));
    let mut if_new = request("state", QoS::AtMostOnce);
    if_new.retain_handling = RetainHandling::SendIfNew;
    if_new.retain_as_published = true;
    for expected in [1, 0] {
        node.send(&reader, subscribe_with(if_new.clone(), None));
        node.settle();
        assert_eq!(reader.publishes(&mut node).len(), expected);
    }
    node.send(&device, retained("2", 2));
    node.settle();
    let live = reader.publishes(&mut node);
    assert_eq!((live.len(), live[0].retain), (1, true));
    let mut plain = node.connect(v5("plain"));
    let mut never = request("state", QoS::AtMostOnce);
    never.retain_handling = RetainHandling::DoNotSend;
    node.send(&plain, subscribe_with(never, None));
    node.settle();
    assert_eq!(plain.publishes(&mut node), []);
    node.send(&device, retained("3", 3));
    node.settle();
    assert!(
        !plain.publishes(&mut node)[0].retain,
        "live copies are not marked as retained"
    );
}

#[test]
fn an_empty_retained_message_clears_the_topic() {
    let mut node = TestNode::new();
    let device = node.connect(v5("pump"));
    for (text, id) in [("on", 1), ("", 2)] {
        let retained = change_publish(publish("state", text, QoS::AtLeastOnce, id), |publish| {
            publish.retain = true
        });
        node.send(&device, retained);
    }
    node.settle();
    let mut node = node.restart();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "#", QoS::AtMostOnce);
    assert_eq!(reader.publishes(&mut node), []);
}

#[test]
fn a_topic_alias_stands_for_its_topic_on_its_connection() {
    let mut node = TestNode::new();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "long/#", QoS::AtMostOnce);
    let device = node.connect(v5("pump"));
    let aliased = |topic: &str, alias| {
        change_publish(publish("x", "1", QoS::AtMostOnce, 0), |publish| {
            publish.topic = crate::mqtt::packet::Topic::parse(topic.to_owned()).unwrap_or_default();
            publish.properties = PublishPropertySet {
                topic_alias: std::num::NonZeroU16::new(alias),
                ..Default::default()
            }
            .into();
        })
    };
    node.send(&device, aliased("long/name", 3));
    node.send(&device, aliased("", 3));
    node.settle();
    let topics: Vec<String> = reader
        .messages(&mut node)
        .into_iter()
        .map(|(topic, _)| topic)
        .collect();
    assert_eq!(topics, ["long/name", "long/name"]);
    let mut device = device;
    node.send(&device, aliased("", 4));
    assert!(
        matches!(device.next(&mut node), Some(Packet::Disconnect(d)) if d.reason == ReasonCode::TopicAliasInvalid)
    );
}

#[test]
fn more_publishes_in_flight_than_granted_end_the_connection() {
    let mut limits = limits();
    limits.receive_maximum = 2;
    let mut node = TestNode::with_limits(limits);
    let mut device = node.connect(v5("pump"));
    for n in 1..=2 {
        node.send(&device, publish("t", "x", QoS::ExactlyOnce, n));
    }
    node.settle();
    device.all(&mut node);
    node.send(&device, publish("t", "x", QoS::ExactlyOnce, 3));
    let last = device.all(&mut node).pop();
    assert!(
        matches!(last, Some(Packet::Disconnect(d)) if d.reason == ReasonCode::ReceiveMaximumExceeded)
    );
}

#[test]
fn a_client_of_3_1_1_that_sends_too_much_is_not_read_until_it_is_acknowledged() {
    let mut limits = limits();
    limits.receive_maximum = 2;
    let mut node = TestNode::with_limits(limits);
    let mut device = node.connect(crate::mqtt::packet::Connect {
        clean_start: true,
        ..crate::mqtt::packet::Connect::new(Version::V311, "pump")
    });
    for n in 1..=5 {
        node.send(&device, publish("t", "x", QoS::AtLeastOnce, n));
    }
    assert!(!node.core.wants_input(device.id));
    node.settle();
    assert_eq!(device.all(&mut node).len(), 5);
    assert!(node.core.wants_input(device.id));
}

#[test]
fn a_message_over_a_subscribers_maximum_packet_size_is_not_sent_and_counted() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        too_large_is_not_sent_and_counted(qos);
    }
}

fn too_large_is_not_sent_and_counted(qos: QoS) {
    let mut node = TestNode::new();
    let mut reader = node.connect(with_maximum_packet(durable("reader"), 100));
    node.subscribe(&mut reader, "t", qos);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", &"x".repeat(200), qos, 1);
    node.publish(&mut device, "t", "small", qos, 2);
    assert_eq!(reader.messages(&mut node), [("t".into(), "small".into())]);
    assert_eq!(node.lost(spool::LossReason::TooLargeForSubscriber), 1);
}

#[test]
fn a_client_that_takes_no_connack_of_the_size_it_needs_is_closed_without_a_word() {
    let mut node = TestNode::new();
    let (mut reader, answer) = node.try_connect(with_maximum_packet(durable("reader"), 8));
    assert!(answer.is_none() && reader.next(&mut node).is_none());
    assert!(node.is_closed(&reader));
    let kinds: Vec<_> = node.faults.iter().map(PeerError::kind).collect();
    assert_eq!(
        kinds,
        ["an answer is larger than its Maximum Packet Size allows"]
    );
}

#[test]
fn a_client_that_takes_no_answer_to_its_subscribe_is_told_so_and_closed() {
    let mut node = TestNode::new();
    let mut reader = node.connect(with_maximum_packet(durable("reader"), 60));
    let filters = (0..80).map(|n| request(&format!("t/{n}"), QoS::AtLeastOnce));
    node.send(&reader, subscribe_to(filters.collect()));
    node.settle();
    let [Packet::Disconnect(said)] = &reader.all(&mut node)[..] else {
        panic!("an answer")
    };
    assert_eq!(said.reason, ReasonCode::PacketTooLarge);
    assert!(node.is_closed(&reader));
}

#[test]
fn a_malformed_packet_costs_its_own_connection_and_says_why() {
    let mut node = TestNode::new();
    let mut other = node.connect(v5("other"));
    let mut bad = node.connect(v5("bad"));
    node.send_bytes(&bad, &[0x30, 0x04, 0x00, 0x02, b'a', b'#']);
    assert!(matches!(bad.next(&mut node), Some(Packet::Disconnect(d)) if d.reason as u8 >= 0x80));
    assert!(node.is_closed(&bad));
    node.send(&other, Packet::PingReq);
    assert_eq!(other.all(&mut node), [Packet::PingResp]);
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let mut node = TestNode::new();
    let silent = node.dial(Version::V5);
    node.pass(9_000);
    assert!(!node.is_closed(&silent));
    node.pass(2_000);
    assert!(node.is_closed(&silent));
}

#[test]
fn a_connection_has_its_whole_time_to_say_connect_whoever_had_its_index_before() {
    let mut node = TestNode::new();
    let gone = node.dial(Version::V5);
    node.pass(9_000);
    node.drop_connection(gone);
    let new = node.dial(Version::V5);
    node.pass(2_000);
    assert!(!node.is_closed(&new));
    node.pass(9_000);
    assert!(node.is_closed(&new));
}

#[test]
fn the_keep_alive_of_a_client_that_is_not_read_is_suspended() {
    let (mut node, client) = unread_client();
    for _ in 0..10 {
        node.wait(10_000);
    }
    assert!(
        !node.is_closed(&client),
        "closed for a silence of the node's making"
    );
    node.settle();
    assert!(node.core.wants_input(client.id));
    node.pass(14_900);
    assert!(
        !node.is_closed(&client),
        "its keep-alive begins when it is read"
    );
    node.pass(200);
    assert!(node.is_closed(&client));
}

#[test]
fn the_keep_alive_of_a_client_that_is_to_be_read_again_is_suspended_until_it_is() {
    let (mut node, client) = unread_client();
    node.wait(14_900);
    node.commit();
    // Longer than it may be silent; what is here of it is read after what is due by then.
    node.wait(15_100);
    assert!(!node.is_closed(&client));
    node.settle();
    assert!(node.core.wants_input(client.id));
    node.wait(15_100);
    assert!(node.is_closed(&client));
}

/// One with a keep-alive of ten seconds, whose window is spent.
fn unread_client() -> (TestNode, Client) {
    let mut limits = limits();
    limits.receive_maximum = 1;
    let mut node = TestNode::with_limits(limits);
    let mut connect = crate::mqtt::packet::Connect::new(Version::V311, "pump");
    connect.clean_start = true;
    connect.keep_alive = 10;
    let client = node.connect(connect);
    for n in 1..=2 {
        node.send(&client, publish("t", "x", QoS::AtLeastOnce, n));
    }
    assert!(!node.core.wants_input(client.id));
    (node, client)
}

#[test]
fn a_bad_topic_filter_is_refused_over_the_wire_in_either_version() {
    for (version, expected) in [
        (Version::V311, ReasonCode::UnspecifiedError),
        (Version::V5, ReasonCode::TopicFilterInvalid),
    ] {
        let mut node = TestNode::new();
        let mut connect = crate::mqtt::packet::Connect::new(version, "reader");
        connect.clean_start = true;
        let mut reader = node.connect(connect);
        for bad in ["a#b", "a/#/b", "a+/b", "#/a"] {
            match node.subscribe(&mut reader, bad, QoS::AtLeastOnce) {
                Packet::SubAck(ack) => assert_eq!(ack.reasons, [expected], "{bad}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_bad_topic_filter_gets_its_own_reason_and_the_others_stand() {
    let mut node = TestNode::new();
    let mut reader = node.connect(v5("reader"));
    match node.subscribe(&mut reader, "a/#/b", QoS::AtLeastOnce) {
        Packet::SubAck(ack) => assert_eq!(ack.reasons, [ReasonCode::TopicFilterInvalid]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn unsubscribe_ends_delivery_and_names_what_was_not_there() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    for expected in [ReasonCode::Success, ReasonCode::NoSubscriptionExisted] {
        node.send(&reader, unsubscribe("t"));
        node.settle();
        match reader.next(&mut node) {
            Some(Packet::UnsubAck(ack)) => assert_eq!(ack.reasons, [expected]),
            other => panic!("{other:?}"),
        }
    }
    let mut node = node.crash();
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    let mut reader = node.connect(durable("reader"));
    assert_eq!(reader.messages(&mut node), []);
}

#[test]
fn every_client_is_told_when_the_node_stops() {
    let mut node = TestNode::new();
    let mut client = node.connect(v5("client"));
    node.core.shut_down();
    assert!(
        matches!(client.next(&mut node), Some(Packet::Disconnect(d)) if d.reason == ReasonCode::ServerShuttingDown)
    );
}

#[test]
fn above_the_bound_of_retained_topics_a_message_is_delivered_and_its_loss_counted() {
    let mut limits = limits();
    limits.retained = 2;
    let mut node = TestNode::with_limits(limits);
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "#", QoS::AtMostOnce);
    let device = node.connect(v5("pump"));
    for (n, topic) in ["a", "b", "c", "a"].into_iter().enumerate() {
        let id = u16::try_from(n + 1).unwrap();
        let retained = change_publish(publish(topic, "x", QoS::AtLeastOnce, id), |publish| {
            publish.retain = true;
        });
        node.send(&device, retained);
    }
    node.settle();
    assert_eq!(reader.publishes(&mut node).len(), 4);
    assert_eq!(node.lost(spool::LossReason::RetainedBound), 1);
    let mut late = node.connect(v5("late"));
    node.subscribe(&mut late, "#", QoS::AtMostOnce);
    let topics: Vec<String> = late
        .messages(&mut node)
        .into_iter()
        .map(|(topic, _)| topic)
        .collect();
    assert_eq!(topics, ["a", "b"]);
}

#[test]
fn who_does_not_speak_mqtt_gets_no_answer_in_it() {
    let mut node = TestNode::new();
    let mut stranger = node.dial(Version::V5);
    node.send_bytes(&stranger, b"\x10\x0a\x00\x04HTTP\x05\x02\x00\x00");
    assert_eq!(stranger.all(&mut node), []);
    assert!(node.is_closed(&stranger));
}

#[test]
fn a_packet_that_comes_in_pieces_is_not_copied_for_each_of_them() {
    let mut node = TestNode::new();
    let device = node.connect(v5("pump"));
    let mut bytes = bytes::BytesMut::new();
    let large = publish("t", &"x".repeat(100_000), QoS::AtMostOnce, 0);
    encode(Version::V5, &large, &mut bytes).unwrap();
    let (pieces, last) = bytes.split_at(bytes.len() - 1);
    let mut places = Vec::new();
    for piece in pieces.chunks(100) {
        node.send_bytes(&device, piece);
        places.push(node.core.broker().connections[device.id].input.as_ptr());
    }
    places.dedup();
    assert!(
        places.len() < 20,
        "1,000 pieces were moved {} times",
        places.len()
    );
    node.send_bytes(&device, last);
    assert!(node.core.broker().connections[device.id].input.is_empty());
}
