//! Routes of publishes: as many as somebody is owed something on, and found anew where the log has forgotten one.

use super::harness::*;
use crate::mqtt::packet::QoS;

/// The log keeps about so many before it forgets those on which nobody is owed anything.
const MANY: u64 = (256 << 10) / 460 / 2;

#[test]
fn a_session_that_is_granted_otherwise_for_each_message_leaves_few_routes() {
    let mut node = small();
    let mut client = node.connect(durable("loop"));
    for round in 1..=3 * MANY as u32 {
        let own = request("a", QoS::AtLeastOnce);
        node.send(&client, subscribe_with(own, Some(round)));
        node.send(&client, publish("a", "1", QoS::AtLeastOnce, 1));
        node.settle();
        let [came] = &client.publishes(&mut node)[..] else {
            panic!("round {round}")
        };
        let identifiers = &came.properties.set().unwrap().subscription_identifiers;
        assert_eq!(identifiers[..], [round]);
        let acknowledged = puback(came);
        node.send(&client, acknowledged);
        node.settle();
        keep_house(&node);
        let routes = node.core.spool().status().routes;
        assert!(routes <= MANY + 8, "{routes} in round {round}");
    }
}

#[test]
fn a_publish_on_a_route_that_the_log_has_forgotten_is_owed_on_it_anew() {
    let mut node = small();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    for (payload, packet_id) in [("1", 1), ("2", 2), ("3", 3)] {
        node.publish(&mut device, "t", payload, QoS::AtLeastOnce, packet_id);
        assert_eq!(take_all(&mut node, &mut reader), [payload]);
        forget_routes(&mut node);
    }
    node.drop_connection(reader);
    node.publish(&mut device, "t", "4", QoS::AtLeastOnce, 4);
    forget_routes(&mut node);
    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    assert_eq!(take_all(&mut node, &mut reader), ["4"]);
}

fn small() -> TestNode {
    TestNode::with_options(|options| {
        options.bound_bytes = Some(4 << 20);
        options.segment_bytes = Some(64 << 10);
    })
}

fn keep_house(node: &TestNode) {
    if node.core.spool().checkpoint_due() {
        node.checkpoint();
    }
    node.core.spool().housekeep_once(node.now());
}

/// Has the log make so many routes that it forgets all on which nobody is owed anything.
fn forget_routes(node: &mut TestNode) {
    let mut transaction = node.core.spool().transaction(node.now());
    for n in 0..MANY + 8 {
        transaction.route(&[], &n.to_le_bytes()).unwrap();
    }
    transaction.finish();
    node.settle();
    keep_house(node);
    assert!(node.core.spool().status().routes < 8);
}
