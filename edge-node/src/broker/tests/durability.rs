//! The order of durability: what must be on stable storage before a packet leaves.

use super::harness::*;
use crate::mqtt::packet::{Ack, Packet, QoS};

#[test]
fn puback_leaves_after_the_commit_of_its_message() {
    let mut node = TestNode::new();
    let mut device = node.connect(v5("pump"));
    node.send(&device, publish("t", "1", QoS::AtLeastOnce, 9));
    device.gets_nothing(&mut node);
    node.commit();
    assert_eq!(device.all(&mut node), [Packet::PubAck(Ack::success(id(9)))]);
}

#[test]
fn an_acknowledged_message_reaches_an_offline_durable_subscriber_after_a_crash() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t/#", QoS::AtLeastOnce);
    node.drop_connection(reader);
    let mut device = node.connect(v5("pump"));
    for n in 1..=300 {
        let ack = node.publish(&mut device, "t/1", &n.to_string(), QoS::AtLeastOnce, n);
        assert_eq!(ack, Some(Packet::PubAck(Ack::success(id(n)))));
    }
    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    let got: Vec<String> = reader
        .messages(&mut node)
        .into_iter()
        .map(|(_, payload)| payload)
        .collect();
    assert_eq!(got, (1..=300).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn what_a_subscriber_has_not_acknowledged_comes_again_after_a_crash() {
    for (filter, away) in [
        ("t", false),
        ("t", true),
        ("$share/g/t", false),
        ("$share/g/t", true),
    ] {
        let mut node = TestNode::new();
        let mut reader = node.connect(durable("reader"));
        node.subscribe(&mut reader, filter, QoS::AtLeastOnce);
        let mut device = node.connect(v5("pump"));
        // From memory, or read from the log.
        if away {
            node.hang_up(&reader);
        }
        for n in 1..=2 {
            node.publish(&mut device, "t", &n.to_string(), QoS::AtLeastOnce, n);
        }
        if away {
            reader = node.connect(durable("reader"));
        }
        let got = reader.publishes(&mut node);
        assert_eq!(payloads(&got), ["1", "2"], "{filter} {away}");
        node.send(&reader, puback(&got[0]));
        node.settle();
        node.pass(2_000);
        node.core.spool().housekeep_once(node.now());
        let mut node = node.crash();
        let mut reader = node.connect(durable("reader"));
        let again = reader.publishes(&mut node);
        assert_eq!(payloads(&again), ["2"], "{filter} {away}");
        assert!(again[0].dup);
    }
}

#[test]
fn an_unacknowledged_message_may_be_lost_in_a_crash_but_never_acknowledged_before() {
    let mut node = TestNode::new();
    let mut device = node.connect(durable("pump"));
    node.send(&device, publish("t", "1", QoS::ExactlyOnce, 5));
    device.gets_nothing(&mut node);
    let mut node = node.crash();
    // The client sends again; the node takes it as new.
    let mut device = node.connect(durable("pump"));
    let again = change_publish(publish("t", "1", QoS::ExactlyOnce, 5), |publish| {
        publish.dup = true
    });
    node.send(&device, again);
    device.gets_nothing(&mut node);
    node.settle();
    assert_eq!(device.all(&mut node), [Packet::PubRec(Ack::success(id(5)))]);
}

#[test]
fn pubrec_stands_for_message_and_identifier_so_a_repeat_after_a_crash_is_not_taken_twice() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    node.drop_connection(reader);
    let mut device = node.connect(durable("pump"));
    assert_eq!(
        node.publish(&mut device, "t", "1", QoS::ExactlyOnce, 5),
        Some(Packet::PubRec(Ack::success(id(5))))
    );
    let mut node = node.crash();
    let mut device = node.connect(durable("pump"));
    let repeat = change_publish(publish("t", "1", QoS::ExactlyOnce, 5), |publish| {
        publish.dup = true
    });
    node.send(&device, repeat);
    node.settle();
    assert_eq!(device.all(&mut node), [Packet::PubRec(Ack::success(id(5)))]);
    let mut reader = node.connect(durable("reader"));
    assert_eq!(reader.messages(&mut node).len(), 1);
}

#[test]
fn pubcomp_leaves_after_the_commit_of_the_release() {
    let mut node = TestNode::new();
    let mut device = node.connect(durable("pump"));
    node.publish(&mut device, "t", "1", QoS::ExactlyOnce, 5);
    node.send(&device, Packet::PubRel(Ack::success(id(5))));
    device.gets_nothing(&mut node);
    node.commit();
    assert_eq!(
        device.all(&mut node),
        [Packet::PubComp(Ack::success(id(5)))]
    );
    // The identifier is free after a crash as well: the same one is a new message.
    let mut node = node.crash();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "t", QoS::AtMostOnce);
    let mut device = node.connect(durable("pump"));
    node.publish(&mut device, "t", "2", QoS::ExactlyOnce, 5);
    assert_eq!(reader.messages(&mut node), [("t".into(), "2".into())]);
}

