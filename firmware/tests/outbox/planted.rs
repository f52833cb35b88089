//! Faults that are planted are noticed.

use crate::{
    device::Misdeed,
    flash::{Fault, PAGE},
    power_cut::life,
};

/// Whether any of the first cuts of a few lives shows the fault.
fn shows(fault: Fault, misdeed: Misdeed) -> bool {
    (0..4).any(|seed| {
        (0..400).step_by(7).any(|cut_at| {
            let life = std::panic::catch_unwind(|| life(seed, cut_at, fault, misdeed));
            life.map_or(true, |(broken, _)| !broken.is_empty())
        })
    })
}

#[test]
fn events_that_are_removed_before_their_acknowledgement_are_missed() {
    assert!(shows(Fault::None, Misdeed::ForgetsWhatItSent));
}

#[test]
fn a_commit_that_returns_before_its_write_is_missed() {
    assert!(shows(Fault::WritesLate, Misdeed::None));
}

#[test]
fn a_boot_counter_that_is_not_stored_is_missed() {
    let store_end = u32::try_from(2 * PAGE).unwrap();
    assert!(shows(Fault::ForgetsBelow(store_end), Misdeed::None));
}

#[test]
fn faults_are_not_seen_where_there_are_none() {
    assert!(!shows(Fault::None, Misdeed::None));
}
