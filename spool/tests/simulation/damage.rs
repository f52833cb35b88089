//! Bits that flip at rest: damage is never served, never stops the start, and is in the ledger.

use spool::WhenFull;

use crate::{
    random::{Trouble, options, run},
    seeds,
    world::World,
};

#[test]
fn damage_is_never_served_never_stops_the_start_and_is_in_the_ledger() {
    seeds::each("damage_is_never_served", |seed| {
        let mut world = World::new(seed, options(seed, &[WhenFull::Refuse; 3]));
        run(
            &mut world,
            120,
            Trouble {
                crashes: seed % 2 == 0,
                faults: false,
                dead_letters: true,
            },
        );
        world.damaged = true;
        for _ in 0..4 {
            let count = world.rng.usize(1..6);
            world.storage.flip_bits(count);
            world.verify();
            if world.rng.bool() {
                world.crash();
            } else {
                world.close();
            }
            run(
                &mut world,
                20,
                Trouble {
                    crashes: false,
                    faults: false,
                    dead_letters: true,
                },
            );
        }
    });
}