#[test]
fn an_outbound_qos_2_publish_leaves_after_the_commit_of_its_identifier() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::ExactlyOnce);
    let device = node.connect(v5("pump"));
    node.send(&device, publish("t", "1", QoS::ExactlyOnce, 1));
    node.commit();
    node.read();
    // The message is durable, its identifier is not.
    reader.gets_nothing(&mut node);
    node.commit();
    let sent = reader.publishes(&mut node);
    assert_eq!(sent.len(), 1);
    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    let again = reader.publishes(&mut node);
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].packet_id, again[0].dup),
        (sent[0].packet_id, true)
    );
}

#[test]
fn pubrel_leaves_after_the_commit_of_the_receipt_and_the_message_never_comes_again() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::ExactlyOnce);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::ExactlyOnce, 1);
    let sent = reader.publishes(&mut node).remove(0);
    node.send(&reader, pubrec(&sent));
    reader.gets_nothing(&mut node);
    node.commit();
    let release = Packet::PubRel(Ack::success(sent.packet_id.unwrap()));
    assert_eq!(reader.all(&mut node), std::slice::from_ref(&release));
    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    assert_eq!(reader.all(&mut node), [release]);
    node.send(
        &reader,
        Packet::PubComp(Ack::success(sent.packet_id.unwrap())),
    );
    node.settle();
    let mut node = node.restart();
    let mut reader = node.connect(durable("reader"));
    reader.gets_nothing(&mut node);
}

#[test]
fn a_receipt_after_a_start_is_kept_by_checkpoints_though_nothing_was_read_of_the_debt() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::ExactlyOnce);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::ExactlyOnce, 1);
    assert_eq!(reader.publishes(&mut node).len(), 1);
    let mut node = node.cut();
    let mut reader = node.dial(crate::mqtt::packet::Version::V5);
    node.send(&reader, Packet::Connect(Box::new(durable("reader"))));
    node.commit();
    // What was in flight is sent again by its position, before anything is read of what is owed.
    for reading in node.take_readings() {
        let found = reading.order().run(node.core.spool());
        node.core.handle_reading(reading, found);
    }
    let again = reader.publishes(&mut node);
    assert_eq!(payloads(&again), ["1"]);
    node.send(&reader, pubrec(&again[0]));
    node.commit();
    let device = node.dial(crate::mqtt::packet::Version::V5);
    node.send(&device, Packet::Connect(Box::new(durable("later"))));
    node.commit();
    node.checkpoint();
    node.core.spool().housekeep_once(node.now());
    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    assert_eq!(reader.messages(&mut node), [], "PUBREC came before");
}

#[test]
fn connack_of_a_clean_start_leaves_after_the_commit_that_discards_the_old_session() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    node.drop_connection(reader);
    let mut clean = durable("reader");
    clean.clean_start = true;
    let mut client = node.dial(clean.version);
    node.send(&client, Packet::Connect(Box::new(clean)));
    client.gets_nothing(&mut node);
    node.commit();
    assert!(matches!(client.next(&mut node), Some(Packet::ConnAck(ack)) if !ack.session_present));
    let mut node = node.crash();
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    let mut reader = node.connect(durable("reader"));
    assert_eq!(reader.messages(&mut node), []);
}

/// CONNECT of a session that ends with its connection leaves nothing in the log itself; its CONNACK waits.
fn connack_waits_for_the_end_of_the_old_session(mut node: TestNode) {
    let mut client = node.dial(crate::mqtt::packet::Version::V5);
    let mut connect = durable("reader");
    connect.session_expiry_interval = None;
    node.send(&client, Packet::Connect(Box::new(connect)));
    client.gets_nothing(&mut node);
    node.commit();
    assert!(matches!(client.next(&mut node), Some(Packet::ConnAck(ack)) if !ack.session_present));
    let mut node = node.crash();
    let (_, packet) = node.try_connect(durable("reader"));
    assert!(matches!(packet, Some(Packet::ConnAck(ack)) if !ack.session_present));
}

#[test]
fn connack_leaves_after_the_commit_that_discards_a_session_by_taking_it_over() {
    let mut node = TestNode::new();
    let reader = node.connect(durable("reader"));
    node.drop_connection(reader);
    // It lasts as long as this connection.
    let mut last = durable("reader");
    last.session_expiry_interval = None;
    node.connect(last);
    connack_waits_for_the_end_of_the_old_session(node);
}

#[test]
fn connack_leaves_after_the_commit_that_discards_an_expired_session() {
    let mut node = TestNode::new();
    let mut short = durable("reader");
    short.session_expiry_interval = Some(60);
    let reader = node.connect(short);
    node.drop_connection(reader);
    node.wait(60_000);
    connack_waits_for_the_end_of_the_old_session(node);
}

#[test]
fn connack_of_a_clean_start_that_takes_over_leaves_after_the_commit_that_discards_the_old_session()
{
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut clean = durable("reader");
    clean.clean_start = true;
    let mut client = node.dial(clean.version);
    node.send(&client, Packet::Connect(Box::new(clean)));
    client.gets_nothing(&mut node);
    node.commit();
    assert!(matches!(client.next(&mut node), Some(Packet::ConnAck(ack)) if !ack.session_present));
    let mut node = node.crash();
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    let mut reader = node.connect(durable("reader"));
    assert_eq!(reader.messages(&mut node), []);
}

