//! What the log has no room for leaves nothing behind.

use bytes::Bytes;

use super::harness::*;
use crate::mqtt::packet::{Connect, Packet, QoS, ReasonCode};

/// Sizes of what is asked for, so that it is refused at its first record, and at its second alone.
const SIZES: [usize; 7] = [60_000, 20_000, 4_000, 1_000, 200, 40, 1];

#[test]
fn a_refused_connect_leaves_no_cursor_behind() {
    let mut node = small();
    let mut accepted = 0;
    for size in SIZES {
        let before = cursors(&node).len();
        let refused = fill(&mut node, size);
        let name = format!("session/{refused}");
        assert!(node.core.spool().cursor(&name).is_none(), "{size}");
        accepted += cursors(&node).len() - before;
        let status = node.core.broker().sessions_status();
        let open = (status.connected + status.offline) as usize;
        assert_eq!((cursors(&node).len(), open), (accepted, accepted), "{size}");
    }
    assert!(accepted > SIZES.len(), "{accepted}");
}

#[test]
fn a_refused_shared_subscription_leaves_no_cursor_behind() {
    let mut node = small();
    for size in SIZES {
        fill(&mut node, size);
    }
    let before = cursors(&node);
    for size in SIZES.into_iter().filter(|size| *size <= 20_000) {
        let client = node.connect(v5("member"));
        let filter = format!("$share/group/{}", "f".repeat(size));
        node.send(&client, subscribe(&filter, QoS::AtLeastOnce));
        node.settle();
        assert!(node.is_closed(&client), "{size}");
        assert_eq!(cursors(&node), before, "{size}");
    }
}

/// A node with room for little.
fn small() -> TestNode {
    TestNode::with_options(|options| options.bound_bytes = Some(4 << 20))
}

/// Sessions with wills of this size come until one is refused; its client.
fn fill(node: &mut TestNode, size: usize) -> String {
    let mut numbers = 0..1_000;
    let refused = numbers.find_map(|number| {
        let client = format!("{size}-{number:03}");
        let answer = node.try_connect(with_payload(durable(&client), size)).1;
        match answer {
            Some(Packet::ConnAck(ack)) if ack.reason == ReasonCode::Success => None,
            Some(Packet::ConnAck(ack)) => {
                assert_eq!(ack.reason, ReasonCode::QuotaExceeded);
                Some(client)
            }
            other => panic!("{other:?}"),
        }
    });
    refused.expect("the bound is met")
}

fn with_payload(connect: Connect, bytes: usize) -> Connect {
    let mut connect = with_will(connect, "will", 0);
    if let Some(will) = &mut connect.will {
        will.payload = Bytes::from(vec![b'x'; bytes]);
    }
    connect
}

/// Names of the cursors of sessions and groups.
fn cursors(node: &TestNode) -> Vec<String> {
    let cursors = node.core.spool().status().cursors;
    cursors.into_iter().map(|cursor| cursor.name).collect()
}
