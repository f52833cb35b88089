//! What is in flight when connections, sessions and the node itself end.

use super::harness::*;
use crate::mqtt::packet::{Ack, Packet, Publish, QoS};

pub(super) fn retained(topic: &str, payload: &str, id: u16) -> Packet {
    change_publish(publish(topic, payload, QoS::ExactlyOnce, id), |publish| {
        publish.retain = true;
    })
}

fn texts(publishes: &[Publish]) -> Vec<&str> {
    publishes
        .iter()
        .map(|publish| std::str::from_utf8(&publish.payload).unwrap())
        .collect()
}

#[test]
fn the_identifier_of_a_retained_message_of_qos_2_is_durable_before_it_leaves() {
    let mut node = TestNode::new();
    let device = node.connect(v5("pump"));
    node.send(&device, retained("r", "1", 1));
    node.settle();
    let mut reader = node.connect(durable("reader"));
    node.send(&reader, subscribe("r", QoS::ExactlyOnce));
    node.commit();
    node.read();
    assert_eq!(reader.publishes(&mut node), []);
    reader.gets_nothing(&mut node);
    node.settle();
    let first = reader.publishes(&mut node);
    assert_eq!(texts(&first), ["1"]);
    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    let again = reader.publishes(&mut node);
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].packet_id, again[0].dup, again[0].retain),
        (first[0].packet_id, true, true)
    );
}

#[test]
fn what_is_sent_again_keeps_to_a_receive_maximum_that_was_lowered() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    for n in 1..=5 {
        node.publish(&mut device, "t", &n.to_string(), QoS::AtLeastOnce, n);
    }
    assert_eq!(reader.publishes(&mut node).len(), 5);
    node.drop_connection(reader);
    let mut reader = node.connect(with_receive_maximum(durable("reader"), 2));
    let mut got = Vec::new();
    for expected in [2, 1, 1, 1, 0] {
        let next = reader.publishes(&mut node);
        assert_eq!(next.len(), expected);
        got.extend(next);
        let place = got.len().saturating_sub(2);
        node.send(&reader, puback(&got[place]));
        node.settle();
    }
    assert_eq!(texts(&got), ["1", "2", "3", "4", "5"]);
}

#[test]
fn a_shared_group_without_members_ends_at_the_start() {
    let mut node = TestNode::new();
    let mut member = node.connect(v5("member"));
    node.subscribe(&mut member, "$share/g/t", QoS::AtLeastOnce);
    assert!(node.core.spool().cursor("share/g/t").is_some());
    let node = node.crash();
    assert!(node.core.spool().cursor("share/g/t").is_none());
}

#[test]
fn a_message_of_a_group_that_was_received_does_not_go_to_another_member() {
    let mut node = TestNode::new();
    let mut first = node.connect(v5("first"));
    node.subscribe(&mut first, "$share/g/t", QoS::ExactlyOnce);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::ExactlyOnce, 1);
    let got = first.publishes(&mut node);
    assert_eq!(texts(&got), ["1"]);
    let mut second = node.connect(v5("second"));
    node.subscribe(&mut second, "$share/g/t", QoS::ExactlyOnce);
    node.send(&first, pubrec(&got[0]));
    node.settle();
    let received = Packet::PubRel(Ack::success(got[0].packet_id.unwrap()));
    assert_eq!(first.all(&mut node), [received]);
    node.drop_connection(first);
    assert_eq!(second.publishes(&mut node), []);
}

#[test]
fn messages_of_qos_2_in_flight_keep_their_order_whatever_identifiers_were_free() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::ExactlyOnce);
    let mut device = node.connect(v5("pump"));
    for (n, text) in [(1, "first"), (2, "second")] {
        node.publish(&mut device, "t", text, QoS::ExactlyOnce, n);
    }
    let got = reader.publishes(&mut node);
    assert_eq!(texts(&got), ["first", "second"]);
    node.send(&reader, pubrec(&got[0]));
    node.settle();
    let done = Packet::PubComp(Ack::success(got[0].packet_id.unwrap()));
    node.send(&reader, done);
    node.settle();

    // The identifier of the first is free, and lower than that of the second.
    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "third", QoS::ExactlyOnce, 3);
    let got = reader.publishes(&mut node);
    assert_eq!(texts(&got), ["second", "third"]);
    assert!(got[1].packet_id < got[0].packet_id);

    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    node.settle();
    assert_eq!(texts(&reader.publishes(&mut node)), ["second", "third"]);
}

#[test]
fn a_session_cut_off_before_its_retained_messages_were_searched_is_given_what_comes_later() {
    let mut node = TestNode::new();
    let mut reader = node.connect(with_receive_maximum(durable("reader"), 1));
    node.subscribe(&mut reader, "$share/g/s", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "s", "for the group", QoS::AtLeastOnce, 1);
    // It fills the receive maximum, so that nothing retained is searched yet.
    node.send(&reader, subscribe("t", QoS::AtLeastOnce));
    node.settle();
    node.drop_connection(reader);

    let mut reader = node.connect(durable("reader"));
    node.publish(&mut device, "t", "later", QoS::AtLeastOnce, 2);
    let mut got = take_all(&mut node, &mut reader);
    got.sort_unstable();
    assert_eq!(got, ["for the group", "later"]);
}

