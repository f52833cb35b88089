//! What one client may take of the node.

use bytes::BytesMut;

use super::harness::*;
use crate::{
    broker::connection::{OUT_HIGH_BYTES, OUT_STOP_BYTES},
    mqtt::packet::{Ack, Packet, Publish, QoS, ReasonCode, Version},
};

fn reason(packet: Packet) -> ReasonCode {
    match packet {
        Packet::SubAck(ack) => ack.reasons[0],
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_subscription_beyond_the_most_of_a_session_is_refused_and_the_others_stand() {
    let mut limits = limits();
    (limits.subscriptions, limits.subscription_bytes) = (1_000, 64 << 20);
    let mut node = TestNode::with_limits(limits);
    let mut bomb = node.connect(v5("bomb"));
    for n in 1..=1_000 {
        let granted = node.subscribe(&mut bomb, &format!("t/{n}"), QoS::AtLeastOnce);
        assert_eq!(reason(granted), ReasonCode::GrantedQos1);
    }
    for n in 1_001..=1_100 {
        let refused = node.subscribe(&mut bomb, &format!("t/{n}"), QoS::AtLeastOnce);
        assert_eq!(reason(refused), ReasonCode::QuotaExceeded);
    }
    let again = node.subscribe(&mut bomb, "t/7", QoS::AtMostOnce);
    assert_eq!(reason(again), ReasonCode::Success);
    let sessions = node.core.broker().sessions_status();
    assert_eq!(sessions.subscriptions, 1_000);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t/1000", "x", QoS::AtLeastOnce, 1);
    node.publish(&mut device, "t/1001", "x", QoS::AtLeastOnce, 2);
    assert_eq!(bomb.messages(&mut node).len(), 1);
}

#[test]
fn subscriptions_are_bounded_in_bytes_for_one_session_and_for_all() {
    let mut limits = limits();
    limits.subscription_bytes = 160_000;
    let mut node = TestNode::with_limits(limits);
    let long = |n: usize| format!("{n}{}", "x".repeat(4_000));
    let mut bomb = node.connect(v5("bomb"));
    let mut asked = |node: &mut TestNode, filter: &str| {
        reason(node.subscribe(&mut bomb, filter, QoS::AtMostOnce))
    };
    assert_eq!(asked(&mut node, &long(1)), ReasonCode::Success);
    assert_eq!(asked(&mut node, &long(2)), ReasonCode::QuotaExceeded);
    assert_eq!(asked(&mut node, "short"), ReasonCode::Success);
    let deep = "/x".repeat(150);
    assert_eq!(asked(&mut node, &deep), ReasonCode::QuotaExceeded);
    node.send(&bomb, unsubscribe(&long(1)));
    node.settle();
    bomb.all(&mut node);
    let other = node.subscribe(&mut bomb, &long(2), QoS::AtMostOnce);
    assert_eq!(reason(other), ReasonCode::Success);
    node.drop_connection(bomb);
    // Twenty sessions of 8 KB each do not fit together.
    let granted = (0..30).filter(|n| {
        let mut client = node.connect(v5(&format!("client-{n}")));
        let answer = node.subscribe(&mut client, &long(1), QoS::AtMostOnce);
        reason(answer) == ReasonCode::Success
    });
    assert_eq!(granted.count(), 19);
    assert!(node.core.broker().sessions_status().subscription_bytes <= 160_000);
}

#[test]
fn retained_topics_are_bounded_in_bytes_and_what_is_over_is_delivered_and_counted() {
    let mut limits = limits();
    limits.retained_bytes = 100_000;
    let mut node = TestNode::with_limits(limits);
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "#", QoS::AtMostOnce);
    let device = node.connect(v5("pump"));
    let retain = |node: &mut TestNode, n: u16, text: &str| {
        let topic = format!("{n}{}", "x".repeat(9_900));
        let retained = change_publish(publish(&topic, text, QoS::AtLeastOnce, 1), |publish| {
            publish.retain = true;
        });
        node.send(&device, retained);
        node.settle();
    };
    for n in 10..30 {
        retain(&mut node, n, "x");
    }
    assert_eq!(reader.publishes(&mut node).len(), 20);
    assert_eq!(node.core.broker().sessions_status().retained, 10);
    assert_eq!(node.lost(spool::LossReason::RetainedBound), 10);
    // The bytes of one that is cleared are free again, over a restart too.
    node.checkpoint();
    retain(&mut node, 10, "");
    retain(&mut node, 29, "x");
    assert_eq!(node.core.broker().sessions_status().retained, 10);
    let bytes = node.core.broker().sessions_status().retained_bytes;
    let node = node.restart();
    assert_eq!(node.core.broker().sessions_status().retained_bytes, bytes);
}

#[test]
fn a_subscriber_that_does_not_read_costs_bounded_memory_at_each_qos() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut node = TestNode::new();
        let mut slow = node.connect(durable("slow"));
        node.subscribe(&mut slow, "t", qos);
        let mut device = node.connect(v5("pump"));
        let payload = "x".repeat(10_000);
        for n in 1..=200 {
            node.publish(&mut device, "t", &payload, qos, n);
        }
        let mut out = BytesMut::new();
        node.core.take_output(slow.id, &mut out);
        assert!(out.len() > OUT_HIGH_BYTES / 2, "{} bytes", out.len());
        assert!(out.len() <= OUT_HIGH_BYTES + 10_100, "{} bytes", out.len());
        let lost = node.lost(spool::LossReason::SlowSubscriber);
        assert_eq!(lost > 0, qos == QoS::AtMostOnce, "{lost} at {qos:?}");
    }
}

