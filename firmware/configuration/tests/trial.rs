//! Settings that the node gives are tried, hold or are undone, with the power cut at every flash operation.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use configuration::{COPY_BYTES, Given, Kept, OpenError, Settings, Standing, Wifi, encode};
use embassy_futures::block_on;
use embedded_storage_async::nor_flash::NorFlash;
use flash_model::{Flash, Geometry, PowerCut};

type Chip = Flash<Vec<u8>, 1024, 4>;

/// The block is in the last two of three pages.
const START: u32 = 1024;

const OLD: Settings<'static> = Settings {
    id: "pump-7",
    host: "10.0.2.2",
    port: 1883,
    wifi: None,
    credentials: None,
};
const NEW: Settings<'static> = Settings {
    host: "192.168.1.10",
    port: 8883,
    ..OLD
};

/// What a start finds: the port tells which settings, and the node's number of them.
type Found = (u16, u32, Standing);

const BEFORE: Found = (OLD.port, 0, Standing::Holds);
const TRIED: Found = (NEW.port, 1, Standing::Trial);
const HELD: Found = (NEW.port, 1, Standing::Holds);
const UNDONE: Found = (OLD.port, 0, Standing::Undid(1));

#[test]
fn settings_are_stored_tried_and_hold_once_the_node_is_reached() {
    let mut chip = provisioned();
    assert_eq!(start(&mut chip), Ok(BEFORE));
    assert_eq!(give(&mut chip, 1, &NEW), Ok(Given::Stored));
    assert_eq!(confirmed(&mut chip), Ok(TRIED));
    assert_eq!(start(&mut chip), Ok(HELD));
    assert_eq!(give(&mut chip, 1, &NEW), Ok(Given::Held));
}

#[test]
fn settings_under_which_the_node_was_not_reached_are_undone_by_the_next_start() {
    let mut chip = provisioned();
    give(&mut chip, 1, &NEW).unwrap();
    assert_eq!(start(&mut chip), Ok(TRIED));
    for _ in 0..2 {
        assert_eq!(start(&mut chip), Ok(UNDONE));
        assert_eq!(
            give(&mut chip, 1, &NEW),
            Ok(Given::Undone),
            "once is enough"
        );
    }
    give(&mut chip, 2, &NEW).unwrap();
    assert_eq!(confirmed(&mut chip), Ok((NEW.port, 2, Standing::Trial)));
    assert_eq!(start(&mut chip), Ok((NEW.port, 2, Standing::Holds)));
}

#[test]
fn settings_follow_one_another_any_number_of_times() {
    let mut chip = provisioned();
    for version in 1..50 {
        let is_reached = version % 3 > 0;
        let before = start(&mut chip).unwrap();
        let port = 2000 + u16::try_from(version).unwrap();
        give(&mut chip, version, &Settings { port, ..OLD }).unwrap();
        let trial = Ok((port, version, Standing::Trial));
        if is_reached {
            assert_eq!(confirmed(&mut chip), trial);
            assert_eq!(start(&mut chip), Ok((port, version, Standing::Holds)));
        } else {
            assert_eq!(start(&mut chip), trial);
            let undone = (before.0, before.1, Standing::Undid(version));
            assert_eq!(start(&mut chip), Ok(undone));
        }
    }
}

#[test]
fn what_is_not_for_this_board_is_refused_and_nothing_is_written() {
    let wifi = Some(Wifi {
        ssid: "hall",
        passphrase: None,
    });
    let mut chip = provisioned();
    let before = chip.operations();
    for settings in [
        Settings {
            id: "pump-8",
            ..NEW
        },
        Settings { wifi, ..NEW },
    ] {
        assert_eq!(give(&mut chip, 1, &settings), Ok(Given::Malformed));
    }
    let mut copy = copy_of(&NEW);
    copy[20] ^= 1;
    for bytes in [&copy[..], &copy[..10], &[]] {
        let given = with(&mut chip, |kept, chip| block_on(kept.give(chip, 1, bytes)));
        assert_eq!(given, Ok(Given::Malformed));
    }
    assert_eq!(chip.operations(), before);
}

#[test]
fn settings_that_nothing_can_undo_are_worked_with() {
    let mut chip = provisioned();
    give(&mut chip, 1, &NEW).unwrap();
    block_on(chip.erase(START + 1024, START + 2048)).unwrap();
    for _ in 0..2 {
        assert_eq!(start(&mut chip), Ok(HELD), "there is nothing else");
    }
}

