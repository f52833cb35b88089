//! Routes that are forgotten and made again.

use spool::{Start, WhenFull};

use crate::{
    random::{self, Trouble},
    seeds,
    world::World,
};

#[test]
fn nothing_is_lost_where_routes_are_forgotten_and_made_again() {
    seeds::each("nothing_is_lost_where_routes", |seed| {
        let options = random::options(seed, &[WhenFull::Refuse; 3]);
        let mut world = World::new(seed, options);
        world.terms = 200;
        world.create_cursor("bounded", Start::Now, Some(1 << 40));
        let trouble = Trouble {
            crashes: true,
            faults: seed % 3 == 0,
            dead_letters: true,
        };
        random::run(&mut world, 250, trouble);
        world.require_room_after_draining();
    });
}