#[test]
fn a_client_that_asks_and_does_not_read_the_answers_is_not_read_any_more() {
    let mut node = TestNode::new();
    let silent = node.connect(v5("silent"));
    let pings = [0xc0, 0x00].repeat(1_000);
    let mut sent = 0;
    while node.core.wants_input(silent.id) && sent < 10 * OUT_STOP_BYTES {
        node.send_bytes(&silent, &pings);
        sent += pings.len();
    }
    assert!(sent <= OUT_STOP_BYTES + pings.len(), "{sent} bytes");
    let mut out = BytesMut::new();
    node.core.take_output(silent.id, &mut out);
    assert!(out.len() <= OUT_STOP_BYTES + 2, "{} bytes", out.len());
}

#[test]
fn an_offline_session_over_its_bound_in_bytes_loses_its_oldest_in_the_ledger() {
    let mut limits = limits();
    limits.session_bytes = 100_000;
    let mut node = TestNode::with_limits(limits);
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    node.drop_connection(reader);
    let mut device = node.connect(v5("pump"));
    for n in 1..=30 {
        let payload = format!("{n:02}{}", "x".repeat(10_000));
        node.publish(&mut device, "t", &payload, QoS::AtLeastOnce, n);
        node.core.spool().housekeep_once(node.now());
    }
    let mut reader = node.connect(durable("reader"));
    let got = take_all(&mut node, &mut reader);
    let lost = node.lost(spool::LossReason::SessionBound);
    assert!((5..=10).contains(&got.len()), "{} of 30", got.len());
    assert_eq!(lost + got.len() as u64, 30);
    let numbers = got.iter().map(|text| text[..2].parse::<u64>().unwrap());
    assert!(numbers.eq(lost + 1..=30), "the oldest are lost");
}

#[test]
fn a_shared_subscription_that_is_none_gets_its_reason_and_no_local_ends_the_connection() {
    let mut node = TestNode::new();
    let mut member = node.connect(v5("member"));
    for bad in [
        "$share/g",
        "$share//t",
        "$share/+/t",
        "$share/g/",
        "$share/g/t#",
    ] {
        let answer = node.subscribe(&mut member, bad, QoS::AtLeastOnce);
        assert_eq!(reason(answer), ReasonCode::TopicFilterInvalid, "{bad}");
    }
    let good = node.subscribe(&mut member, "$share/g/t/#", QoS::ExactlyOnce);
    assert_eq!(reason(good), ReasonCode::GrantedQos2);
    let mut own = request("$share/g/t", QoS::AtLeastOnce);
    own.no_local = true;
    node.send(&member, subscribe_with(own, None));
    assert!(
        matches!(member.next(&mut node), Some(Packet::Disconnect(d)) if d.reason == ReasonCode::ProtocolError)
    );
    assert!(node.is_closed(&member));
    let mut old = node.connect(crate::mqtt::packet::Connect {
        clean_start: true,
        ..crate::mqtt::packet::Connect::new(Version::V311, "old")
    });
    let answer = node.subscribe(&mut old, "$share/g", QoS::AtLeastOnce);
    assert_eq!(reason(answer), ReasonCode::UnspecifiedError);
}

