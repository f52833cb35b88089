//! The power is cut at every flash operation of a life; then the device lives on.
//!
//! `POWER_CUT_SEEDS` lives are tried, each cut at each of its operations.

use super::{
    device::{Device, Misdeed},
    flash::{Driver, Fault},
    node::{EVERY, SEEDS},
};

const STEPS: u32 = 160;

fn seeds() -> u64 {
    std::env::var("POWER_CUT_SEEDS")
        .ok()
        .map_or(SEEDS, |seeds| {
            seeds.parse().expect("POWER_CUT_SEEDS is a number")
        })
}

/// A life, one that is cut, and another, with some seeds after the node has all: what was promised and not held, and whether the cut came.
pub(crate) fn life(seed: u64, cut_at: u64, fault: Fault, misdeed: Misdeed) -> (Vec<String>, bool) {
    let mut device = Device::new(seed);
    device.misdeed = misdeed;
    let mut driver = Driver::new();
    device.live(&driver, STEPS).expect("the power stays");
    driver = driver.power_on(seed);
    driver.begin(fault);
    driver.cut_at(cut_at);
    let is_cut = device.live(&driver, STEPS).is_err();
    driver = driver.power_on(seed ^ cut_at);
    if seed.is_multiple_of(2) {
        device.drain(&driver);
        driver = driver.power_on(seed);
    }
    device.live(&driver, 40).expect("the power stays");
    driver = driver.power_on(seed);
    device.drain(&driver);
    (device.broken_promises(), is_cut)
}

#[test]
fn no_cut_breaks_a_promise() {
    let mut cuts = 0;
    for seed in 0..seeds() {
        for cut_at in (seed..).step_by(EVERY) {
            let (broken, is_cut) = life(seed, cut_at, Fault::None, Misdeed::None);
            assert!(
                broken.is_empty(),
                "seed {seed}, cut at operation {cut_at}: {broken:#?}"
            );
            if !is_cut {
                break;
            }
            cuts += EVERY as u64;
        }
    }
    println!("{cuts} cuts, no promise broken");
    assert!(cuts > 300 * seeds(), "{cuts}");
}

/// What one outage has of events, in several boots: more than three pages hold.
const OUTAGE: [u32; 4] = [40, 25, 60, 50];

/// A life with the node, an outage over several boots, the last of which is cut, and the node again.
fn outage(seed: u64, cut_at: u64) -> (Vec<String>, bool) {
    let mut device = Device::new(seed);
    let mut driver = Driver::new();
    device.live(&driver, 40).expect("the power stays");
    driver = driver.power_on(seed);
    device.drain(&driver);
    for readings in OUTAGE {
        driver = driver.power_on(seed);
        device
            .live_alone(&driver, readings)
            .expect("the power stays");
    }
    driver = driver.power_on(seed);
    driver.cut_at(cut_at);
    let is_cut = device.live_alone(&driver, 90).is_err();
    driver = driver.power_on(seed ^ cut_at);
    device.live_alone(&driver, 12).expect("the power stays");
    driver = driver.power_on(seed);
    device.drain(&driver);
    (device.broken_promises(), is_cut)
}

#[test]
fn what_is_given_up_over_several_boots_is_reported_wherever_the_power_is_cut() {
    let mut cuts = 0;
    for seed in 0..seeds() {
        for cut_at in (seed..).step_by(EVERY) {
            let (broken, is_cut) = outage(seed, cut_at);
            assert!(
                broken.is_empty(),
                "seed {seed}, cut at operation {cut_at}: {broken:#?}"
            );
            if !is_cut {
                break;
            }
            cuts += EVERY as u64;
        }
    }
    println!("{cuts} cuts, all that was given up is reported");
    assert!(cuts > 30 * seeds(), "{cuts}");
}
