//! What is due is bounded by what is there, however often it comes and goes.

use super::harness::*;
use crate::mqtt::packet::{Connect, Packet, QoS};

#[test]
fn a_session_has_one_end_and_a_closed_connection_no_silence() {
    let mut node = TestNode::new();
    let slow = |connect: Connect| Connect {
        keep_alive: u16::MAX,
        ..with_will(connect, "will", 1_000_000)
    };
    for _ in 0..20 {
        let client = node.connect(slow(durable("reader")));
        node.drop_connection(client);
    }
    // Its end and its will.
    assert_eq!(node.core.broker().timers.len(), 2);

    for n in 0..20 {
        let name = format!("passer-by-{n}");
        let client = node.connect(slow(durable(&name)));
        node.drop_connection(client);
        let client = node.connect(v5(&name));
        node.drop_connection(client);
    }
    assert_eq!(node.core.broker().timers.len(), 2);
}

#[test]
fn what_is_retained_expires_in_a_run_that_began_without_it() {
    let mut node = TestNode::new();
    let device = node.connect(v5("pump"));
    let retained = change_publish(publish("job/1", "x", QoS::AtLeastOnce, 1), |it| {
        it.retain = true;
    });
    node.send(&device, expiring(retained, 60));
    node.pass(120_000);
    assert_eq!(node.lost(spool::LossReason::Expired), 1);
    let mut reader = node.connect(v5("reader"));
    let suback = node.subscribe(&mut reader, "job/#", QoS::AtLeastOnce);
    assert!(matches!(suback, Packet::SubAck(_)));
    assert_eq!(reader.messages(&mut node), []);
}
