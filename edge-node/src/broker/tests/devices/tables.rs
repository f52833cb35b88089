//! Tables that a device has lost, though it holds events of their kind.

use super::{births::OTHER, *};

const BOTH: &[Announced<'static>] = &[Announced::new(READING), Announced::new(OTHER)];

/// An event of the kind whose table the births of this device leave out.
fn of_other(place: Place) -> Vec<u8> {
    let head = Head {
        kind: OTHER.id(),
        ..head(place, 11_000)
    };
    let mut bytes = [0; 64];
    let event = encode_event(&head, &[], &mut bytes);
    event.unwrap().to_vec()
}

/// Sends it, is asked for the table, and is born without, so often.
fn ask_in_vain(node: &mut TestNode, pump: &mut Pump, times: usize) {
    for _ in 0..times {
        pump.send(node, "d/pump-7", of_other((7, 1)));
        let asked = Said::Asked(BirthReason::UnknownKind);
        assert_eq!(pump.heard(node), [asked]);
        pump.send(node, "b/pump-7", birth(7).bytes());
        assert_eq!(pump.heard(node), [Said::Welcome(vec![(0, 0)])]);
    }
}

#[test]
fn an_event_whose_table_three_births_did_not_bring_is_taken_as_opaque_data_in_its_turn() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.hear(&mut node);
    ask_in_vain(&mut node, &mut pump, 3);
    pump.send(&mut node, "d/pump-7", of_other((7, 1)));
    pump.send(&mut node, "d/pump-7", single((7, 2)));
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, 2)])));
    assert_eq!(ids(&node), [1, 2].map(id));
    let opaque = events(&node).remove(0);
    assert_eq!(opaque.r#type, "edge.device.opaque.v1");
    assert_eq!(opaque.data_bytes(), b"");
    let reason = opaque.extension_text("invalidreason").unwrap();
    let [low, high] = OTHER.id().0;
    let kind = format!("announced no kind {high:02x}{low:02x}");
    assert!(reason.contains(&kind), "{reason}");
    assert_eq!(node.core.broker().devices_status().invalid, 1);
    assert_eq!(node.lost(LossReason::LostAtDevice), 0);
}

#[test]
fn a_table_that_comes_with_the_third_birth_is_used() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.hear(&mut node);
    ask_in_vain(&mut node, &mut pump, 2);
    let whole = Birth {
        kinds: BOTH,
        ..birth(7)
    };
    for announced in [whole, birth(7)] {
        pump.send(&mut node, "b/pump-7", announced.bytes());
    }
    pump.send(&mut node, "d/pump-7", of_other((7, 1)));
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, 1)])));
    assert_eq!(events(&node)[0].r#type, "pump.alarm");
    assert_eq!(node.core.broker().devices_status().invalid, 0);
}
