//! Sessions: queues, resumption, take-over, expiry, wills, shared groups.

use super::harness::*;
use crate::mqtt::packet::{ConnAck, Packet, QoS, ReasonCode, Version};

fn texts(messages: Vec<(String, String)>) -> Vec<String> {
    messages.into_iter().map(|(_, payload)| payload).collect()
}

fn session_present(packet: Option<Packet>) -> bool {
    match packet {
        Some(Packet::ConnAck(ack)) => {
            let ConnAck {
                session_present,
                reason,
                ..
            } = *ack;
            assert_eq!(reason, ReasonCode::Success);
            session_present
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_durable_session_gets_what_came_while_it_was_away_in_order_and_then_what_is_live() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t/+", QoS::AtLeastOnce);
    node.drop_connection(reader);
    let mut device = node.connect(v5("pump"));
    for n in 1..=5 {
        node.publish(&mut device, "t/a", &n.to_string(), QoS::AtLeastOnce, n);
    }
    let mut reader = node.connect(durable("reader"));
    node.publish(&mut device, "t/a", "6", QoS::AtLeastOnce, 6);
    assert_eq!(
        texts(reader.messages(&mut node)),
        ["1", "2", "3", "4", "5", "6"]
    );
}

#[test]
fn the_receive_maximum_of_a_subscriber_is_kept_and_acknowledgements_alone_bring_the_rest() {
    let mut node = TestNode::new();
    let mut reader = node.connect(with_receive_maximum(durable("reader"), 3));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    for n in 1..=10 {
        node.publish(&mut device, "t", &n.to_string(), QoS::AtLeastOnce, n);
    }
    let rounds = take_rounds(&mut node, &mut reader);
    assert!(rounds.iter().all(|round| round.len() <= 3), "{rounds:?}");
    let got: Vec<String> = payloads(&rounds.concat());
    assert_eq!(got, (1..=10).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_slow_subscriber_without_durable_session_gets_everything_that_is_in_the_log() {
    let mut node = TestNode::new();
    let mut reader = node.connect(with_receive_maximum(v5("reader"), 2));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    for n in 1..=50 {
        node.publish(&mut device, "t", &n.to_string(), QoS::AtLeastOnce, n);
    }
    let got = take_all(&mut node, &mut reader);
    assert_eq!(got, (1..=50).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn what_was_in_flight_comes_again_first_with_its_identifier_and_dup() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    for n in 1..=3 {
        node.publish(&mut device, "t", &n.to_string(), QoS::AtLeastOnce, n);
    }
    let first = reader.publishes(&mut node);
    node.send(&reader, puback(&first[0]));
    node.settle();
    node.drop_connection(reader);
    node.publish(&mut device, "t", "4", QoS::AtLeastOnce, 4);
    let mut reader = node.connect(durable("reader"));
    let again = reader.publishes(&mut node);
    let seen: Vec<_> = again.iter().map(|p| (p.payload.to_vec(), p.dup)).collect();
    assert_eq!(
        seen,
        [
            (b"2".to_vec(), true),
            (b"3".to_vec(), true),
            (b"4".to_vec(), false)
        ]
    );
    assert_eq!(again[0].packet_id, first[1].packet_id);
    assert_eq!(again[1].packet_id, first[2].packet_id);
}

#[test]
fn what_a_subscriber_acknowledged_does_not_come_again_after_a_clean_restart() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    for n in 1..=3 {
        node.publish(&mut device, "t", &n.to_string(), QoS::AtLeastOnce, n);
    }
    for publish in reader.publishes(&mut node).iter().take(2) {
        node.send(&reader, puback(publish));
    }
    let mut node = node.restart();
    let mut reader = node.connect(durable("reader"));
    assert_eq!(texts(reader.messages(&mut node)), ["3"]);
}

#[test]
fn a_second_connection_takes_the_session_over_and_the_first_is_told() {
    let mut node = TestNode::new();
    let mut first = node.connect(durable("reader"));
    node.subscribe(&mut first, "t", QoS::AtLeastOnce);
    let (mut second, packet) = node.try_connect(durable("reader"));
    assert!(session_present(packet));
    assert!(
        matches!(first.next(&mut node), Some(Packet::Disconnect(d)) if d.reason == ReasonCode::SessionTakenOver)
    );
    assert!(node.is_closed(&first));
    node.core.handle_disconnected(first.id);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    assert_eq!(texts(second.messages(&mut node)), ["1"]);
}

#[test]
fn a_session_ends_at_its_expiry_with_an_entry_in_the_ledger() {
    let mut node = TestNode::new();
    let mut connect = durable("reader");
    connect.session_expiry_interval = Some(60);
    let mut reader = node.connect(connect);
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    node.drop_connection(reader);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    node.pass(59_000);
    assert_eq!(node.lost(spool::LossReason::SessionEnded), 0);
    node.pass(2_000);
    assert_eq!(node.lost(spool::LossReason::SessionEnded), 1);
    let (_, packet) = node.try_connect(durable("reader"));
    assert!(!session_present(packet));
}

#[test]
fn a_session_lasts_as_long_as_its_disconnect_says_over_a_crash_too() {
    for (seconds, is_crashed) in [(10, false), (10, true), (7_200, true)] {
        let mut node = TestNode::new();
        let client = node.connect(durable("reader"));
        node.send(&client, goodbye_with_expiry(seconds));
        node.drop_connection(client);
        let present_after = |mut node: TestNode, milliseconds| {
            node.pass(milliseconds);
            let (_, packet) = node.try_connect(durable("reader"));
            (session_present(packet), node)
        };
        let node = if is_crashed { node.crash() } else { node };
        let (present, mut node) = present_after(node, u64::from(seconds) * 1000 - 1);
        assert!(present);
        let client = node.connect(durable("reader"));
        node.send(&client, goodbye_with_expiry(seconds));
        node.drop_connection(client);
        let (present, _) = present_after(node, u64::from(seconds) * 1000);
        assert!(!present);
    }
}

#[test]
fn a_session_that_ends_with_its_connection_cannot_be_made_to_last_by_disconnect() {
    let mut node = TestNode::new();
    let mut client = node.connect(v5("reader"));
    node.send(&client, goodbye_with_expiry(10));
    assert!(
        matches!(client.next(&mut node), Some(Packet::Disconnect(d)) if d.reason == ReasonCode::ProtocolError)
    );
}

#[test]
fn a_session_of_3_1_1_without_clean_session_survives_a_crash() {
    let mut node = TestNode::new();
    let mut connect = crate::mqtt::packet::Connect::new(Version::V311, "reader");
    connect.clean_start = false;
    let mut reader = node.connect(connect.clone());
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut node = node.crash();
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    let (mut reader, packet) = node.try_connect(connect);
    assert!(session_present(packet));
    assert_eq!(texts(reader.messages(&mut node)), ["1"]);
}

#[test]
fn a_will_is_published_when_the_stream_breaks_and_not_after_a_goodbye() {
    let mut node = TestNode::new();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "will/#", QoS::AtLeastOnce);
    let polite = node.connect(with_will(v5("polite"), "will/polite", 0));
    node.send(&polite, goodbye());
    node.drop_connection(polite);
    let broken = node.connect(with_will(v5("broken"), "will/broken", 0));
    node.drop_connection(broken);
    assert_eq!(
        reader.messages(&mut node),
        [("will/broken".into(), "gone".into())]
    );
}

#[test]
fn a_delayed_will_is_not_published_when_the_client_is_back_in_time() {
    let mut node = TestNode::new();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "will", QoS::AtLeastOnce);
    let client = node.connect(with_will(durable("pump"), "will", 10));
    node.drop_connection(client);
    node.pass(9_000);
    let client = node.connect(with_will(durable("pump"), "will", 10));
    node.pass(60_000);
    assert_eq!(reader.messages(&mut node), []);
    node.drop_connection(client);
    node.pass(11_000);
    assert_eq!(texts(reader.messages(&mut node)), ["gone"]);
}

#[test]
fn silence_for_one_and_a_half_keep_alives_ends_the_connection_and_publishes_the_will() {
    let mut node = TestNode::new();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "will", QoS::AtLeastOnce);
    let mut connect = with_will(v5("pump"), "will", 0);
    connect.keep_alive = 10;
    let client = node.connect(connect);
    node.pass(14_000);
    node.send(&client, Packet::PingReq);
    node.pass(14_000);
    assert!(!node.is_closed(&client));
    node.pass(2_000);
    assert!(node.is_closed(&client));
    assert_eq!(texts(reader.messages(&mut node)), ["gone"]);
}

#[test]
fn a_shared_group_gives_each_message_to_one_member_and_an_unacknowledged_one_to_another() {
    let mut node = TestNode::new();
    let mut first = node.connect(v5("first"));
    let mut second = node.connect(v5("second"));
    node.subscribe(&mut first, "$share/g/t", QoS::AtLeastOnce);
    node.subscribe(&mut second, "$share/g/t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    for n in 1..=6 {
        node.publish(&mut device, "t", &n.to_string(), QoS::AtLeastOnce, n);
    }
    let of_first = first.publishes(&mut node);
    let of_second = second.publishes(&mut node);
    assert_eq!((of_first.len(), of_second.len()), (3, 3));
    for publish in &of_second {
        node.send(&second, puback(publish));
    }
    node.drop_connection(first);
    let mut again = texts(second.messages(&mut node));
    again.sort();
    let mut held: Vec<_> = of_first
        .iter()
        .map(|p| String::from_utf8(p.payload.to_vec()).unwrap())
        .collect();
    held.sort();
    assert_eq!(again, held);
}

#[test]
fn a_shared_group_of_durable_sessions_keeps_its_debt_over_a_crash() {
    let mut node = TestNode::new();
    let mut member = node.connect(durable("member"));
    node.subscribe(&mut member, "$share/g/t/#", QoS::AtLeastOnce);
    node.drop_connection(member);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t/1", "1", QoS::AtLeastOnce, 1);
    let mut node = node.crash();
    let mut member = node.connect(durable("member"));
    assert_eq!(texts(member.messages(&mut node)), ["1"]);
}

#[test]
fn an_expired_message_is_not_delivered_and_counted() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    node.drop_connection(reader);
    let device = node.connect(v5("pump"));
    let said = |text: &str, id| publish("t", text, QoS::AtLeastOnce, id);
    node.send(&device, expiring(said("short", 1), 5));
    node.send(&device, expiring(said("long", 2), 100));
    node.settle();
    node.pass(10_000);
    let mut reader = node.connect(durable("reader"));
    let got = reader.publishes(&mut node);
    assert_eq!(got.len(), 1);
    assert_eq!(expiry_of(&got[0]), Some(90));
    assert_eq!(node.lost(spool::LossReason::Expired), 1);
}

