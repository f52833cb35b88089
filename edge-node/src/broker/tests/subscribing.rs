//! What a SUBSCRIBE or an UNSUBSCRIBE may cost, whatever is in it.

use super::harness::*;
use crate::{
    broker::{Excess, errands::LOOKED_AT_ONCE},
    mqtt::packet::{Packet, QoS, ReasonCode, Unsubscribe},
    node::core::Reading,
};

fn reasons(packet: Option<Packet>) -> Vec<ReasonCode> {
    match packet {
        Some(Packet::SubAck(ack)) => ack.reasons,
        other => panic!("{other:?}"),
    }
}

fn retain(node: &mut TestNode, topics: impl Iterator<Item = String>) {
    let device = node.connect(v5("retainer"));
    let retained = |topic: String| {
        change_publish(publish(&topic, "on", QoS::AtMostOnce, 0), |publish| {
            publish.retain = true;
        })
    };
    let packets: Vec<_> = topics.map(retained).collect();
    node.send_all(&device, &packets);
    node.settle();
    node.drop_connection(device);
}

#[test]
fn more_requests_at_once_than_subscriptions_are_refused_from_there_on_and_said_once() {
    for filters in [
        ["+/x"; 1_000].map(str::to_owned),
        core::array::from_fn(|n| format!("{n}")),
    ] {
        let mut limits = limits();
        limits.subscriptions = 100;
        let mut node = TestNode::with_limits(limits);
        let mut bomb = node.connect(v5("bomb"));
        let requests = filters
            .iter()
            .map(|filter| request(filter, QoS::AtLeastOnce));
        node.send(&bomb, subscribe_to(requests.collect()));
        node.settle();
        let mut expected = vec![ReasonCode::GrantedQos1; 100];
        expected.resize(1_000, ReasonCode::QuotaExceeded);
        assert_eq!(reasons(bomb.next(&mut node)), expected);
        assert_eq!(node.excesses, [Excess::Subscriptions]);
    }
}

#[test]
fn what_is_retained_is_looked_through_in_steps_between_which_others_have_their_turn() {
    let mut limits = limits();
    limits.retained = 3 * LOOKED_AT_ONCE;
    let mut node = TestNode::with_limits(limits);
    let topics = (0..2 * LOOKED_AT_ONCE).map(|n| format!("state/{n}"));
    retain(&mut node, topics.chain(["zone/x".to_owned()]));
    let mut reader = node.connect(v5("reader"));
    // That it looks for the first two takes them all twice.
    let filters = ["+/none", "+/nothing", "+/x"];
    let requests = filters.map(|filter| request(filter, QoS::AtLeastOnce));
    node.send(&reader, subscribe_to(requests.to_vec()));
    assert_eq!(
        reasons(reader.next(&mut node)),
        [ReasonCode::GrantedQos1; 3]
    );
    let mut steps = 0;
    loop {
        let mut readings = node.take_readings();
        let Some(reading) = readings.pop() else { break };
        assert_eq!(readings.len(), 0, "one step at once");
        if let Reading::Errands(_, _, errands) = &reading {
            steps += usize::from(errands.is_empty());
        }
        let found = reading.order().run(node.core.spool());
        node.core.handle_reading(reading, found);
    }
    assert_eq!(steps, 6);
    assert_eq!(payloads(&reader.publishes(&mut node)), ["on"]);
}

#[test]
fn subscriptions_beyond_one_transaction_are_refused_and_taken_when_asked_for_again() {
    let mut limits = limits();
    limits.subscription_bytes = 64 << 20;
    let mut node = TestNode::with_sink(1, limits, |options| {
        options.bound_bytes = Some(16 << 20);
        options.segment_bytes = Some(256 << 10);
    });
    let mut reader = node.connect(durable(&"n".repeat(1_000)));
    let long = |n: usize| request(&format!("{n:02}{}", "x".repeat(3_000)), QoS::AtLeastOnce);
    let mut asked = |range: std::ops::Range<usize>| {
        node.send(&reader, subscribe_to(range.map(long).collect()));
        node.settle();
        reasons(reader.next(&mut node))
    };
    let first = asked(0..80);
    let granted = first
        .iter()
        .take_while(|reason| **reason == ReasonCode::GrantedQos1);
    let granted = granted.count();
    assert!((40..50).contains(&granted), "{granted} of 80");
    assert!(
        first[granted..]
            .iter()
            .all(|reason| *reason == ReasonCode::QuotaExceeded)
    );
    assert_eq!(
        asked(granted..80),
        vec![ReasonCode::GrantedQos1; 80 - granted]
    );
}

/// More than a transaction holds: each record names the session.
#[test]
fn of_an_unsubscribe_that_is_more_than_a_transaction_holds_the_rest_is_answered_and_done_when_it_comes_again()
 {
    let mut node = TestNode::with_options(|options| options.segment_bytes = Some(64 << 10));
    let mut client = node.connect(durable(&"n".repeat(1_000)));
    let filters: Vec<_> = (0..90).map(|number| format!("t/{number}")).collect();
    for filter in &filters {
        node.subscribe(&mut client, filter, QoS::AtMostOnce);
    }
    let all = || {
        Packet::Unsubscribe(Unsubscribe {
            packet_id: id(2),
            user_properties: Vec::new(),
            filters: filters.clone(),
        })
    };
    let mut answered = |node: &mut TestNode| {
        node.send(&client, all());
        node.settle();
        match client.next(node) {
            Some(Packet::UnsubAck(ack)) => ack.reasons,
            other => panic!("{other:?}"),
        }
    };
    let (mut done, mut rounds) = (0, 0);
    while done < filters.len() {
        let reasons = answered(&mut node);
        let taken = reasons.iter().filter(|it| **it == ReasonCode::Success);
        let taken = taken.count();
        assert!(taken > 0, "{reasons:?}");
        let gone = [ReasonCode::NoSubscriptionExisted].repeat(done);
        let rest = [ReasonCode::ImplementationSpecificError].repeat(filters.len() - done - taken);
        let expected = [gone, [ReasonCode::Success].repeat(taken), rest].concat();
        assert_eq!(reasons, expected);
        (done, rounds) = (done + taken, rounds + 1);
    }
    assert!(rounds > 1, "one transaction held all");
    assert!(node.faults.is_empty());
}
