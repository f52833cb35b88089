//! How far the node is in the streams of a device, and what it says of that.

use super::*;

#[test]
fn an_acknowledgement_waits_for_the_commit() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.hear(&mut node);
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    assert_eq!(pump.hear(&mut node), (vec![], vec![]));
    node.commit();
    let (acks, heard) = pump.hear(&mut node);
    assert_eq!(acks, [ReasonCode::Success]);
    assert_eq!(heard, [Said::Ack(vec![(7, 1)])]);
}

#[test]
fn a_mark_is_in_the_commit_of_its_event() {
    for committed in [false, true] {
        let mut node = node();
        let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
        pump.send(&mut node, "d/pump-7", single((7, 1)));
        if committed {
            node.commit();
        }
        let mut node = node.crash();
        let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
        let mark = if committed { (7, 1) } else { (0, 0) };
        assert_eq!(pump.heard(&mut node), [Said::Welcome(vec![mark])]);
        pump.send(&mut node, "d/pump-7", single((7, 1)));
        assert_eq!(pump.heard(&mut node), [Said::Ack(vec![(7, 1)])]);
        assert_eq!(ids(&node), [id(1)], "once, committed before: {committed}");
    }
}

#[test]
fn marks_survive_in_the_checkpoint() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    node.settle();
    let mut node = node.restart();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    assert_eq!(pump.heard(&mut node), [Said::Welcome(vec![(7, 1)])]);
}

#[test]
fn acknowledgements_are_cumulative_and_20_ms_apart() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.hear(&mut node);
    let mut heard = Vec::new();
    for seq in 1..=10 {
        pump.send(&mut node, "d/pump-7", single((7, seq)));
        node.pass(3);
        heard.push(pump.hear(&mut node).1);
    }
    let acks: Vec<_> = heard.concat_marks();
    assert_eq!(acks, [(7, 1), (7, 7)], "at 0 and 20 ms");
    assert_eq!(pump.heard(&mut node), [Said::Ack(vec![(7, 10)])]);
}

trait Marks {
    fn concat_marks(self) -> Vec<(u32, u64)>;
}

impl Marks for Vec<Vec<Said>> {
    fn concat_marks(self) -> Vec<(u32, u64)> {
        let marks = self.into_iter().flatten().flat_map(|said| match said {
            Said::Ack(marks) => marks,
            other => panic!("{other:?}"),
        });
        marks.collect()
    }
}

#[test]
fn a_repeat_is_dropped_and_acknowledged_again() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    for _ in 0..3 {
        pump.send(&mut node, "d/pump-7", single((7, 1)));
        let last = pump.heard(&mut node).pop();
        assert_eq!(last, Some(Said::Ack(vec![(7, 1)])));
    }
    assert_eq!(ids(&node), [id(1)]);
    assert_eq!(node.core.broker().devices_status().repeats, 2);
}

#[test]
fn what_a_birth_does_not_name_is_a_repeat_as_long_as_there_are_places() {
    let mut node = node();
    let of = |incarnation| Birth {
        incarnation,
        ..birth(7)
    };
    for incarnation in 1..=64 {
        let mut pump = Pump::born(&mut node, "pump-7", &of(incarnation));
        pump.send(&mut node, "d/pump-7", single((7, 1)));
        node.pass(1_000);
    }
    let mut node = node.restart();
    assert_eq!(events(&node).len(), 64);
    let earlier = |incarnation| {
        let head = Head {
            incarnation: Some(incarnation),
            ..head((7, 1), 11_000)
        };
        let mut bytes = [0; 64];
        let event = encode_event(&head, &celsius(1), &mut bytes);
        event.unwrap().to_vec()
    };
    let mut pump = Pump::born(&mut node, "pump-7", &of(64));
    pump.send(&mut node, "d/pump-7", earlier(1));
    node.settle();
    assert_eq!(events(&node).len(), 64, "the first of them");
    // One outbox more needs the place of the one that was silent the longest.
    let mut pump = Pump::born(&mut node, "pump-7", &of(65));
    for incarnation in 2..=64 {
        pump.send(&mut node, "d/pump-7", earlier(incarnation));
    }
    node.settle();
    assert_eq!(events(&node).len(), 64, "all but the first");
    let streams = node
        .core
        .broker()
        .devices()
        .get("pump-7")
        .unwrap()
        .streams();
    assert_eq!(streams.count(), 64);
}

#[test]
fn of_a_batch_that_is_partly_there_the_rest_is_stored() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    let mut local = node.connect(v5("local"));
    node.subscribe(&mut local, &format!("{DEVICES}/d/+"), QoS::AtLeastOnce);
    pump.send(&mut node, "d/pump-7", batch((7, 1), 2));
    pump.send(&mut node, "d/pump-7", batch((7, 2), 3));
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, 4)])));
    assert_eq!(ids(&node), [1, 2, 3, 4].map(id));
    let celsius: Vec<_> = events(&node)
        .iter()
        .map(|it| it.data_bytes().to_vec())
        .collect();
    assert_eq!(celsius[3], br#"{"celsius":4}"#);
    let heard = take_publishes(&mut node, &mut local);
    let payloads: Vec<_> = heard.iter().map(|it| it.payload.to_vec()).collect();
    assert_eq!(
        payloads,
        [batch((7, 1), 2), batch((7, 2), 3)],
        "as it came, once each"
    );
}
