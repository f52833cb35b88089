//! Retained messages: what a new subscription gets, and what survives.

use super::harness::*;
use crate::mqtt::packet::{Ack, Packet, Publish, PublishPropertySet, QoS};

fn retain(node: &mut TestNode, topic: &str, text: &str, qos: QoS) {
    let mut device = node.connect(v5("retainer"));
    let packet = change_publish(publish(topic, text, qos, 1), |publish| {
        publish.retain = true;
    });
    node.send(&device, packet);
    node.settle();
    if qos == QoS::ExactlyOnce {
        node.send(&device, Packet::PubRel(Ack::success(id(1))));
        node.settle();
    }
    assert_eq!(device.all(node).is_empty(), qos == QoS::AtMostOnce);
    node.drop_connection(device);
}

#[test]
fn a_retained_message_at_qos_2_leaves_after_the_commit_of_its_identifier_and_keeps_it() {
    let mut node = TestNode::new();
    retain(&mut node, "state", "on", QoS::ExactlyOnce);
    let mut reader = node.connect(durable("reader"));
    node.send(&reader, subscribe("state", QoS::ExactlyOnce));
    node.commit();
    node.read();
    // SUBACK; the identifier of what is retained is not durable.
    assert_eq!(reader.all(&mut node).len(), 1);
    reader.gets_nothing(&mut node);
    node.commit();
    let sent = reader.publishes(&mut node);
    assert_eq!(sent.len(), 1);
    // Replaced meanwhile: the delivery that was begun is finished all the same.
    retain(&mut node, "state", "off", QoS::AtMostOnce);
    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    let again = reader.publishes(&mut node);
    let seen: Vec<_> = again
        .iter()
        .map(|p| (p.packet_id, p.dup, p.retain, &p.payload[..]))
        .collect();
    assert_eq!(seen, [(sent[0].packet_id, true, true, &b"on"[..])]);
    node.send(&reader, pubrec(&again[0]));
    node.settle();
    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    let release = Packet::PubRel(Ack::success(sent[0].packet_id.unwrap()));
    assert_eq!(reader.all(&mut node), [release]);
}

#[test]
fn a_retained_message_at_qos_2_that_finds_the_waiting_bytes_full_leaves_after_the_next_commit() {
    let mut node = TestNode::with_options(|options| options.waiting_bytes = 1_000);
    retain(&mut node, "state", "on", QoS::ExactlyOnce);
    let mut reader = node.connect(durable("reader"));
    let filler = node.connect(v5("filler"));
    node.send(&reader, subscribe("state", QoS::ExactlyOnce));
    node.commit();
    let filling = "x".repeat(2_000);
    node.send(&filler, publish("t", &filling, QoS::AtLeastOnce, 1));
    let full = node.core.spool().appended();
    node.read();
    assert_eq!(node.core.spool().appended(), full);
    assert_eq!(reader.publishes(&mut node), []);
    // Without a wait.
    node.settle();
    assert_eq!(payloads(&reader.publishes(&mut node)), ["on"]);
}

#[test]
fn a_retained_message_that_is_sent_again_is_still_marked_as_retained() {
    let mut node = TestNode::new();
    retain(&mut node, "state", "on", QoS::AtLeastOnce);
    let mut reader = node.connect(durable("reader"));
    node.send(
        &reader,
        subscribe_with(request("state", QoS::AtLeastOnce), Some(7)),
    );
    node.settle();
    assert_eq!(reader.publishes(&mut node).len(), 1);
    node.drop_connection(reader);
    let mut reader = node.connect(durable("reader"));
    let again = reader.publishes(&mut node);
    let identifiers = |set: &PublishPropertySet| set.subscription_identifiers.clone();
    let seen: Vec<_> = again
        .iter()
        .map(|p| (p.dup, p.retain, p.properties.set().map(identifiers)))
        .collect();
    assert_eq!(seen, [(true, true, Some(vec![7]))]);
}

#[test]
fn the_acknowledgement_of_a_retained_message_is_none_of_the_copy_that_is_owed() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "state", QoS::AtLeastOnce);
    node.drop_connection(reader);
    retain(&mut node, "state", "on", QoS::AtLeastOnce);
    let mut reader = node.connect(with_receive_maximum(durable("reader"), 1));
    let owed = reader.publishes(&mut node);
    assert_eq!((owed.len(), owed[0].retain), (1, false));
    node.send(&reader, subscribe("state", QoS::AtLeastOnce));
    node.settle();
    // Only the owed copy is acknowledged, then the retained one comes, and stays in flight.
    node.send(&reader, puback(&owed[0]));
    node.settle();
    let retained = reader.publishes(&mut node);
    assert_eq!((retained.len(), retained[0].retain), (1, true));
    // It alone was not acknowledged.
    let mut node = node.restart();
    let mut reader = node.connect(durable("reader"));
    let again = reader.publishes(&mut node);
    assert_eq!((again.len(), again[0].retain), (1, true));
}

