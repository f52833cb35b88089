//! A full lane: publishes whose acknowledgement is withheld.

use super::harness::*;
use crate::mqtt::packet::{Ack, Packet, QoS};

/// A node whose lane is full of what an offline session is owed, and the publisher that filled it: its last publish is
/// withheld.
pub(super) fn full_node() -> (TestNode, Client) {
    let mut node = TestNode::with_options(|options| options.bound_bytes = Some(4 << 20));
    let mut keeper = node.connect(durable("keeper"));
    node.subscribe(&mut keeper, "fill", QoS::AtLeastOnce);
    node.drop_connection(keeper);
    let mut device = node.connect(v5("filler"));
    let filling = "x".repeat(60_000);
    let full = (1..200).any(|n| {
        node.core.spool().housekeep_once(node.now());
        node.publish(&mut device, "fill", &filling, QoS::AtLeastOnce, n)
            .is_none()
    });
    assert!(full, "the bound of 4 MiB holds no 12 MB");
    (node, device)
}

/// The offline session comes and takes everything, so that there is room.
pub(super) fn make_room(node: &mut TestNode) {
    let mut keeper = node.connect(durable("keeper"));
    loop {
        let got = keeper.publishes(node);
        if got.is_empty() {
            return;
        }
        for publish in &got {
            node.send(&keeper, puback(publish));
        }
        for _ in 0..4 {
            node.core.spool().housekeep_once(node.now());
        }
        node.settle();
    }
}

#[test]
fn what_is_withheld_is_delivered_once_to_a_subscriber_at_qos_0() {
    let (mut node, mut device) = full_node();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "live", QoS::AtMostOnce);
    let mut member = node.connect(v5("member"));
    node.subscribe(&mut member, "$share/g/live", QoS::AtMostOnce);
    node.send(&device, publish("live", "now", QoS::AtLeastOnce, 901));
    node.settle();
    for client in [&mut reader, &mut member] {
        assert_eq!(client.messages(&mut node), [("live".into(), "now".into())]);
    }
    make_room(&mut node);
    let acks = device.all(&mut node);
    assert!(
        matches!(acks[..], [Packet::PubAck(_), Packet::PubAck(_)]),
        "{acks:?}"
    );
    for client in [&mut reader, &mut member] {
        assert_eq!(client.messages(&mut node), [], "delivered again");
    }
}

#[test]
fn what_waited_for_room_expires_when_it_would_have_without() {
    let (mut node, _filler) = full_node();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "live", QoS::AtLeastOnce);
    node.drop_connection(reader);
    let device = node.connect(v5("pump"));
    let said = publish("live", "now", QoS::AtLeastOnce, 1);
    node.send(&device, expiring(said, 100));
    node.pass(30_500);
    make_room(&mut node);
    assert_eq!(node.expirytimes("live"), [Some(69_500)]);
    node.pass(600);
    let mut reader = node.connect(durable("reader"));
    let got = reader.publishes(&mut node);
    assert_eq!(got.iter().map(expiry_of).collect::<Vec<_>>(), [Some(69)]);
}

#[test]
fn what_is_stored_before_a_message_that_was_sent_while_it_waited_is_sent_too() {
    let (mut node, _filler) = full_node();
    let first = node.connect(v5("first"));
    let second = node.connect(v5("second"));
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "live", QoS::AtLeastOnce);
    node.send(&second, publish("live", "2", QoS::AtLeastOnce, 1));
    node.settle();
    assert_eq!(payloads(&reader.publishes(&mut node)), ["2"]);
    node.drop_connection(reader);
    node.send(&first, publish("live", "1", QoS::AtLeastOnce, 1));
    node.settle();
    make_room(&mut node);
    let mut reader = node.connect(durable("reader"));
    assert_eq!(take_all(&mut node, &mut reader), ["2", "1"]);
}

