//! Events that never come, in the ledger once.

use super::*;

#[test]
fn what_a_birth_says_is_gone_is_in_the_ledger_once() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.send(&mut node, "d/pump-7", batch((7, 1), 3));
    node.settle();
    // Boot 7 committed 10; of these 4 to 6 are gone, and of boot 8 the first two.
    for oldest in [(7, 7), (8, 3), (8, 3)] {
        let born = Birth {
            last: (7, 10),
            oldest,
            ..birth(8)
        };
        let mut pump = Pump::born(&mut node, "pump-7", &born);
        if oldest == (7, 7) {
            pump.send(&mut node, "d/pump-7", batch((7, 7), 4));
            node.settle();
        }
    }
    assert_eq!(node.lost(LossReason::LostAtDevice), 3 + 2);
    assert_eq!(node.core.broker().devices().get("pump-7").unwrap().lost, 5);
}

/// What a node has of a stream, what the birth after it says, the events that come then, and how many are lost.
struct Loss {
    has: &'static [(u32, u64)],
    says: Birth,
    come: &'static [(u32, u64)],
    lost: u64,
}

#[test]
fn what_a_birth_announces_and_no_jump_shows_is_in_the_ledger_once() {
    let says = |last, oldest, dropped| Birth {
        last,
        oldest,
        dropped,
        ..birth(8)
    };
    let cases = [
        // Behind all that is left of the boot before.
        Loss {
            has: &[(7, 1)],
            says: says((7, 2), (7, 2), &[((7, 3), (7, 3))]),
            come: &[(7, 2), (8, 1)],
            lost: 1,
        },
        // What was being written when the power went.
        Loss {
            has: &[(7, 1)],
            says: Birth {
                reason: wire::birth::LossReason::Unreadable,
                ..says((7, 2), (7, 2), &[((7, 3), (7, 3))])
            },
            come: &[(7, 2), (8, 1)],
            lost: 0,
        },
        // Between events that come.
        Loss {
            has: &[(7, 1)],
            says: says((7, 4), (7, 2), &[((7, 3), (7, 3))]),
            come: &[(7, 2), (7, 4), (8, 1)],
            lost: 1,
        },
        // Before the oldest, of the same boot.
        Loss {
            has: &[(7, 1)],
            says: says((7, 9), (7, 5), &[((7, 2), (7, 4))]),
            come: &[(7, 5)],
            lost: 3,
        },
        // Boots of which nothing is left.
        Loss {
            has: &[(4, 10)],
            says: says(
                (7, 200),
                (7, 81),
                &[((4, 11), (4, 100)), ((5, 1), (5, 50)), ((7, 1), (7, 80))],
            ),
            come: &[(7, 81)],
            lost: 90 + 50 + 80,
        },
        // All that the last boot left.
        Loss {
            has: &[(7, 1)],
            says: says((7, 3), (8, 1), &[((7, 2), (7, 3))]),
            come: &[(8, 1)],
            lost: 2,
        },
        // Another node has what came before.
        Loss {
            has: &[],
            says: says((7, 900), (7, 501), &[]),
            come: &[(7, 501)],
            lost: 0,
        },
        Loss {
            has: &[],
            says: says((7, 900), (7, 501), &[((7, 401), (7, 500))]),
            come: &[(7, 501)],
            lost: 100,
        },
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let mut node = node();
        if let Some((boot, seq)) = case.has.first().copied() {
            let mut pump = Pump::born(&mut node, "pump-7", &birth(boot));
            pump.send(&mut node, "d/pump-7", batch((boot, 1), seq));
            node.settle();
        }
        for repeat in 0..2 {
            Pump::born(&mut node, "pump-7", &case.says);
            node = match repeat {
                0 => node.crash(),
                _ => node.restart(),
            };
        }
        let mut pump = Pump::born(&mut node, "pump-7", &case.says);
        for place in case.come {
            pump.send(&mut node, "d/pump-7", single(*place));
        }
        node.settle();
        let lost = node.core.broker().devices().get("pump-7").unwrap().lost;
        let ledger = node.lost(LossReason::LostAtDevice);
        assert_eq!((lost, ledger), (case.lost, case.lost), "case {number}");
    }
}

#[test]
fn a_jump_is_counted_and_a_wide_one_asks_for_the_birth() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    pump.hear(&mut node);
    pump.send(&mut node, "d/pump-7", single((7, 4)));
    assert_eq!(pump.heard(&mut node), [Said::Ack(vec![(7, 4)])]);
    assert_eq!(node.lost(LossReason::LostAtDevice), 3);
    let far = 5 + wire::MAX_JUMP + 1;
    pump.send(&mut node, "d/pump-7", single((7, far)));
    assert_eq!(pump.heard(&mut node), [Said::Asked(BirthReason::Jump)]);
    let announced = Birth {
        oldest: (7, far),
        ..birth(7)
    };
    let mut pump = Pump::born(&mut node, "pump-7", &announced);
    pump.send(&mut node, "d/pump-7", single((7, far)));
    assert_eq!(pump.heard(&mut node).pop(), Some(Said::Ack(vec![(7, far)])));
    assert_eq!(node.lost(LossReason::LostAtDevice), 3 + wire::MAX_JUMP + 1);
}