#[test]
fn a_receipt_that_finds_the_waiting_bytes_full_is_taken_after_the_next_commit() {
    let mut node = TestNode::with_options(|options| options.waiting_bytes = 1_000);
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::ExactlyOnce);
    let device = node.connect(v5("pump"));
    node.send(&device, publish("t", "x", QoS::ExactlyOnce, 1));
    node.settle();
    let received = reader.publishes(&mut node);
    assert_eq!(received.len(), 1);

    let filling = "x".repeat(2_000);
    node.send(&device, publish("u", &filling, QoS::AtLeastOnce, 2));
    node.send(&reader, pubrec(&received[0]));
    assert!(!node.core.wants_input(reader.id) && !node.is_closed(&reader));
    node.settle();
    assert!(node.core.wants_input(reader.id));
    let released = reader.next(&mut node);
    assert!(matches!(released, Some(Packet::PubRel(_))), "{released:?}");
}

#[test]
fn a_clean_session_that_finds_the_waiting_bytes_full_is_read_on_after_the_next_commit() {
    let mut node = TestNode::with_options(|options| options.waiting_bytes = 1_000);
    let mut client = node.connect(v5("client"));
    let received = node.publish(&mut client, "t", "x", QoS::ExactlyOnce, 1);
    assert!(matches!(received, Some(Packet::PubRec(_))), "{received:?}");
    let filler = node.connect(v5("filler"));
    let filling = "x".repeat(2_000);
    node.send(&filler, publish("u", &filling, QoS::AtLeastOnce, 1));
    let group = subscribe("$share/g/t", QoS::AtLeastOnce);
    let release = Packet::PubRel(Ack::success(id(1)));
    node.send_all(&client, &[release, group]);
    assert!(!node.core.wants_input(client.id) && !node.is_closed(&client));
    node.settle();
    let answers = client.all(&mut node);
    assert!(
        matches!(answers[..], [Packet::PubComp(_), Packet::SubAck(_)]),
        "{answers:?}"
    );
}

#[test]
fn what_a_clean_session_releases_is_in_no_record() {
    let mut node = TestNode::new();
    let mut client = node.connect(v5("client"));
    node.publish(&mut client, "t", "x", QoS::ExactlyOnce, 1);
    let appended = node.core.spool().appended();
    node.send(&client, Packet::PubRel(Ack::success(id(1))));
    let done = client.all(&mut node);
    assert!(matches!(done[..], [Packet::PubComp(_)]), "{done:?}");
    assert_eq!(node.core.spool().appended(), appended);
}

#[test]
fn a_publisher_that_finds_the_waiting_bytes_full_is_not_read_before_the_next_commit() {
    let mut node = TestNode::with_options(|options| options.waiting_bytes = 1_000);
    let filler = node.connect(v5("filler"));
    let mut device = node.connect(v5("pump"));
    let filling = "x".repeat(2_000);
    node.send(&filler, publish("t", &filling, QoS::AtLeastOnce, 1));
    let full = node.core.spool().appended();

    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        node.send(&device, publish("t", "x", qos, qos as u16));
        assert!(!node.core.wants_input(device.id) && !node.is_closed(&device));
    }
    assert_eq!(node.core.spool().appended(), full);
    assert!(
        node.core.broker().withholding().is_empty(),
        "nothing is copied"
    );
    assert_eq!(device.next(&mut node), None);
    let taken_meanwhile = node.core.input_bytes();

    node.settle();
    assert!(taken_meanwhile <= node.core.input_bytes() / 16);
    assert!(node.core.wants_input(device.id));
    assert!(matches!(device.next(&mut node), Some(Packet::PubAck(_))));
    assert!(matches!(device.next(&mut node), Some(Packet::PubRec(_))));
}