#[test]
fn a_subscriber_without_room_for_a_withheld_message_gets_no_later_one_first() {
    let (mut node, device) = full_node();
    let mut reader = node.connect(with_receive_maximum(v5("reader"), 1));
    node.subscribe(&mut reader, "live", QoS::AtLeastOnce);
    for n in 1..=2 {
        let text = n.to_string();
        node.send(&device, publish("live", &text, QoS::AtLeastOnce, 900 + n));
    }
    node.settle();
    assert_eq!(take_all(&mut node, &mut reader), ["1"]);
    node.send(&device, publish("live", "3", QoS::AtLeastOnce, 903));
    node.settle();
    assert_eq!(take_all(&mut node, &mut reader), [""; 0], "2 comes first");
    make_room(&mut node);
    assert_eq!(take_all(&mut node, &mut reader), ["2", "3"]);
}

#[test]
fn qos_0_that_finds_the_lane_full_is_delivered_locally_left_out_and_counted() {
    let (mut node, _filler) = full_node();
    let mut keeper = node.connect(durable("other"));
    node.subscribe(&mut keeper, "live", QoS::AtLeastOnce);
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "live", QoS::AtLeastOnce);
    let device = node.connect(v5("pump"));
    let appended = node.core.spool().status().appended;
    // A sink or history would keep it; the lane has no room.
    node.send(&device, publish("live", "now", QoS::AtMostOnce, 0));
    node.settle();
    assert_eq!(node.core.spool().status().appended, appended);
    assert_eq!(reader.messages(&mut node), [("live".into(), "now".into())]);
    assert_eq!(node.lost(spool::LossReason::Qos0NotStored), 1);
}

#[test]
fn acknowledgements_keep_their_order_around_one_that_is_withheld() {
    let (mut node, _filler) = full_node();
    let mut device = node.connect(v5("pump"));
    let large = "x".repeat(60_000);
    for (id, topic, text) in [
        (1, "alarm/a", "x"),
        (2, "live", &large),
        (3, "alarm/b", "x"),
    ] {
        node.send(&device, publish(topic, text, QoS::AtLeastOnce, id));
    }
    let stored = node.core.spool().status().appended;
    node.settle();
    let ack = |n| Packet::PubAck(Ack::success(id(n)));
    assert_eq!(device.all(&mut node), [ack(1)]);
    assert_eq!(
        node.core.spool().committed(),
        stored,
        "the third is on stable storage"
    );
    make_room(&mut node);
    assert_eq!(device.all(&mut node), [ack(2), ack(3)]);
}

#[test]
fn whoever_takes_the_index_of_a_session_was_sent_nothing_of_what_is_withheld() {
    let (mut node, device) = full_node();
    let mut gone = node.connect(v5("gone"));
    node.subscribe(&mut gone, "live", QoS::AtLeastOnce);
    node.send(&device, publish("live", "now", QoS::AtLeastOnce, 901));
    node.settle();
    assert_eq!(gone.messages(&mut node).len(), 1);
    node.drop_connection(gone);
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "live", QoS::AtLeastOnce);
    make_room(&mut node);
    assert_eq!(take_all(&mut node, &mut reader), ["now"]);
}

#[test]
fn what_nobody_is_owed_any_more_when_it_finds_room_is_answered_without_another_commit() {
    let (mut node, _filler) = full_node();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "$x/live", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    let large = "x".repeat(60_000);
    node.send(&device, publish("$x/live", &large, QoS::AtLeastOnce, 7));
    node.settle();
    assert_eq!(device.all(&mut node), [], "withheld for the subscriber");
    node.hang_up(&reader);
    node.commit();
    assert_eq!(device.all(&mut node), [Packet::PubAck(Ack::success(id(7)))]);
}

#[test]
fn a_session_that_fills_the_log_is_let_in_after_many_crashes() {
    let (mut node, _) = full_node();
    for _ in 0..20 {
        // Each start begins a segment, for a few bytes that no checkpoint covers.
        node = node.crash();
    }
    for _ in 0..4 {
        node.core.spool().housekeep_once(node.now());
        node.pass(1000);
    }
    make_room(&mut node);
    let mut device = node.connect(v5("filler"));
    let taken = node.publish(&mut device, "fill", "more", QoS::AtLeastOnce, 1);
    assert!(matches!(taken, Some(Packet::PubAck(_))), "{taken:?}");
}

