//! What is known of devices, and forgotten.

use wire::birth::{Loss, LossReason as Cause, encode_report};

use super::*;
use crate::node::{
    devices::{DeviceError, DevicePage, DeviceRequest, DeviceStatus, DevicesQuery, ReportedStatus},
    handle::Request,
};

fn report(losses: &[(Cause, u64)]) -> Vec<u8> {
    let losses: Vec<_> = losses
        .iter()
        .map(|(reason, count)| Loss {
            stream: stream(),
            reason: *reason,
            count: *count,
        })
        .collect();
    let mut bytes = [0; 256];
    let report = encode_report(11_000, &losses, &mut bytes);
    report.unwrap().to_vec()
}

fn shown(node: &TestNode, name: &str) -> DeviceStatus {
    let status = node.core.broker().device_status(name, node.now());
    status.unwrap()
}

fn reported(node: &TestNode) -> Vec<(String, u64)> {
    let reported = shown(node, "pump-7").reported.into_iter();
    let named = |it: ReportedStatus| {
        assert_eq!(it.stream, OUTBOX);
        (it.cause, it.count)
    };
    reported.map(named).collect()
}

fn page(node: &TestNode, after: &str, limit: usize) -> DevicePage {
    let query = DevicesQuery {
        after: after.to_owned(),
        limit,
    };
    node.core.broker().device_page(&query, node.now())
}

fn remove(node: &mut TestNode, name: &str) -> Result<(), DeviceError> {
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    let device = name.to_owned();
    node.core
        .handle_request(Request::Devices(DeviceRequest::Remove { device, reply }));
    node.settle();
    let removed = answer.try_recv().unwrap();
    removed.map(|seq| assert!(seq > Seq::ZERO && seq <= node.core.spool().status().committed))
}

#[test]
fn what_a_device_says_it_lost_is_summed_up_over_its_boots() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    for losses in [
        &[(Cause::Ring, 3)][..],
        &[(Cause::Ring, 5), (Cause::Unreadable, 1)],
        &[(Cause::Ring, 5), (Cause::Unreadable, 1)],
    ] {
        pump.send(&mut node, "b/pump-7", report(losses));
    }
    node.settle();
    assert_eq!(pump.hear(&mut node).0, [ReasonCode::Success; 4]);
    let sums = |ring| [("ring".to_owned(), ring), ("unreadable".to_owned(), 1)];
    assert_eq!(reported(&node), sums(5));
    let mut node = node.crash();
    assert_eq!(reported(&node), sums(5), "from the log");
    let mut pump = Pump::born(&mut node, "pump-7", &birth(8));
    for count in [2, 3] {
        pump.send(&mut node, "b/pump-7", report(&[(Cause::Ring, count)]));
    }
    node.settle();
    let node = node.restart();
    assert_eq!(reported(&node), sums(8), "from the checkpoint");
    assert_eq!(
        node.lost(LossReason::LostAtDevice),
        0,
        "its sequences count"
    );
}

#[test]
fn a_report_that_says_nothing_new_is_not_written() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.send(&mut node, "b/pump-7", report(&[(Cause::Outbox, 3)]));
    node.settle();
    let appended = node.core.spool().status().appended;
    pump.send(&mut node, "b/pump-7", report(&[(Cause::Outbox, 3)]));
    node.settle();
    assert_eq!(node.core.spool().status().appended, appended);
    assert_eq!(
        node.core.broker().devices_status().reported,
        [("outbox".to_owned(), 3)].into()
    );
}

#[test]
fn a_report_before_a_birth_is_not_taken() {
    let mut node = node();
    drop(Pump::born(&mut node, "pump-7", &birth(7)));
    let mut pump = Pump::connect(&mut node, "pump-7");
    pump.send(&mut node, "b/pump-7", report(&[(Cause::Ring, 3)]));
    node.settle();
    let reasons = pump.hear(&mut node).0;
    assert_eq!(reasons, [ReasonCode::ImplementationSpecificError]);
    assert_eq!(reported(&node), []);
}

#[test]
fn devices_are_told_of_page_by_page_with_how_they_are() {
    let mut node = node();
    let one = Pump::born(&mut node, "one", &birth(7));
    let mut two = Pump::born(&mut node, "two", &birth(8));
    two.send(&mut node, "d/two", single((8, 3)));
    node.settle();
    node.wait(5_000);
    node.drop_connection(one.client);
    let first = page(&node, "", 1);
    assert_eq!(first.next.as_deref(), Some("one"));
    let second = page(&node, "one", 1);
    assert_eq!(second.next, None);
    let seen: Vec<_> = [first, second]
        .into_iter()
        .flat_map(|page| page.devices)
        .map(|it| {
            (
                it.id,
                it.connected,
                it.seen_ms.unwrap() / 1000,
                it.boot,
                it.lost,
            )
        })
        .collect();
    let two = ("two".to_owned(), true, 5, 8, 2);
    assert_eq!(seen, [("one".to_owned(), false, 5, 7, 0), two]);
    let node = node.restart();
    let two = shown(&node, "two");
    assert_eq!((two.summary.seen_ms, two.summary.connected), (None, false));
    assert_eq!(two.summary.firmware, "1.4.2");
    assert_eq!((two.streams[0].boot, two.streams[0].seq), (8, 3));
    assert_eq!(two.kinds[0].r#type, "pump.reading");
}

#[test]
fn a_device_that_is_away_can_be_removed_and_makes_place() {
    let mut node = node();
    let one = Pump::born(&mut node, "one", &birth(7));
    drop(Pump::born(&mut node, "two", &birth(7)));
    let device = "one".to_owned();
    assert_eq!(
        remove(&mut node, "one"),
        Err(DeviceError::Connected { device })
    );
    let device = "three".to_owned();
    assert_eq!(
        remove(&mut node, "three"),
        Err(DeviceError::Unknown { device })
    );
    node.drop_connection(one.client);
    assert_eq!(remove(&mut node, "one"), Ok(()));
    let mut node = node.crash();
    assert_eq!(page(&node, "", 9).devices.len(), 1);
    let mut three = Pump::born(&mut node, "three", &birth(7));
    assert_eq!(three.heard(&mut node), [Said::Welcome(vec![(0, 0)])]);
}
