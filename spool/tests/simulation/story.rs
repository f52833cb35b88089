//! A seed tells the same story, whatever was told before it in the same process.

use spool::WhenFull;

use crate::{
    random::{self, Trouble},
    world::World,
};

#[test]
fn a_seed_tells_the_same_story_again() {
    let seeds = [4, 9, 898];
    let first = seeds.map(story);
    let again = seeds.map(story);
    for ((seed, first), again) in seeds.iter().zip(&first).zip(&again) {
        assert!(first == again, "seed {seed} tells another story");
    }
    assert!(first[0] != first[1], "two seeds tell the same");
}

/// What is left on the disk in the end, byte by byte, and what chance would bring next.
fn story(seed: u64) -> impl PartialEq {
    let policies = [
        WhenFull::Refuse,
        WhenFull::LowestLaneFirst,
        WhenFull::DropOldest,
    ];
    let mut world = World::new(seed, random::options(seed, &policies));
    world.terms = 50;
    let trouble = Trouble {
        crashes: true,
        faults: true,
        dead_letters: true,
    };
    random::run(&mut world, 250, trouble);
    let next = world.rng.u64(..);
    (world.storage.files(), next, fastrand::u64(..))
}