#[test]
fn a_copy_that_is_owed_stays_so_when_the_retained_one_of_the_same_message_is_acknowledged() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "state", QoS::AtLeastOnce);
    retain(&mut node, "state", "on", QoS::AtLeastOnce);
    let owed = reader.publishes(&mut node);
    node.send(&reader, subscribe("state", QoS::AtLeastOnce));
    node.settle();
    let retained = reader.publishes(&mut node);
    assert_eq!((owed.len(), owed[0].retain), (1, false));
    assert_eq!((retained.len(), retained[0].retain), (1, true));
    node.send(&reader, puback(&retained[0]));
    let mut node = node.restart();
    let mut reader = node.connect(durable("reader"));
    let again = reader.publishes(&mut node);
    assert_eq!(payloads(&again), ["on"]);
    assert!(!again[0].retain);
}

#[test]
fn what_is_retained_for_a_new_subscription_comes_though_its_connection_breaks() {
    let mut node = TestNode::new();
    for n in 1..=40 {
        retain(&mut node, &format!("state/{n:02}"), "on", QoS::AtLeastOnce);
    }
    let mut reader = node.connect(with_receive_maximum(durable("reader"), 5));
    node.send(&reader, subscribe("state/#", QoS::AtLeastOnce));
    node.settle();
    assert_eq!(reader.publishes(&mut node).len(), 5);
    node.drop_connection(reader);
    let mut reader = node.connect(durable("reader"));
    let topics: Vec<String> = take_publishes(&mut node, &mut reader)
        .iter()
        .map(|publish| publish.topic.as_str().to_owned())
        .collect();
    let all: Vec<String> = (1..=40).map(|n| format!("state/{n:02}")).collect();
    assert_eq!(topics, all);
}

fn topics(publishes: &[Publish]) -> Vec<&str> {
    publishes.iter().map(|one| one.topic.as_str()).collect()
}

/// A node that retains a message of this QoS on each of `state/01` to `state/20`, and their names.
fn with_states(qos: QoS) -> (TestNode, Vec<String>) {
    let mut node = TestNode::new();
    let states: Vec<_> = (1..=20).map(|n| format!("state/{n:02}")).collect();
    for state in &states {
        retain(&mut node, state, "on", qos);
    }
    (node, states)
}

#[test]
fn what_is_retained_for_a_new_subscription_comes_though_the_power_fails_before_it_is_acknowledged()
{
    for checkpoint in [false, true] {
        let (mut node, states) = with_states(QoS::AtLeastOnce);
        let mut reader = node.connect(with_receive_maximum(durable("reader"), 5));
        let asked = subscribe_with(request("state/#", QoS::AtLeastOnce), Some(7));
        node.send(&reader, asked);
        node.settle();
        let first = reader.publishes(&mut node);
        assert_eq!(topics(&first), states[..5]);
        for publish in &first {
            node.send(&reader, puback(publish));
        }
        node.settle();
        if checkpoint {
            node.checkpoint();
            node.commit();
        }
        let mut node = node.crash();
        let mut reader = node.connect(durable("reader"));
        let again = take_publishes(&mut node, &mut reader);
        assert_eq!(topics(&again), states);
        assert!(again.iter().all(|publish| publish.retain));
        let identifiers = |set: &PublishPropertySet| set.subscription_identifiers.clone();
        assert_eq!(again[0].properties.set().map(identifiers), Some(vec![7]));
        // All of it is acknowledged.
        let mut node = node.crash();
        let mut reader = node.connect(durable("reader"));
        assert_eq!(reader.publishes(&mut node), []);
    }
}

