//! Random runs: every promise of the log, with crashes between and inside any two operations.

use std::time::Duration;

use spool::{
    CursorId, Kind, Lane, LaneOptions, LossReason, Options, Seq, Start, WhenFull,
    storage::simulated::Faults,
};

use crate::{
    model::is_event,
    seeds,
    world::{ALL, World},
};

#[test]
fn acknowledged_records_survive_crashes_in_order_and_once_per_cursor() {
    seeds::each("acknowledged_records_survive_crashes", |seed| {
        let mut world = World::new(seed, options(seed, &[WhenFull::Refuse; 3]));
        run(
            &mut world,
            250,
            Trouble {
                crashes: true,
                faults: false,
                dead_letters: true,
            },
        );
        world.require_room_after_draining();
    });
}

#[test]
fn acknowledged_records_survive_failing_full_and_stalling_disks() {
    seeds::each("acknowledged_records_survive_failing", |seed| {
        let mut world = World::new(
            seed,
            options(
                seed,
                &[WhenFull::Refuse, WhenFull::Reject, WhenFull::Refuse],
            ),
        );
        run(
            &mut world,
            250,
            Trouble {
                crashes: true,
                faults: true,
                dead_letters: true,
            },
        );
        world.recover_from_faults();
        world.require_room_after_draining();
    });
}

#[test]
fn lanes_that_make_room_lose_nothing_but_what_the_ledger_says() {
    seeds::each("lanes_that_make_room", |seed| {
        let policies = [
            WhenFull::Refuse,
            WhenFull::LowestLaneFirst,
            WhenFull::DropOldest,
        ];
        let mut world = World::new(seed, options(seed, &policies));
        run(
            &mut world,
            250,
            Trouble {
                crashes: seed % 2 == 0,
                faults: false,
                dead_letters: false,
            },
        );
        world.verify();
        for (lane, options) in (0..).zip(world.options.lanes.clone()) {
            let lost_records = world.model.lost_of_lane(Lane(lane));
            let entered = lost(&world, LossReason::DroppedForRoom, &options.name);
            assert_eq!(
                lost_records.len() as u64,
                entered,
                "{} lost {lost_records:?}",
                options.name
            );
        }
        world.require_room_after_draining();
    });
}

/// What may go wrong in a run besides bounds.
#[derive(Clone, Copy)]
pub struct Trouble {
    pub crashes: bool,
    pub faults: bool,
    /// Transactions acknowledge. What is given up while one waits counts as lost, although it then is acknowledged.
    pub dead_letters: bool,
}

pub fn options(seed: u64, policies: &[WhenFull]) -> Options {
    let segment_bytes = 64 << 10;
    let names = ["alarm", "normal", "bulk"].into_iter().zip(policies);
    Options {
        bound_bytes: Some(segment_bytes * (14 + seed % 12)),
        min_free_percent: 0,
        segment_bytes: Some(segment_bytes as u32),
        lanes: names
            .map(|(name, when_full)| LaneOptions {
                name: name.into(),
                when_full: *when_full,
            })
            .collect(),
        waiting_bytes: 128 << 10,
    }
}

pub fn run(world: &mut World, steps: usize, trouble: Trouble) {
    for name in ["uplink", "session"] {
        if world.spool.cursor(name).is_none() {
            world.create_cursor(name, Start::Now, None);
        }
    }
    // Some runs are busy enough to fill the log, others keep it nearly empty.
    let busy = world.rng.u8(1..8);
    for _ in 0..steps {
        step(world, busy, trouble);
        if world.storage.crashed() {
            world.crash();
        }
    }
    world.verify();
    world.recover_from_faults();
}

fn step(world: &mut World, busy: u8, trouble: Trouble) {
    let kind = world.rng.u8(..100);
    match kind {
        0..36 => append(world, busy, trouble),
        36..56 => world.commit(),
        56..66 => {
            let pass = world.rng.u64(..700);
            world.pass(Duration::from_millis(pass));
            world.housekeep();
        }
        66..80 => drain(world),
        80..83 => world.checkpoint(),
        83..86 => {
            let count = world.rng.usize(1..4);
            world.take_back(count);
        }
        86..88 => change_cursors(world),
        88..91 => change_pins(world),
        91..94 => look_around(world),
        94..96 => world.verify(),
        // A start waits for no sector.
        96 if world.rng.u8(..3) == 0 && !world.unreadable => world.close(),
        97 if trouble.crashes => world.crash(),
        98 if trouble.crashes => {
            let operation = world.rng.u64(..12);
            world.storage.crash_at(operation);
        }
        99 if trouble.faults => change_faults(world),
        _ => world.commit(),
    }
}

fn append(world: &mut World, busy: u8, trouble: Trouble) {
    let ids: Vec<CursorId> = world.model.cursors.keys().copied().collect();
    for _ in 0..world.rng.u8(..busy) {
        let mut appends = Vec::new();
        for _ in 0..world.rng.usize(1..6) {
            let kind = match world.rng.u8(..8) {
                0 => Kind::State,
                1 => Kind::EventAndState,
                _ => Kind::Event,
            };
            let owed_to: Vec<CursorId> = match is_event(kind) {
                true => ids
                    .iter()
                    .copied()
                    .filter(|_| world.rng.u8(..5) < 3)
                    .collect(),
                false => Vec::new(),
            };
            let len = if world.rng.u8(..20) == 0 {
                world.rng.usize(8..20_000)
            } else {
                world.rng.usize(8..1_500)
            };
            appends.push((kind, Lane(world.rng.u8(..3)), owed_to, len));
        }
        // Like a dead letter: what one cursor is done with is appended for others in the same transaction.
        let mut acks = Vec::new();
        if let Some(id) = world
            .rng
            .choice(&ids)
            .copied()
            .filter(|_| trouble.dead_letters && world.rng.u8(..4) == 0)
        {
            let entries = world.read(id, 2).unwrap_or_default();
            acks.extend(
                entries
                    .iter()
                    .filter(|entry| entry.owed)
                    .map(|entry| (id, entry.seq.0)),
            );
        }
        world.transact(&appends, &acks);
    }
}