#[test]
fn what_a_silent_subscriber_has_in_flight_of_withheld_publishes_is_bounded_in_bytes_and_shown() {
    let (mut node, filler) = full_node();
    node.drop_connection(filler);
    let mut silent = node.connect(v5("silent"));
    node.subscribe(&mut silent, "live", QoS::AtLeastOnce);
    let held = |node: &TestNode| node.core.broker().sessions_status().withheld_bytes as usize;
    let (limit, large) = (limits().withheld_bytes, "x".repeat(60_000));
    let send = |node: &mut TestNode| {
        let device = node.connect(v5("pump"));
        node.send(&device, publish("live", &large, QoS::AtLeastOnce, 1));
        node.settle();
        device
    };
    let mut got = 0;
    for _ in 0..200 {
        let device = send(&mut node);
        got += silent.publishes(&mut node).len();
        node.hang_up(&device);
    }
    assert!((limit..limit + 61_000).contains(&held(&node)));
    assert_eq!(got, held(&node) / 60_000, "one for each connection");

    let mut device = send(&mut node);
    assert_eq!(silent.messages(&mut node), []);
    make_room(&mut node);
    assert_eq!(device.all(&mut node), [Packet::PubAck(Ack::success(id(1)))]);
    assert_eq!(silent.messages(&mut node).len(), 1);
    node.drop_connection(silent);
    assert_eq!(held(&node), 0);
}

#[test]
fn whose_debt_fills_the_lane_is_read_though_its_own_publishes_wait_for_room_to_their_bound() {
    let bound = limits().withheld_bytes as u64;
    for size in [60_000, 1] {
        let (mut node, _filler) = full_node();
        let mut keeper = node.connect(durable("keeper"));
        // Nothing that comes after this one is taken before it.
        node.send(
            &keeper,
            publish("own", &"x".repeat(60_000), QoS::AtLeastOnce, 1),
        );
        let mut sent = 1;
        let withheld = |node: &TestNode| node.core.broker().sessions_status().withheld_bytes;
        while sent < limits().receive_maximum as u16 && withheld(&node) < bound {
            sent += 1;
            node.send(
                &keeper,
                publish("own", &"x".repeat(size), QoS::AtLeastOnce, sent),
            );
        }
        assert_eq!(withheld(&node) >= bound, size == 60_000);

        let mut acknowledged = 0;
        for _ in 0..1_000 {
            for packet in keeper.all(&mut node) {
                match packet {
                    Packet::Publish(publish) => node.send(&keeper, puback(&publish)),
                    Packet::PubAck(_) => acknowledged += 1,
                    other => panic!("{other:?}"),
                }
            }
            if acknowledged == sent {
                break;
            }
            node.core.spool().housekeep_once(node.now());
            node.pass(100);
        }
        assert_eq!(acknowledged, sent);
    }
}

#[test]
fn a_client_at_the_bound_of_what_waits_is_not_read_on_before_a_publish_and_is_once_there_is_room() {
    let (mut node, _filler) = full_node();
    let mut device = node.connect(v5("pump"));
    let maximum = limits().receive_maximum as u16;
    for n in 1..=maximum {
        // The first needs more room than there is; the others come after it.
        let text = "x".repeat(if n == 1 { 60_000 } else { 1 });
        node.send(&device, publish("live", &text, QoS::AtLeastOnce, n));
    }
    // What follows cannot add to it.
    node.send_bytes(&device, &[0xc0, 0x00]);
    assert!(node.core.wants_input(device.id));
    assert_eq!(device.all(&mut node), [Packet::PingResp]);
    node.send(&device, unsubscribe("live"));
    assert!(!node.core.wants_input(device.id));
    make_room(&mut node);
    assert!(node.core.wants_input(device.id));
    let answers = device.all(&mut node);
    assert_eq!(answers.len(), usize::from(maximum) + 1);
    assert!(matches!(answers.last(), Some(Packet::UnsubAck(_))));
}