#[test]
fn connack_after_the_expiry_of_a_session_leaves_after_the_commit_that_discards_it() {
    let mut node = TestNode::new();
    let brief = || {
        let mut connect = durable("reader");
        connect.session_expiry_interval = Some(60);
        connect
    };
    let mut reader = node.connect(brief());
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    node.drop_connection(reader);
    node.wait(61_000);
    let mut client = node.dial(brief().version);
    node.send(&client, Packet::Connect(Box::new(brief())));
    client.gets_nothing(&mut node);
    node.commit();
    assert!(matches!(client.next(&mut node), Some(Packet::ConnAck(ack)) if !ack.session_present));
    let mut node = node.crash();
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    let mut reader = node.connect(brief());
    assert_eq!(reader.messages(&mut node), []);
}

#[test]
fn connack_leaves_after_the_commit_of_a_durable_sessions_will() {
    let mut node = TestNode::new();
    // The session is there and stays, so that CONNACK waits for nothing else.
    let before = node.connect(durable("pump"));
    node.drop_connection(before);
    let mut client = node.dial(crate::mqtt::packet::Version::V5);
    node.send(
        &client,
        Packet::Connect(Box::new(with_will(durable("pump"), "will", 0))),
    );
    client.gets_nothing(&mut node);
    node.commit();
    assert_eq!(client.all(&mut node).len(), 1);
    // The node itself stops: the will follows when the client is not back in 30 s.
    let mut node = node.crash();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "will", QoS::AtLeastOnce);
    node.pass(29_000);
    assert_eq!(reader.messages(&mut node), []);
    node.pass(2_000);
    assert_eq!(reader.messages(&mut node), [("will".into(), "gone".into())]);
    node.pass(60_000);
    assert_eq!(reader.messages(&mut node), []);
}

#[test]
fn suback_of_a_durable_session_leaves_after_the_commit_of_the_subscription() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.send(&reader, subscribe("t", QoS::AtLeastOnce));
    reader.gets_nothing(&mut node);
    node.commit();
    assert_eq!(reader.all(&mut node).len(), 1);
    let mut node = node.crash();
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    let mut reader = node.connect(durable("reader"));
    assert_eq!(reader.messages(&mut node), [("t".into(), "1".into())]);
}

#[test]
fn qos_0_and_1_are_delivered_from_memory_before_the_commit() {
    let mut node = TestNode::new();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "t", QoS::ExactlyOnce);
    let device = node.connect(v5("pump"));
    node.send(&device, publish("t", "0", QoS::AtMostOnce, 0));
    node.send(&device, publish("t", "1", QoS::AtLeastOnce, 1));
    node.send(&device, publish("t", "2", QoS::ExactlyOnce, 2));
    assert_eq!(
        reader.messages(&mut node),
        [("t".into(), "0".into()), ("t".into(), "1".into())]
    );
    node.settle();
    assert_eq!(reader.messages(&mut node), [("t".into(), "2".into())]);
}

#[test]
fn a_retained_message_is_there_after_a_crash_once_it_was_acknowledged() {
    let mut node = TestNode::new();
    let device = node.connect(v5("pump"));
    node.send(
        &device,
        change_publish(publish("state", "on", QoS::AtLeastOnce, 1), |publish| {
            publish.retain = true
        }),
    );
    node.settle();
    let mut node = node.crash();
    let mut reader = node.connect(v5("reader"));
    node.send(&reader, subscribe("state", QoS::AtLeastOnce));
    node.settle();
    let got = reader.publishes(&mut node);
    assert_eq!(got.len(), 1);
    assert!(got[0].retain);
    assert_eq!(&got[0].payload[..], b"on");
}

#[test]
fn acknowledgements_leave_in_the_order_of_their_messages() {
    let mut node = TestNode::new();
    let mut device = node.connect(v5("pump"));
    for n in 1..=4 {
        let qos = if n % 2 == 0 {
            QoS::ExactlyOnce
        } else {
            QoS::AtLeastOnce
        };
        node.send(&device, publish("t", "x", qos, n));
    }
    node.settle();
    let ids: Vec<u16> = device
        .all(&mut node)
        .iter()
        .map(|packet| match packet {
            Packet::PubAck(ack) | Packet::PubRec(ack) => ack.packet_id.get(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, [1, 2, 3, 4]);
}

#[test]
fn nothing_leaves_before_connack_though_it_waits_for_a_commit() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    node.drop_connection(reader);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);

    let mut reader = node.dial(crate::mqtt::packet::Version::V5);
    node.send(&reader, Packet::Connect(Box::new(durable("reader"))));
    for _ in 0..3 {
        reader.gets_nothing(&mut node);
        node.read();
    }
    node.commit();
    let packets = reader.all(&mut node);
    assert!(
        matches!(packets[..], [Packet::ConnAck(_), Packet::Publish(_)]),
        "{packets:?}"
    );
}