fn drain(world: &mut World) {
    let ids: Vec<CursorId> = world.model.cursors.keys().copied().collect();
    let Some(id) = world.rng.choice(&ids).copied() else {
        return;
    };
    let (count, skip) = (
        world.rng.usize(1..200),
        if world.rng.bool() { 0.0 } else { 0.3 },
    );
    world.drain(id, count, skip);
}

fn change_cursors(world: &mut World) {
    if world.model.cursors.len() < 5 {
        return create_cursor(world);
    }
    // It leaves with what waits for it and what it acknowledged, or behind it.
    if world.rng.bool() {
        world.commit();
    }
    world.verify();
    if world.storage.crashed() {
        return;
    }
    let there = world.model.cursors.keys().copied();
    let staying: Vec<CursorId> = there.filter(|id| !world.model.is_leaving(*id)).collect();
    if let Some(id) = world.rng.choice(&staying).copied() {
        let name = world.model.cursors[&id].name.clone();
        let owed = world.model.debt(id);
        let before = lost(world, LossReason::SessionEnded, &name);
        world.remove_cursor(id, Some(LossReason::SessionEnded));
        world.commit();
        if world.model.waiting.is_empty() && !world.damaged {
            assert_eq!(
                lost(world, LossReason::SessionEnded, &name),
                before + owed,
                "what {name} was owed"
            );
        }
    }
}

/// Creates a cursor, behind what waits for a commit.
fn create_cursor(world: &mut World) {
    if world.is_waiting_full() {
        return;
    }
    let name = format!("cursor-{}", world.model.next_serial);
    world.model.next_serial += 1;
    let start = match world.rng.u8(..3) {
        0 => Start::Now,
        1 => Start::Oldest,
        _ => {
            let last = world.rng.u64(..=world.model.committed);
            let first = Seq(world.rng.u64(..=last));
            Start::History {
                first,
                last: Seq(last),
            }
        }
    };
    world.create_cursor(&name, start, None);
}

pub fn lost(world: &World, reason: LossReason, scope: &str) -> u64 {
    let ledger = world.spool.status().ledger;
    ledger
        .iter()
        .filter(|loss| loss.reason == reason && loss.scope == scope)
        .map(|loss| loss.count)
        .sum()
}

fn change_pins(world: &mut World) {
    if world.pinned.len() > 5 {
        let seq = *world.pinned.first().unwrap();
        world.pinned.remove(&seq);
        world.spool.unpin(Seq(seq));
        return;
    }
    if let Ok(seq) = world.append(Kind::EventAndState, 0, &[], 300) {
        world.spool.pin(seq);
        world.pinned.insert(seq.0);
        world.commit();
        if world.model.committed < seq.0 {
            world.spool.unpin(seq);
            world.pinned.remove(&seq.0);
        }
    }
}

/// Reads that do not go through a cursor give what is there, and miss nothing that must be.
fn look_around(world: &mut World) {
    let from = Seq(world.rng.u64(..=world.model.committed));
    // What a bound took meanwhile is lost, and no longer live.
    world.verify();
    let live = world.model.live();
    let (mut after, mut seen) = (from, Vec::new());
    loop {
        let Ok(batch) = world.spool.scan(after, ALL) else {
            return;
        };
        for entry in batch.entries {
            world.model.check(&entry);
            assert!(
                is_event(entry.kind) && entry.seq >= from && entry.seq.0 <= world.model.committed
            );
            assert!(
                seen.last().is_none_or(|last| *last < entry.seq.0),
                "a scan goes in order"
            );
            seen.push(entry.seq.0);
        }
        after = batch.next;
        if batch.at_end {
            break;
        }
    }
    if world.damaged
        || world
            .options
            .lanes
            .iter()
            .any(|lane| lane.when_full != WhenFull::Refuse)
    {
        return;
    }
    if let Some(missed) = live.range(from.0..).find(|seq| !seen.contains(seq)) {
        panic!("{missed} is owed to somebody and not in a scan from {from:?}");
    }
    for seq in live.iter().take(3) {
        match world.spool.read_at(Seq(*seq)) {
            Ok(entry) => world.model.check(&entry.expect("what is owed is there")),
            Err(error) => assert!(world.may_fail(&error), "{error}"),
        }
    }
}

fn change_faults(world: &mut World) {
    if world.faults && world.rng.bool() {
        return world.recover_from_faults();
    }
    let mut rate = || {
        if world.rng.u8(..3) == 0 {
            world.rng.f64() * 0.5
        } else {
            0.0
        }
    };
    let (write, sync, read, directory) = (rate(), rate(), rate() / 10.0, rate());
    let stall_at_most = Duration::from_secs(5);
    world.set_faults(Faults {
        write,
        sync,
        read,
        directory,
        stall: 0.1,
        stall_at_most,
    });
    if world.rng.u8(..3) == 0 {
        world.faults = true;
        let capacity = world.rng.u64(..1 << 21);
        world.storage.set_capacity(capacity);
    }
    let stalled = world.storage.take_stalled();
    world.pass(stalled);
}
