//! A node that nobody uses: the disk, often a card that wears, is left alone.

use super::harness::*;
use crate::mqtt::packet::QoS;

#[test]
fn a_node_idle_for_ten_minutes_writes_nothing() {
    let mut node = TestNode::new();
    let mut away = node.connect(durable("away"));
    node.subscribe(&mut away, "t", QoS::AtLeastOnce);
    node.drop_connection(away);
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    let mut device = node.connect(v5("pump"));
    for n in 1..=100 {
        node.publish(&mut device, "t", "reading", QoS::AtLeastOnce, n);
    }
    assert_eq!(reader.messages(&mut node).len(), 100);

    let settled = pass_seconds(&mut node, 10);
    let later = pass_seconds(&mut node, 600);

    assert!(settled.syncs >= 100, "{settled:?}");
    assert_eq!(
        (later.bytes_written, later.syncs),
        (settled.bytes_written, settled.syncs)
    );
    assert_eq!(
        (later.directory_changes, later.directory_syncs),
        (settled.directory_changes, settled.directory_syncs)
    );
}

fn pass_seconds(node: &mut TestNode, seconds: u64) -> spool::storage::simulated::Counters {
    for _ in 0..seconds {
        node.pass(1_000);
        node.core.spool().housekeep_once(node.now());
        node.settle();
    }
    node.storage.counters()
}
