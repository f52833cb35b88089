//! A run with a checkpoint, cleaning and the replacement of segments, stopped at every single operation.

use std::time::Duration;

use spool::{Kind, Lane, Start, WhenFull};

use crate::{random::options, world::World};

#[test]
fn crash_at_any_operation_of_checkpoint_cleaning_and_replacement_loses_nothing() {
    let operations = {
        let mut world = World::new(0, options(0, &[WhenFull::Refuse; 3]));
        run(&mut world);
        assert!(
            world.storage.counters().directory_changes > 30,
            "segments are made, replaced and removed"
        );
        world.storage.operations()
    };
    for operation in 0..operations {
        for variant in 0..2 {
            let mut world = World::new(operation * 2 + variant, options(0, &[WhenFull::Refuse; 3]));
            // Opening took operations of its own.
            world
                .storage
                .crash_at(operation.saturating_sub(world.storage.operations()));
            run(&mut world);
            if world.crashes == 0 {
                world.crash();
            }
            world.require_room_after_draining();
        }
    }
}

#[test]
fn failure_of_any_operation_delays_and_loses_nothing() {
    let operations = {
        let mut world = World::new(0, options(0, &[WhenFull::Refuse; 3]));
        run(&mut world);
        world.storage.operations()
    };
    for operation in 0..operations {
        let mut world = World::new(operation, options(0, &[WhenFull::Refuse; 3]));
        world.faults = true;
        world
            .storage
            .fail_at(operation.saturating_sub(world.storage.operations()));
        run(&mut world);
        world.recover_from_faults();
        world.verify();
        world.crash();
        world.require_room_after_draining();
    }
}

#[test]
fn checkpoint_waits_for_the_commit_of_what_it_covers() {
    for seed in 0..20 {
        let mut world = World::new(seed, options(seed, &[WhenFull::Refuse; 3]));
        world.append(Kind::State, 0, &[], 100).unwrap();
        world.commit();
        world.append(Kind::State, 0, &[], 100).unwrap();
        world.checkpoint();
        world.spool.housekeep_once(world.now);
        world.crash();
        world.commit();
        world.checkpoint();
        world.housekeep();
        world.crash();
    }
}

#[test]
fn cursor_that_a_crash_took_before_its_creation_was_committed_moves_no_other() {
    for seed in 0..20 {
        let mut world = World::new(seed, options(seed, &[WhenFull::Refuse; 3]));
        let uplink = world.create_cursor("uplink", Start::Now, None);
        world.append(Kind::Event, 0, &[uplink], 100).unwrap();
        world.commit();
        // While the disk takes no commit, the marks find their way into their file.
        for _ in 0..40 {
            world.append(Kind::Event, 0, &[uplink], 100).unwrap();
        }
        let taken = world.create_cursor("taken", Start::Now, None);
        world.drain(uplink, 1, 0.0);
        world.pass(Duration::from_secs(2));
        world.spool.housekeep_once(world.now);
        world.crash();
        assert!(!world.model.cursors.contains_key(&taken));
        let session = world.create_cursor("session", Start::Now, None);
        for _ in 0..20 {
            world.append(Kind::Event, 0, &[session], 100).unwrap();
        }
        world.commit();
        world.crash();
        assert_eq!(world.read(session, 100).unwrap().len(), 20, "seed {seed}");
    }
}

/// Two lanes of which one is drained at once, so that every segment becomes mostly dead and is rewritten, several
/// checkpoints, and enough bytes to go around the bound once.
fn run(world: &mut World) {
    let slow = world.create_cursor("slow", Start::Now, None);
    let fast = world.create_cursor("fast", Start::Now, None);
    for round in 0..60 {
        let appends: Vec<_> = (0..12)
            .map(|n| match n {
                0 => (Kind::EventAndState, Lane(0), vec![slow], 200),
                1 => (Kind::State, Lane(0), vec![], 50),
                _ => (Kind::Event, Lane(1), vec![fast], 2_000),
            })
            .collect();
        if !world.model.cursors.contains_key(&slow) || !world.model.cursors.contains_key(&fast) {
            return; // the crash came before the cursors were committed
        }
        world.transact(&appends, &[]);
        world.commit();
        stopped(world);
        if world.model.cursors.contains_key(&fast) {
            world.drain(fast, 100, 0.0);
        }
        world.pass(Duration::from_millis(400));
        world.housekeep();
        stopped(world);
        if round % 10 == 9 {
            world.checkpoint();
            world.housekeep();
            stopped(world);
        }
    }
    world.verify();
}

fn stopped(world: &mut World) {
    if world.storage.crashed() {
        world.crash();
    }
}
