//! Who is welcome, and what is taken of whom.

use super::*;

#[test]
fn events_before_a_birth_or_of_an_unknown_kind_are_not_taken() {
    let mut node = node();
    let mut pump = Pump::connect(&mut node, "pump-7");
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    assert_eq!(pump.heard(&mut node), [Said::Asked(BirthReason::Missing)]);
    pump.send(
        &mut node,
        "b/pump-7",
        Birth {
            kinds: &[],
            ..birth(7)
        }
        .bytes(),
    );
    assert_eq!(
        pump.heard(&mut node),
        [Said::Asked(BirthReason::Missing)],
        "one kind is announced and none came"
    );
    let mut bytes = [0; 256];
    let kinds = encode_kinds(&[Announced::new(OTHER)], &mut bytes)
        .unwrap()
        .to_vec();
    pump.send(&mut node, "b/pump-7", kinds);
    pump.send(
        &mut node,
        "b/pump-7",
        Birth {
            kinds: &[],
            ..birth(7)
        }
        .bytes(),
    );
    assert_eq!(pump.heard(&mut node), [Said::Welcome(vec![(0, 0)])]);
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    assert_eq!(
        pump.heard(&mut node),
        [Said::Asked(BirthReason::UnknownKind)]
    );
    assert!(ids(&node).is_empty());
}

#[test]
fn behind_an_event_of_an_unknown_kind_nothing_is_taken_until_its_kind_is_announced() {
    let mut node = node();
    let mut bytes = [0; 256];
    let kinds = encode_kinds(&[Announced::new(OTHER)], &mut bytes);
    let kinds = kinds.unwrap().to_vec();
    let unannounced = Birth {
        kinds: &[],
        ..birth(7)
    };
    let mut pump = Pump::connect(&mut node, "pump-7");
    pump.send(&mut node, "b/pump-7", kinds.clone());
    pump.send(&mut node, "b/pump-7", unannounced.bytes());
    // Of an earlier boot, and of a kind that the birth left out; then one of the next boot.
    let other = Head {
        kind: OTHER.id(),
        ..head((8, 1), 11_000)
    };
    let mut bytes = [0; 64];
    let other = encode_event(&other, &[], &mut bytes).unwrap().to_vec();
    for payload in [single((7, 5)), other.clone()] {
        pump.send(&mut node, "d/pump-7", payload);
    }
    let welcome = Said::Welcome(vec![(0, 0)]);
    assert_eq!(
        pump.heard(&mut node),
        [welcome, Said::Asked(BirthReason::UnknownKind)]
    );
    assert!(ids(&node).is_empty());
    pump.send(&mut node, "b/pump-7", kinds);
    pump.send(&mut node, "b/pump-7", birth(7).bytes());
    for payload in [single((7, 5)), other] {
        pump.send(&mut node, "d/pump-7", payload);
    }
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(8, 1)])));
    let expected = [id(5), format!("00c0ffee00000008-{OUTBOX}-1")];
    assert_eq!(ids(&node), expected);
}

#[test]
fn a_birth_that_the_log_has_no_room_for_is_told_so_and_welcome_later() {
    let mut node = full_log::small();
    let mut pump = Pump::connect(&mut node, "pump-7");
    full_log::fill(&node);
    pump.send(&mut node, "b/pump-7", birth(7).bytes());
    let no_room = Said::BirthRefused(BirthRefusal::NoRoom, 10_000);
    assert_eq!(pump.heard(&mut node), [no_room]);
    full_log::make_room(&node);
    pump.send(&mut node, "b/pump-7", birth(7).bytes());
    assert_eq!(pump.heard(&mut node), [Said::Welcome(vec![(0, 0)])]);
}

pub(super) const OTHER: Kind<'static> = Kind {
    event_type: "pump.alarm",
    version: 1,
    fields: &[],
};

#[test]
fn at_the_bound_a_new_device_is_refused_and_a_known_one_is_not() {
    let mut node = node();
    for name in ["one", "two"] {
        let mut device = Pump::born(&mut node, name, &birth(7));
        assert_eq!(device.heard(&mut node), [Said::Welcome(vec![(0, 0)])]);
    }
    let mut third = Pump::born(&mut node, "three", &birth(7));
    let refused = Said::BirthRefused(BirthRefusal::Devices, 60_000);
    assert_eq!(third.heard(&mut node), [refused]);
    let mut again = Pump::born(&mut node, "one", &birth(8));
    assert_eq!(again.heard(&mut node), [Said::Welcome(vec![(0, 0)])]);
}

#[test]
fn another_version_is_told_what_the_node_speaks() {
    let mut node = node();
    let mut pump = Pump::connect(&mut node, "pump-7");
    pump.send(&mut node, "b/pump-7", vec![0b0110_0000, 3, 4]);
    assert_eq!(pump.heard(&mut node), [Said::NoVersion]);
}
