//! Sectors that cannot be read, for good or for a while: nothing of them is served damaged, none stops a start, what is gone
//! is in the ledger, and what comes back in time is as it was.

use std::time::Duration;

use spool::{CursorId, LossReason, Seq, StorageError, WhenFull};

use crate::{
    random::{Trouble, options, run},
    seeds,
    world::{ALL, World},
};

/// No sector of a run is found, waited for and settled later than this.
const SETTLED_WITHIN: Duration = Duration::from_secs(15 * 60);
const SECTOR: usize = 512;
const QUIET: Trouble = Trouble {
    crashes: false,
    faults: false,
    dead_letters: true,
};

#[test]
fn what_cannot_be_read_is_never_served_never_stops_the_start_and_is_in_the_ledger() {
    seeds::each("what_cannot_be_read", |seed| {
        let mut world = World::new(seed, options(seed, &[WhenFull::Refuse; 3]));
        let crashes = Trouble {
            crashes: seed % 2 == 0,
            ..QUIET
        };
        run(&mut world, 120, crashes);
        world.damaged = true;
        for _ in 0..4 {
            spoil_sectors(&mut world);
            world.verify();
            match world.rng.u8(..3) {
                0 => world.crash(),
                1 => world.close(),
                _ => settle(&mut world),
            }
            run(&mut world, 20, QUIET);
            if world.rng.u8(..3) == 0 {
                world.storage.restore_sectors();
            }
        }
        settle(&mut world);
        world.storage.restore_sectors();
        world.close();
        world.require_room_after_draining();
    });
}

#[test]
fn what_can_be_read_again_within_a_minute_is_as_it_was() {
    seeds::each("what_can_be_read_again", |seed| {
        let mut world = World::new(seed, options(seed, &[WhenFull::Refuse; 3]));
        run(&mut world, 120, QUIET);
        for _ in 0..3 {
            spoil_sectors(&mut world);
            run(&mut world, 20, QUIET);
            for _ in 0..world.rng.u8(..15) {
                pass(&mut world);
            }
            world.storage.restore_sectors();
            // The next look finds it.
            for _ in 0..4 {
                pass(&mut world);
            }
            world.unreadable = false;
            world.verify();
            let ledger = world.spool.status().ledger;
            let damage = |reason| matches!(reason, LossReason::Damaged | LossReason::TailCut);
            assert!(
                !ledger.iter().any(|loss| damage(loss.reason)),
                "{ledger:#?}"
            );
        }
        world.crash();
        world.require_room_after_draining();
    });
}

/// Up to five places, each for good or for some reads, or up to half of a segment.
fn spoil_sectors(world: &mut World) {
    world.unreadable = true;
    if world.rng.bool() {
        spoil_block(world);
        return;
    }
    for _ in 0..world.rng.u8(1..6) {
        let reads = world.rng.bool().then(|| world.rng.u32(1..60));
        world.storage.spoil_sectors(1, reads);
    }
}

fn spoil_block(world: &mut World) {
    let files = world.storage.files().into_iter();
    let segments: Vec<_> = files
        .filter(|(name, _)| name.ends_with(".segment"))
        .collect();
    let Some((name, bytes)) = world.rng.choice(&segments) else {
        return;
    };
    // A disk of which little more answers counts as away.
    world.storage.restore_sectors();
    let sectors = bytes.len() / SECTOR;
    let len = world.rng.usize(1..=sectors / 2);
    let first = world.rng.usize(..=sectors - len);
    for sector in first..first + len {
        world.storage.spoil_sector_at(name, sector * SECTOR, None);
    }
}

/// Waits until every reader gets on, as each does in the end.
fn settle(world: &mut World) {
    let until = world.now.0 + SETTLED_WITHIN.as_millis() as u64;
    while let Some(error) = unsettled(world) {
        assert!(world.now.0 < until, "{error}: {:#?}", world.spool.status());
        pass(world);
    }
    world.unreadable = false;
    world.verify();
    // Who starts at the oldest record may meet others.
    world.unreadable = true;
}

/// What a reader is told instead of what it is to have.
fn unsettled(world: &World) -> Option<StorageError> {
    let mut cursors = world.model.cursors.keys();
    let pinned = world.pinned.iter();
    let mut pinned = pinned.filter_map(|seq| world.spool.read_at(Seq(*seq)).err());
    cursors
        .find_map(|id| unread(world, *id))
        .or_else(|| pinned.next())
}

fn unread(world: &World, id: CursorId) -> Option<StorageError> {
    let mut after = Seq::ZERO;
    loop {
        match world.spool.read(id, after, ALL) {
            Ok(batch) if batch.at_end => return None,
            Ok(batch) => after = batch.next,
            Err(error) => return Some(error),
        }
    }
}

fn pass(world: &mut World) {
    world.pass(Duration::from_secs(2));
    world.housekeep();
    world.commit();
}
