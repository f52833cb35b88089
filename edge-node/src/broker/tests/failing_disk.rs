//! A disk that takes nothing: no acknowledgement is false, what needs no disk goes on, and nothing has to be restarted.

use spool::storage::simulated::Faults;

use super::harness::*;
use crate::{
    mqtt::packet::{Ack, Packet, QoS},
    node::status::NodeHealth,
};

#[test]
fn while_syncs_fail_nothing_is_acknowledged_and_local_delivery_goes_on_until_the_disk_is_back() {
    let mut node = TestNode::new();
    let mut away = node.connect(durable("away"));
    node.subscribe(&mut away, "t", QoS::AtLeastOnce);
    node.drop_connection(away);
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "t", QoS::ExactlyOnce);
    let mut device = node.connect(v5("pump"));
    assert_eq!(node.status().health, NodeHealth::Ok);

    node.storage.set_faults(Faults {
        sync: 1.0,
        ..Faults::default()
    });
    node.send(&device, publish("t", "0", QoS::AtMostOnce, 0));
    node.send(&device, publish("t", "1", QoS::AtLeastOnce, 1));
    node.send(&device, publish("t", "2", QoS::ExactlyOnce, 2));
    for _ in 0..3 {
        node.commit();
        node.read();
    }
    assert_eq!(device.all(&mut node), []);
    let seen = reader.messages(&mut node).into_iter();
    let seen: Vec<String> = seen.map(|(_, payload)| payload).collect();
    assert_eq!(seen, ["0", "1"], "QoS 2 waits for the disk");
    let NodeHealth::Failing { reasons } = node.status().health else {
        panic!("{:?}", node.status().health)
    };
    assert!(
        reasons[0].starts_with("the disk does not take what it is given: "),
        "{reasons:?}"
    );

    node.storage.set_faults(Faults::default());
    node.settle();
    let answers = [
        Packet::PubAck(Ack::success(id(1))),
        Packet::PubRec(Ack::success(id(2))),
    ];
    assert_eq!(device.all(&mut node), answers);
    assert_eq!(node.status().health, NodeHealth::Ok);
    let mut node = node.crash();
    let mut away = node.connect(durable("away"));
    assert_eq!(take_all(&mut node, &mut away), ["1", "2"]);
}

#[test]
fn what_was_never_acknowledged_by_a_failing_disk_is_not_taken_for_stored_after_a_crash() {
    let mut node = TestNode::new();
    let mut device = node.connect(durable("pump"));
    node.storage.set_faults(Faults {
        sync: 1.0,
        ..Faults::default()
    });
    node.send(&device, publish("t", "1", QoS::ExactlyOnce, 5));
    for _ in 0..3 {
        node.commit();
    }
    assert_eq!(device.all(&mut node), []);
    node.storage.set_faults(Faults::default());
    let mut node = node.crash();
    let mut reader = node.connect(v5("reader"));
    node.subscribe(&mut reader, "t", QoS::AtMostOnce);
    let mut device = node.connect(durable("pump"));
    let again = change_publish(publish("t", "1", QoS::ExactlyOnce, 5), |publish| {
        publish.dup = true
    });
    node.send(&device, again);
    node.settle();
    assert_eq!(device.all(&mut node), [Packet::PubRec(Ack::success(id(5)))]);
    assert!(reader.messages(&mut node).len() <= 1);
}