#[test]
fn a_subscriber_gets_everything_retained_however_much_it_is() {
    let mut node = TestNode::new();
    let device = node.connect(v5("pump"));
    for n in 1..=900 {
        let retained = change_publish(
            publish(
                &format!("state/{n}"),
                &"x".repeat(1000),
                QoS::AtLeastOnce,
                n,
            ),
            |publish| publish.retain = true,
        );
        node.send(&device, retained);
        node.settle();
    }
    let mut reader = node.connect(v5("reader"));
    node.send(&reader, subscribe("state/#", QoS::AtMostOnce));
    let mut got = 0;
    loop {
        node.settle();
        match reader.publishes(&mut node).len() {
            0 => break,
            more => got += more,
        }
    }
    assert_eq!(got, 900);
    assert_eq!(node.lost(spool::LossReason::SlowSubscriber), 0);
}

#[test]
fn what_was_in_flight_is_not_given_up_when_the_log_cannot_be_read_for_a_while() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    assert_eq!(reader.messages(&mut node).len(), 1);
    node.drop_connection(reader);
    node.fail_reads = true;
    let mut reader = node.connect(durable("reader"));
    assert_eq!(reader.messages(&mut node), []);
    node.fail_reads = false;
    node.pass(1_000);
    assert_eq!(texts(reader.messages(&mut node)), ["1"]);
}