#[test]
fn what_is_retained_at_qos_2_comes_once_to_a_new_subscription_though_the_power_fails() {
    let (mut node, states) = with_states(QoS::ExactlyOnce);
    let mut reader = node.connect(with_receive_maximum(durable("reader"), 5));
    node.send(&reader, subscribe("state/#", QoS::ExactlyOnce));
    node.settle();
    let mut taken = reader.publishes(&mut node);
    assert_eq!(topics(&taken), states[..5]);
    // Two are done, one is received, and two are on their way.
    for publish in &taken[..3] {
        node.send(&reader, pubrec(publish));
    }
    node.commit();
    for publish in &taken[..2] {
        let done = Ack::success(publish.packet_id.unwrap());
        node.send(&reader, Packet::PubComp(done));
    }
    node.commit();
    node.checkpoint();
    let mut node = node.crash();
    taken.truncate(3);
    let mut reader = node.connect(durable("reader"));
    loop {
        let came = reader.all(&mut node);
        if came.is_empty() {
            break;
        }
        for packet in came {
            let answer = match packet {
                Packet::Publish(publish) => {
                    let answer = pubrec(&publish);
                    taken.push(publish);
                    answer
                }
                Packet::PubRel(ack) => Packet::PubComp(ack),
                other => panic!("{other:?}"),
            };
            node.send(&reader, answer);
        }
        node.settle();
    }
    assert_eq!(topics(&taken), states);
}

#[test]
fn what_is_retained_comes_to_no_subscription_that_was_taken_back_before_a_crash() {
    let (mut node, _) = with_states(QoS::AtLeastOnce);
    let mut reader = node.connect(with_receive_maximum(durable("reader"), 1));
    node.subscribe(&mut reader, "state/#", QoS::AtLeastOnce);
    node.send(&reader, unsubscribe("state/#"));
    node.settle();
    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    assert_eq!(reader.publishes(&mut node), []);
}

#[test]
fn a_subscriber_that_asks_again_and_again_for_everything_retained_costs_no_memory() {
    let mut node = TestNode::new();
    for n in 0..200 {
        retain(&mut node, &format!("state/{n}"), "on", QoS::AtLeastOnce);
    }
    let reader = node.connect(with_receive_maximum(v5("reader"), 1));
    for _ in 0..50 {
        node.send(&reader, subscribe("state/#", QoS::AtLeastOnce));
        node.settle();
    }
    assert!(node.core.broker().errands_in_memory() <= 17);
}

#[test]
fn what_was_replaced_or_cleared_while_it_was_read_does_not_come_after_what_did_so() {
    for newer in ["second", ""] {
        let mut node = TestNode::new();
        retain(&mut node, "state", "first", QoS::AtLeastOnce);
        let mut reader = node.connect(v5("reader"));
        node.send(&reader, subscribe("state", QoS::AtLeastOnce));
        let asked = node.take_readings();
        assert_eq!(asked.len(), 1);
        let read = |reading: &crate::node::core::Reading| reading.order().run(node.core.spool());
        let found: Vec<_> = asked.iter().map(read).collect();
        retain(&mut node, "state", newer, QoS::AtLeastOnce);
        for (reading, found) in asked.into_iter().zip(found) {
            node.core.handle_reading(reading, found);
        }
        node.settle();
        assert_eq!(payloads(&reader.publishes(&mut node)), [newer]);
    }
}

#[test]
fn a_retained_message_is_kept_until_the_one_that_replaces_it_is_on_stable_storage() {
    let mut node = TestNode::with_options(|options| {
        options.bound_bytes = Some(4 << 20);
        options.segment_bytes = Some(256 << 10);
    });
    retain(&mut node, "state", "old", QoS::AtLeastOnce);
    let old = node.core.spool().committed();
    let device = node.connect(v5("pump"));
    let history = publish("t", &"x".repeat(10_000), QoS::AtMostOnce, 0);
    for n in 0..1_000 {
        node.send(&device, history.clone());
        node.settle();
        if n % 10 == 9 {
            node.checkpoint();
            node.wait(2_000);
            node.core.spool().housekeep_once(node.now());
        }
    }
    let behind = spool::Seq(old.0 + 20);
    assert!(node.core.spool().read_at(behind).unwrap().is_none());
    // The segments that were made ahead are begun: the next is made of one that nothing needs.
    for _ in 0..60 {
        node.send(&device, history.clone());
        node.settle();
    }
    let new = change_publish(publish("state", "new", QoS::AtLeastOnce, 1), |publish| {
        publish.retain = true;
    });
    node.send(&device, new);
    for _ in 0..3 {
        node.wait(2_000);
        node.core.spool().housekeep_once(node.now());
    }
    let mut node = node.crash();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "state", QoS::AtLeastOnce);
    assert_eq!(payloads(&reader.publishes(&mut node)), ["old"]);
}