/// Every step is cut at each of its operations, and so is the start behind it.
#[test]
fn no_cut_leaves_a_board_with_settings_that_were_not_proven() {
    let store = |chip: &mut Chip| give(chip, 1, &NEW).map(|_| ());
    let try_out = |chip: &mut Chip| start(chip).map(drop);
    let hold = |chip: &mut Chip| confirmed(chip).map(drop);
    let stored = || {
        let mut chip = provisioned();
        store(&mut chip).unwrap();
        chip
    };
    let given = each_cut(provisioned, store);
    assert!(given.iter().all(|found| [BEFORE, TRIED].contains(found)));
    let tried = each_cut(stored, try_out);
    assert!(
        tried
            .iter()
            .all(|found| [BEFORE, TRIED, UNDONE].contains(found))
    );
    let held = each_cut(stored, hold);
    let known = [BEFORE, TRIED, UNDONE, HELD];
    assert!(held.iter().all(|found| known.contains(found)));
    for (finds, of) in [(given, TRIED), (tried, UNDONE), (held, HELD)] {
        assert!(finds.len() > 100, "{}", finds.len());
        assert_eq!(finds.last(), Some(&of), "the last one was not cut");
    }
}

/// What the starts find after `step` was cut at each of its operations in turn, the last time not at all; the first start
/// is cut in turn as well.
fn each_cut(
    before: impl Fn() -> Chip,
    step: impl Fn(&mut Chip) -> Result<(), PowerCut>,
) -> Vec<Found> {
    let mut finds = Vec::new();
    for seed in 0..8 {
        for cut_at in 0.. {
            let mut chip = before();
            chip.cut_at(cut_at);
            let is_cut = step(&mut chip).is_err();
            each_cut_start(&chip.into_memory(), seed, &mut finds);
            if !is_cut {
                break;
            }
        }
    }
    finds
}

fn each_cut_start(memory: &[u8], seed: u64, finds: &mut Vec<Found>) {
    for cut_at in 0.. {
        let mut chip = Chip::power_on(memory.to_vec(), seed);
        chip.cut_at(cut_at);
        let is_cut = start(&mut chip).is_err();
        let memory = if is_cut {
            chip.into_memory()
        } else {
            memory.to_vec()
        };
        let mut chip = Chip::power_on(memory, seed);
        let found = start(&mut chip).expect("a copy is whole");
        proven(found, &mut chip);
        finds.push(found);
        if !is_cut {
            break;
        }
    }
}

/// A start behind a trial that nobody confirmed is one with the settings before; any other finds what the last one found.
fn proven(found: Found, chip: &mut Chip) {
    let due = if found == TRIED { UNDONE } else { found };
    assert_eq!(start(chip), Ok(due));
}

/// A board that works with [`OLD`], and beside that has what it worked with before.
fn provisioned() -> Chip {
    let mut chip = Chip::format(vec![0; Geometry::<1024, 4>::memory_len(3)]);
    let mut older = [0; COPY_BYTES];
    encode(&Settings { port: 1, ..OLD }, 1, &mut older).unwrap();
    block_on(chip.write(START, &older)).unwrap();
    block_on(chip.write(START + 1024, &copy_of(&OLD))).unwrap();
    Chip::power_on(chip.into_memory(), 0)
}

fn copy_of(settings: &Settings<'_>) -> [u8; COPY_BYTES] {
    let mut copy = [0; COPY_BYTES];
    encode(settings, 2, &mut copy).unwrap();
    copy
}

fn start(chip: &mut Chip) -> Result<Found, PowerCut> {
    with(chip, |kept, _| Ok(found(kept)))
}

/// A start on which the node is reached.
fn confirmed(chip: &mut Chip) -> Result<Found, PowerCut> {
    with(chip, |kept, chip| {
        let before = found(kept);
        block_on(kept.confirm(chip))?;
        Ok(before)
    })
}

fn give(chip: &mut Chip, version: u32, settings: &Settings<'_>) -> Result<Given, PowerCut> {
    let copy = copy_of(settings);
    with(chip, |kept, chip| block_on(kept.give(chip, version, &copy)))
}

fn found(kept: &Kept<'_>) -> Found {
    (kept.settings.port, kept.version(), kept.standing())
}

fn with<T>(
    chip: &mut Chip,
    work: impl FnOnce(&mut Kept<'_>, &mut Chip) -> Result<T, PowerCut>,
) -> Result<T, PowerCut> {
    let mut bytes = [0; COPY_BYTES];
    match block_on(Kept::open(chip, START, &mut bytes)) {
        Ok(mut kept) => work(&mut kept, chip),
        Err(OpenError::Flash(cut)) => Err(cut),
        Err(error) => panic!("{error}"),
    }
}