#[test]
fn the_expiry_of_a_publish_counts_what_it_waited_for_its_publisher_to_be_read() {
    let mut node = TestNode::with_options(|options| options.waiting_bytes = 1_000);
    let mut listener = node.connect(v5("listener"));
    node.subscribe(&mut listener, "t", QoS::AtMostOnce);
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    node.drop_connection(reader);
    let filler = node.connect(v5("filler"));
    let device = node.connect(v5("pump"));
    let filling = "x".repeat(2_000);
    node.send(&filler, publish("u", &filling, QoS::AtLeastOnce, 1));

    for (id, seconds) in [(1, 3), (2, 20)] {
        let said = publish("t", &seconds.to_string(), QoS::AtLeastOnce, id);
        node.send(&device, expiring(said, seconds));
    }
    node.send(&device, expiring(publish("t", "4", QoS::AtMostOnce, 0), 4));
    assert!(!node.core.wants_input(device.id));
    node.wait(4_500);
    assert_eq!(listener.publishes(&mut node), []);
    node.settle();
    let expiry = |got: Vec<Publish>| -> Vec<_> { got.iter().map(expiry_of).collect() };
    assert_eq!(expiry(listener.publishes(&mut node)), [Some(16)]);
    assert_eq!(node.lost(spool::LossReason::Expired), 2);
    assert_eq!(node.expirytimes("t")[..2], [Some(-1_500), Some(15_500)]);

    node.pass(5_000);
    let mut reader = node.connect(durable("reader"));
    assert_eq!(expiry(reader.publishes(&mut node)), [Some(11)]);
    assert_eq!(node.lost(spool::LossReason::Expired), 3);
}

#[test]
fn publishers_that_were_put_off_take_turns() {
    let mut node = TestNode::with_options(|options| options.waiting_bytes = 1_000);
    let filling = "x".repeat(2_000);
    let names = ["first", "second", "third"];
    let mut devices = names.map(|name| node.connect(v5(name)));
    // Of each round of the three one finds room.
    for round in 1..=3 {
        for device in &devices {
            node.send(device, publish("t", &filling, QoS::AtLeastOnce, round));
        }
    }
    let mut answered = Vec::new();
    for _ in 0..3 {
        node.commit();
        node.read();
        let mut of_commit = devices.iter_mut().zip(names);
        answered.push(of_commit.find_map(|(device, name)| device.next(&mut node).map(|_| name)));
    }
    assert_eq!(answered, names.map(Some));
}

#[test]
fn qos_0_that_finds_the_waiting_bytes_full_is_delivered_locally_left_out_of_the_log_and_counted() {
    let mut node = TestNode::with_options(|options| options.waiting_bytes = 1_000);
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "live", QoS::AtMostOnce);
    let device = node.connect(v5("pump"));
    let filling = "x".repeat(2_000);
    node.send(&device, publish("fill", &filling, QoS::AtLeastOnce, 1));
    let full = node.core.spool().appended();
    node.send(&device, publish("live", "now", QoS::AtMostOnce, 0));
    assert_eq!(reader.messages(&mut node), [("live".into(), "now".into())]);
    assert_eq!(node.core.spool().appended(), full);
    assert_eq!(node.lost(spool::LossReason::Qos0NotStored), 1);
    node.settle();
    node.send(&device, publish("live", "then", QoS::AtMostOnce, 0));
    assert_eq!(reader.messages(&mut node), [("live".into(), "then".into())]);
    assert!(node.core.spool().appended() > full);
    assert_eq!(node.lost(spool::LossReason::Qos0NotStored), 1);
}

#[test]
fn what_a_subscriber_without_session_did_not_take_before_its_room_was_used_is_in_the_ledger() {
    const SENT: u16 = 150;
    let mut node = TestNode::with_options(|options| options.bound_bytes = Some(4 << 20));
    let mut reader = node.connect(with_receive_maximum(v5("reader"), 1));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    let filling = "x".repeat(60_000);
    for n in 1..=SENT {
        let taken = node.publish(&mut device, "t", &filling, QoS::AtLeastOnce, n);
        assert!(matches!(taken, Some(Packet::PubAck(_))), "{taken:?}");
        node.core.spool().housekeep_once(node.now());
    }
    let got = take_all(&mut node, &mut reader).len() as u64;
    assert!((2..100).contains(&got), "{got} of {SENT} in 4 MiB");
    let ledger = node.core.spool().status().ledger;
    let [loss] = &ledger[..] else {
        panic!("{ledger:?}")
    };
    assert_eq!(
        (loss.reason, loss.scope.as_str(), loss.count),
        (
            spool::LossReason::SlowSubscriber,
            "reader",
            u64::from(SENT) - got
        )
    );
    assert!(loss.first < loss.last, "{loss:?}");
}