#[test]
fn what_was_in_flight_is_sent_again_though_nothing_more_is_committed() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", "1", QoS::AtLeastOnce, 1);
    assert_eq!(texts(&reader.publishes(&mut node)), ["1"]);
    node.drop_connection(reader);

    let mut reader = node.dial(crate::mqtt::packet::Version::V5);
    node.send(&reader, Packet::Connect(Box::new(durable("reader"))));
    let asked = node.take_readings();
    node.commit();
    for reading in asked {
        let found = reading.order().run(node.core.spool());
        node.core.handle_reading(reading, found);
    }
    assert_eq!(texts(&reader.publishes(&mut node)), ["1"]);
}

#[test]
fn what_is_too_large_for_the_connection_it_is_sent_again_on_is_lost_in_the_ledger_for_good() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut node = TestNode::new();
        let mut reader = node.connect(durable("reader"));
        node.subscribe(&mut reader, "t", qos);
        let mut device = node.connect(v5("pump"));
        node.publish(&mut device, "t", &"x".repeat(10_000), qos, 1);
        assert_eq!(reader.publishes(&mut node).len(), 1);
        node.drop_connection(reader);

        let mut reader = node.connect(with_maximum_packet(durable("reader"), 1_000));
        assert_eq!(reader.publishes(&mut node), []);
        assert_eq!(node.lost(spool::LossReason::TooLargeForSubscriber), 1);
        node.publish(&mut device, "t", "small", qos, 2);
        assert_eq!(texts(&reader.publishes(&mut node)), ["small"]);
        let mut node = node.crash();
        let mut reader = node.connect(durable("reader"));
        assert_eq!(texts(&reader.publishes(&mut node)), ["small"], "{qos:?}");
    }
}

#[test]
fn a_log_without_room_for_the_end_of_what_is_too_large_by_now_keeps_it_in_flight() {
    let mut node = TestNode::with_options(|options| options.waiting_bytes = 20_000);
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::ExactlyOnce);
    let mut device = node.connect(v5("pump"));
    node.publish(&mut device, "t", &"x".repeat(10_000), QoS::ExactlyOnce, 1);
    assert_eq!(reader.publishes(&mut node).len(), 1);
    node.drop_connection(reader);

    let reader = node.dial(crate::mqtt::packet::Version::V5);
    let connect = with_maximum_packet(durable("reader"), 1_000);
    node.send(&reader, Packet::Connect(Box::new(connect)));
    node.commit();
    node.send(
        &device,
        publish("u", &"x".repeat(30_000), QoS::AtLeastOnce, 2),
    );
    node.read();
    assert_eq!(node.lost(spool::LossReason::TooLargeForSubscriber), 0);
    node.settle();
    assert_eq!(node.lost(spool::LossReason::TooLargeForSubscriber), 1);
}

#[test]
fn a_member_is_sent_again_what_its_own_subscription_grants() {
    let mut node = TestNode::new();
    let members = [("first", 1, true), ("second", 2, false)];
    let mut clients = members.map(|(name, identifier, as_published)| {
        let mut member = node.connect(durable(name));
        let mut own = request("$share/g/t", QoS::ExactlyOnce);
        own.retain_as_published = as_published;
        node.send(&member, subscribe_with(own, Some(identifier)));
        node.settle();
        assert!(matches!(member.next(&mut node), Some(Packet::SubAck(_))));
        member
    });
    let mut device = node.connect(v5("pump"));
    for n in 1..=2 {
        node.send(&device, retained("t", "on", n));
        node.settle();
        assert_eq!(device.all(&mut node).len(), 1);
    }
    let granted = |node: &mut TestNode, client: &mut Client| {
        let seen = client.publishes(node);
        let of = |publish: &Publish| {
            let identifiers = publish
                .properties
                .set()
                .map(|it| it.subscription_identifiers.clone());
            (publish.retain, identifiers.unwrap_or_default())
        };
        seen.iter().map(of).collect::<Vec<_>>()
    };
    let own = members.map(|(_, identifier, retain)| vec![(retain, vec![identifier])]);
    let sent = clients.each_mut().map(|client| granted(&mut node, client));
    assert_eq!(sent, own);
    for client in clients {
        node.drop_connection(client);
    }
    let again = members.map(|(name, ..)| {
        let mut client = node.connect(durable(name));
        granted(&mut node, &mut client)
    });
    assert_eq!(again, own);
}

#[test]
fn who_left_a_group_is_sent_again_what_it_holds_under_no_identifier_of_another_member() {
    let mut node = TestNode::new();
    let join = |node: &mut TestNode, name: &str, identifier| {
        let mut member = node.connect(durable(name));
        let own = request("$share/g/t", QoS::ExactlyOnce);
        node.send(&member, subscribe_with(own, Some(identifier)));
        node.settle();
        assert!(matches!(member.next(node), Some(Packet::SubAck(_))));
        member
    };
    let mut first = join(&mut node, "first", 1);
    let mut second = join(&mut node, "second", 2);
    let mut device = node.connect(v5("pump"));
    for n in 1..=2 {
        node.publish(&mut device, "t", "x", QoS::ExactlyOnce, n);
    }
    assert_eq!(first.publishes(&mut node).len(), 1);
    assert_eq!(second.publishes(&mut node).len(), 1);
    node.send(&first, unsubscribe("$share/g/t"));
    node.settle();
    node.drop_connection(first);

    let again = node.connect(durable("first")).publishes(&mut node);
    assert_eq!(texts(&again), ["x"]);
    let properties = again[0].properties.set();
    let identifiers = properties.map(|it| &it.subscription_identifiers[..]);
    assert_eq!(identifiers.unwrap_or_default(), [0_u32; 0]);
}
