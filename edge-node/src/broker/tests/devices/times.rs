//! When events of devices happened.

use super::*;

const SECOND_MS: u64 = 1_000;
const DAY_MS: u64 = 86_400 * SECOND_MS;

/// An event of this place, uptime and data.
fn at(place: (u32, u64), uptime_ms: u64) -> Vec<u8> {
    let mut bytes = [0; 64];
    let event = encode_event(&head(place, uptime_ms), &celsius(1), &mut bytes);
    event.unwrap().to_vec()
}

fn time_ms(event: &Event) -> u64 {
    let time = filters::timestamp_millis(event.time.as_deref().unwrap()).unwrap();
    u64::try_from(time).unwrap()
}

fn is_synced(event: &Event) -> bool {
    event.extension_text("timequality").is_none()
}

/// The clock of a device that booted at `booted_ms` and runs 100 ppm slow.
fn slow(node: &TestNode, booted_ms: u64) -> u64 {
    let true_ms = node.now().0 - booted_ms;
    true_ms - true_ms / 10_000
}

#[test]
fn what_an_earlier_boot_has_left_gets_the_time_by_which_that_boot_was_last_known() {
    let mut node = node();
    let booted_ms = node.now().0;
    node.wait(SECOND_MS);
    let uptime_ms = slow(&node, booted_ms);
    let mut pump = Pump::born(
        &mut node,
        "pump-7",
        &Birth {
            uptime_ms,
            ..birth(7)
        },
    );
    // For thirty days it sends something every ten minutes, and its clock falls 259 s behind.
    for seq in 1..=30 * 144 {
        node.wait(600 * SECOND_MS);
        let uptime_ms = slow(&node, booted_ms);
        pump.send(&mut node, "d/pump-7", at((7, seq), uptime_ms));
        node.commit();
        pump.hear(&mut node);
    }
    // No time of its stream is near this one's.
    node.wait(600 * SECOND_MS);
    let (happened_ms, uptime_ms) = (node.now().0, slow(&node, booted_ms));
    node.wait(60 * SECOND_MS);
    let mut pump = Pump::born(&mut node, "pump-7", &birth(8));
    pump.send(&mut node, "d/pump-7", at((7, 30 * 144 + 1), uptime_ms));
    node.settle();
    let event = last_event(&node);
    assert_eq!(event.id, id(30 * 144 + 1));
    let error_ms = time_ms(&event).abs_diff(happened_ms);
    assert!(error_ms <= SECOND_MS, "{error_ms} ms");
    assert!(
        !is_synced(&event),
        "the node did not hear it from that boot"
    );
}

/// The event stored last.
fn last_event(node: &TestNode) -> Event {
    let appended = node.core.spool().status().appended;
    let entry = node.core.spool().read_at(appended).unwrap().unwrap();
    view::event(&entry).unwrap().event
}

#[test]
fn an_event_that_waited_longer_than_clocks_agree_is_marked() {
    let mut node = node();
    node.wait(2 * DAY_MS);
    let uptime_ms = DAY_MS;
    let mut pump = Pump::born(
        &mut node,
        "pump-7",
        &Birth {
            uptime_ms,
            ..birth(7)
        },
    );
    let now_ms = node.now().0;
    for (seq, ago_ms) in [(1, 3 * 3_600 * SECOND_MS), (2, 1_800 * SECOND_MS)] {
        pump.send(&mut node, "d/pump-7", at((7, seq), uptime_ms - ago_ms));
    }
    node.settle();
    let found: Vec<_> = events(&node)
        .iter()
        .map(|event| ((now_ms - time_ms(event)) / SECOND_MS, is_synced(event)))
        .collect();
    assert_eq!(found, [(3 * 3_600, false), (1_800, true)]);
}

#[test]
fn a_birth_that_was_slow_on_its_way_does_not_move_the_boot() {
    let mut node = node();
    node.wait(DAY_MS);
    let booted_ms = node.now().0;
    node.wait(10 * SECOND_MS);
    drop(Pump::born(&mut node, "pump-7", &birth(7)));
    node.wait(60 * SECOND_MS);
    // It says an uptime of eight seconds before.
    let uptime_ms = 62 * SECOND_MS;
    let mut pump = Pump::born(
        &mut node,
        "pump-7",
        &Birth {
            uptime_ms,
            ..birth(7)
        },
    );
    pump.send(&mut node, "d/pump-7", at((7, 1), uptime_ms));
    node.settle();
    let error_ms = time_ms(&events(&node)[0]).abs_diff(booted_ms + uptime_ms);
    assert!(error_ms <= 200, "{error_ms} ms");
}

#[test]
fn times_within_a_stream_never_go_back() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    // The birth of the next boot is quick, those of the one before were late: what boot 7 still has comes first.
    pump.send(&mut node, "d/pump-7", single((7, 1)));
    node.pass(60_000);
    let again = Birth {
        uptime_ms: 50_000,
        last: (7, 1),
        ..birth(8)
    };
    let mut pump = Pump::born(&mut node, "pump-7", &again);
    for seq in 1..=3 {
        let uptime_ms = [1_000, 40_000, 39_000][usize::try_from(seq - 1).unwrap()];
        pump.send(&mut node, "d/pump-7", at((8, seq), uptime_ms));
    }
    node.settle();
    let times: Vec<_> = events(&node)
        .iter()
        .map(|it| it.time.clone().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let distinct: BTreeSet<_> = times.iter().collect();
    assert_eq!((times.len(), distinct.len()), (4, 3), "{times:?}");
}
