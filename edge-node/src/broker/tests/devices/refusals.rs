//! What finds no room in the log, and comes again.

use super::*;

#[test]
fn after_a_refusal_nothing_later_is_taken_until_the_event_returns() {
    let (mut node, _filler) = full_node();
    let mut pump = Pump::connect(&mut node, "pump-7");
    pump.send(&mut node, "b/pump-7", birth(7).bytes());
    let heard = pump.heard(&mut node);
    assert_eq!(heard, [Said::Welcome(vec![(0, 0)])]);
    pump.send(&mut node, "d/pump-7", batch((7, 1), 20));
    let (acks, heard) = {
        node.pass(100);
        pump.hear(&mut node)
    };
    assert_eq!(acks, [ReasonCode::QuotaExceeded]);
    assert_eq!(heard, [Said::Refused(RefusalReason::NoRoom, (7, 1))]);
    make_room(&mut node);
    pump.send(&mut node, "d/pump-7", single((7, 21)));
    let behind = Said::Refused(RefusalReason::NoRoom, (7, 1));
    assert_eq!(
        pump.heard(&mut node),
        [behind],
        "not before those of the batch"
    );
    pump.send(&mut node, "d/pump-7", batch((7, 1), 20));
    pump.send(&mut node, "d/pump-7", single((7, 21)));
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, 21)])));
    assert_eq!(node.core.broker().devices_status().events, 21);
}

#[test]
fn of_a_batch_that_is_more_than_a_transaction_holds_what_fits_is_taken_and_the_rest_returns() {
    let mut node = TestNode::with_sink(1, limits(), |options| {
        options.segment_bytes = Some(256 << 10)
    });
    node.settle();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.hear(&mut node);
    // Sixteen records with their data twice, and the first with the whole message: more than a segment takes at once.
    pump.send(&mut node, "d/pump-7", large_batch((7, 1), 16));
    let refused = Said::Refused(RefusalReason::NoRoom, (7, 15));
    let taken = Said::Ack(vec![(7, 14)]);
    assert_eq!(pump.heard(&mut node), [refused, taken]);
    assert_eq!(ids(&node).len(), 14);
    pump.send(&mut node, "d/pump-7", single((7, 17)));
    let behind = Said::Refused(RefusalReason::NoRoom, (7, 15));
    assert_eq!(pump.heard(&mut node), [behind], "not before the rest");
    pump.send(&mut node, "d/pump-7", large_batch((7, 15), 2));
    pump.send(&mut node, "d/pump-7", single((7, 17)));
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, 17)])));
    assert_eq!(ids(&node), (1..=17).map(id).collect::<Vec<_>>());
    assert_eq!(node.lost(LossReason::LostAtDevice), 0);
}

#[test]
fn a_batch_whose_message_is_more_than_a_transaction_holds_is_refused_for_good_and_in_the_ledger() {
    let mut node = TestNode::with_sink(1, limits(), |options| {
        options.segment_bytes = Some(64 << 10)
    });
    node.settle();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    node.settle();
    pump.hear(&mut node);
    // Two are missing, one is there; its record would hold the whole message.
    for (first, refused) in [((7, 4), (7, 4)), ((7, 15), (7, 20))] {
        pump.send(&mut node, "d/pump-7", large_batch(first, 16));
        let last = (7, first.1 + 15);
        let size = Said::Refused(RefusalReason::Size, refused);
        assert_eq!(pump.heard(&mut node), [size, Said::Ack(vec![last])]);
    }
    pump.send(&mut node, "d/pump-7", single((7, 31)));
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, 31)])));
    assert_eq!(ids(&node), [1, 31].map(id));
    let lost = |node: &TestNode| {
        let reasons = [LossReason::Rejected, LossReason::LostAtDevice];
        let device = node.core.broker().devices().get("pump-7").unwrap();
        (reasons.map(|reason| node.lost(reason)), device.lost)
    };
    assert_eq!(lost(&node), ([16 + 11, 2], 2 + 16 + 11));
    let mut node = node.crash();
    assert_eq!(lost(&node).1, 2 + 16 + 11);
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    assert_eq!(pump.heard(&mut node), [Said::Welcome(vec![(7, 31)])]);
}

fn large_batch(first: (u32, u64), count: u64) -> Vec<u8> {
    let mut bytes = vec![0; wire::MAX_MESSAGE];
    let mut batch = BatchEncoder::new(&head(first, 11_000), &mut bytes).unwrap();
    for _ in 0..count {
        batch.push(11_000, &[0; 4_000]).unwrap();
    }
    batch.finish().to_vec()
}
