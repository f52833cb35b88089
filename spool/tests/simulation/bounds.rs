//! What happens at the bounds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use spool::{
    Full, Head, Health, Kind, Lane, LossReason, NodeTime, RouteId, Seq, Spool, Start, WhenFull,
    storage::simulated::{Faults, Simulated},
};

use crate::{
    model::Model,
    random::{lost, options},
    world::{World, commit_all},
};

const REFUSE: [WhenFull; 3] = [WhenFull::Refuse; 3];
const ALARM: u8 = 0;
const NORMAL: u8 = 1;
const BULK: u8 = 2;

#[test]
fn alarm_finds_room_when_the_lanes_below_are_full() {
    let mut world = World::new(1, options(1, &REFUSE));
    let uplink = world.create_cursor("uplink", Start::Now, None);
    assert_eq!(
        fill(&mut world, BULK, &[uplink]),
        Full::Bound {
            when_full: WhenFull::Refuse
        }
    );
    world.append(Kind::Event, NORMAL, &[uplink], 1_000).unwrap();
    fill(&mut world, NORMAL, &[uplink]);
    for _ in 0..10 {
        world.append(Kind::Event, ALARM, &[uplink], 1_000).unwrap();
    }
    world.commit();
    let lanes = world.spool.status().lanes;
    assert_eq!(
        lanes.iter().map(|lane| lane.full).collect::<Vec<_>>(),
        [false, true, true]
    );
    world.verify();
    world.require_room_after_draining();
}

#[test]
fn full_lane_says_what_its_policy_is_and_loses_nothing() {
    for policy in [WhenFull::Refuse, WhenFull::Reject] {
        let mut world = World::new(2, options(2, &[WhenFull::Refuse, policy, WhenFull::Refuse]));
        let uplink = world.create_cursor("uplink", Start::Now, None);
        assert_eq!(
            fill(&mut world, NORMAL, &[uplink]),
            Full::Bound { when_full: policy }
        );
        world.verify();
        assert_eq!(world.spool.status().ledger, vec![]);
    }
}

#[test]
fn records_owed_to_nobody_make_room_and_are_no_loss() {
    let mut world = World::new(3, options(3, &REFUSE));
    let bound = world.options.bound_bytes.unwrap();
    for _ in 0..3 * bound / 1_000 {
        world
            .append(Kind::Event, BULK, &[], 1_000)
            .expect("history is never a reason to refuse");
        world.commit();
        world.housekeep();
    }
    let status = world.spool.status();
    assert_eq!(status.ledger, vec![]);
    assert!(status.oldest.0 > 1, "the oldest went first");
    assert!(
        status.used_bytes > bound / 2,
        "{} of {bound} bytes of history are kept",
        status.used_bytes
    );
}

#[test]
fn drop_oldest_gives_up_exactly_the_oldest_of_its_lane_and_enters_them() {
    let mut world = World::new(
        4,
        options(
            4,
            &[WhenFull::Refuse, WhenFull::Refuse, WhenFull::DropOldest],
        ),
    );
    let uplink = world.create_cursor("uplink", Start::Now, None);
    let alarm = world.append(Kind::Event, ALARM, &[uplink], 1_000).unwrap();
    let mut bulk = Vec::new();
    for _ in 0..3 * world.options.bound_bytes.unwrap() / 1_000 {
        bulk.push(append_in_time(&mut world, BULK, uplink));
    }
    let kept: Vec<Seq> = world
        .read(uplink, usize::MAX)
        .unwrap()
        .iter()
        .map(|entry| entry.seq)
        .collect();
    assert_eq!(kept[0], alarm, "no other lane gives anything up");
    let gone = bulk.len() - (kept.len() - 1);
    assert_eq!(bulk[gone], kept[1].0, "the oldest go first");
    let loss = &world.spool.status().ledger[0];
    assert_eq!(
        (loss.reason, loss.scope.as_str()),
        (LossReason::DroppedForRoom, "bulk")
    );
    assert_eq!(
        (loss.count, loss.first.0, loss.last.0),
        (gone as u64, bulk[0], bulk[gone - 1])
    );
    world.verify();
    world.crash();
    assert_eq!(
        lost(&world, LossReason::DroppedForRoom, "bulk"),
        gone as u64,
        "the ledger is durable"
    );
}

#[test]
fn lowest_lane_gives_up_first() {
    let mut world = World::new(5, options(5, &[WhenFull::LowestLaneFirst; 3]));
    let uplink = world.create_cursor("uplink", Start::Now, None);
    for lane in [NORMAL, BULK] {
        for _ in 0..100 {
            world.append(Kind::Event, lane, &[uplink], 1_000).unwrap();
        }
        world.commit();
    }
    while lost(&world, LossReason::DroppedForRoom, "normal") == 0 {
        append_in_time(&mut world, ALARM, uplink);
    }
    assert_eq!(
        lost(&world, LossReason::DroppedForRoom, "bulk"),
        100,
        "all of the lowest lane went before"
    );
    assert_eq!(lost(&world, LossReason::DroppedForRoom, "alarm"), 0);
    world.verify();
}

#[test]
fn session_over_its_bound_loses_its_oldest_and_no_other_cursor_does() {
    let mut world = World::new(6, options(6, &REFUSE));
    let session = world.create_cursor("session", Start::Now, Some(50_000));
    let uplink = world.create_cursor("uplink", Start::Now, None);
    let appended: Vec<Seq> = (0..200)
        .map(|n| {
            let seq = world
                .append(Kind::Event, NORMAL, &[session, uplink], 1_000)
                .unwrap();
            if n % 4 == 3 {
                world.commit();
                world.housekeep();
            }
            seq
        })
        .collect();
    let kept: Vec<Seq> = world
        .read(session, usize::MAX)
        .unwrap()
        .iter()
        .map(|entry| entry.seq)
        .collect();
    assert!(
        (40..=50).contains(&kept.len()),
        "{} records of 1,000 bytes in a bound of 50,000",
        kept.len()
    );
    assert_eq!(kept, appended[200 - kept.len()..], "the newest stay");
    assert_eq!(
        lost(&world, LossReason::SessionBound, "session"),
        200 - kept.len() as u64
    );
    assert_eq!(world.read(uplink, usize::MAX).unwrap().len(), 200);
    world.verify();
    // The giving up is in the ledger at once, and durable with the next commit.
    world.append(Kind::State, ALARM, &[], 10).unwrap();
    world.commit();
    world.crash();
    assert_eq!(
        lost(&world, LossReason::SessionBound, "session"),
        200 - kept.len() as u64
    );
}

#[test]
fn log_that_is_full_to_its_bound_closes_and_goes_on_where_it_stopped() {
    for seed in 0..12 {
        let mut world = World::new(seed, options(seed, &REFUSE));
        let uplink = world.create_cursor("uplink", Start::Now, None);
        fill(&mut world, ALARM, &[uplink]);
        world.ack(uplink, &[Seq(1)]);
        while world.append(Kind::State, ALARM, &[], 1_000).is_ok() {
            world.commit();
            world.housekeep();
        }
        // Acknowledgements are not refused, full or not, until not even a commit finds room.
        while world.is_healthy() {
            let mut transaction = world.spool.transaction(world.now);
            (0..2_000).for_each(|_| transaction.ack(uplink, Seq(1)));
            transaction.finish();
            world.spool.commit_once();
        }
        world.close();
        assert_eq!(world.crashes, 0, "seed {seed}: a clean stop works");
        world.require_room_after_draining();
    }
}

#[test]
fn disk_that_fills_up_acknowledges_nothing_false_and_goes_on_once_there_is_room() {
    let mut world = World::new(7, options(7, &REFUSE));
    let uplink = world.create_cursor("uplink", Start::Now, None);
    world.commit();
    world.faults = true;
    let used: u64 = world
        .storage
        .files()
        .values()
        .map(|bytes| bytes.len() as u64)
        .sum();
    world.storage.set_capacity(used);
    let mut refused = 0;
    for _ in 0..400 {
        refused += u32::from(world.append(Kind::Event, NORMAL, &[uplink], 1_000).is_err());
        world.spool.commit_once();
        world.now.0 += 100;
        world.spool.housekeep_once(world.now);
        world.observe();
    }
    assert!(refused > 0, "without room nothing is taken");
    world.verify();
    world.recover_from_faults();
    world.append(Kind::Event, NORMAL, &[uplink], 1_000).unwrap();
    world.commit();
    world.verify();
    world.crash();
}

#[test]
fn failed_sync_acknowledges_nothing_until_the_bytes_are_in_another_file() {
    for seed in 0..20 {
        let mut world = World::new(seed, options(seed, &REFUSE));
        let uplink = world.create_cursor("uplink", Start::Now, None);
        world.append(Kind::Event, NORMAL, &[uplink], 1_000).unwrap();
        world.commit();
        let before = world.spool.committed();
        world.set_faults(Faults {
            sync: 1.0,
            ..Faults::default()
        });
        let seq = world.append(Kind::Event, NORMAL, &[uplink], 1_000).unwrap();
        world.spool.commit_once();
        assert_eq!(world.spool.committed(), before);
        assert!(matches!(
            world.spool.status().health,
            Health::Failing { .. }
        ));
        let failed = files_with(&world, seq);
        assert_eq!(failed.len(), 1, "{failed:?}");
        world.storage.set_faults(Faults::default());
        world.spool.commit_once();
        let files = files_with(&world, seq);
        assert_eq!(files.len(), 2, "{files:?} after {failed:?}");
        world.recover_from_faults();
        assert!(world.spool.committed() >= seq);
        world.crash();
        assert_eq!(world.read(uplink, 10).unwrap().len(), 2, "seed {seed}");
    }
}

/// The files in which the body of a record stands.
fn files_with(world: &World, seq: Seq) -> Vec<String> {
    let record = &world.model.records[&seq.0];
    let body = Model::body(record.serial, record.len);
    let files = world.storage.files().into_iter();
    files
        .filter(|(_, bytes)| bytes.windows(body.len()).any(|window| window == body))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn owner_is_told_when_room_returns() {
    let storage = Simulated::new(8);
    let told = Arc::new(AtomicUsize::new(0));
    let notify = {
        let told = told.clone();
        Arc::new(move || {
            told.fetch_add(1, Ordering::Relaxed);
        })
    };
    let mut now = NodeTime(1_000_000);
    let (spool, _) = Spool::open(Arc::new(storage), options(8, &REFUSE), now, notify).unwrap();
    let uplink = spool
        .transaction(now)
        .create_cursor("gone", Start::Now, None);
    assert_eq!(
        spool.cursor("gone"),
        None,
        "a transaction that is dropped did nothing: {uplink:?}"
    );
    let mut transaction = spool.transaction(now);
    let uplink = transaction
        .create_cursor("uplink", Start::Now, None)
        .unwrap();
    transaction.finish();
    let append = |now| {
        let mut transaction = spool.transaction(now);
        let route: RouteId = transaction.route(&[uplink], b"").unwrap();
        let head = Head {
            kind: Kind::Event,
            lane: Lane(NORMAL),
            route,
        };
        let result = transaction.append(head, |bytes| bytes.extend_from_slice(&[7; 4_000]));
        transaction.finish();
        result
    };
    let mut last = Seq::ZERO;
    while let Ok(seq) = append(now) {
        last = seq;
        commit_all(&spool);
        spool.housekeep_once(now);
    }
    let before = told.load(Ordering::Relaxed);
    spool.ack(uplink, &(1..=last.0).map(Seq).collect::<Vec<_>>());
    let mut rounds = 0;
    while append(now).is_err() {
        now.0 += 1_000;
        spool.housekeep_once(now);
        rounds += 1;
        assert!(
            rounds < 30,
            "acknowledgements give room: {:#?}",
            spool.status()
        );
    }
    assert!(told.load(Ordering::Relaxed) > before);
}

/// Appends to a lane that makes room for it, which takes effect once its giving up is committed.
fn append_in_time(world: &mut World, lane: u8, owed_to: spool::CursorId) -> u64 {
    for _ in 0..3 {
        let appended = world.append(Kind::Event, lane, &[owed_to], 1_000);
        world.commit();
        world.housekeep();
        if let Ok(seq) = appended {
            return seq.0;
        }
    }
    panic!("lane {lane} makes no room: {:#?}", world.spool.status());
}

/// Appends and commits until the lane has no room.
fn fill(world: &mut World, lane: u8, owed_to: &[spool::CursorId]) -> Full {
    loop {
        match world.append(Kind::Event, lane, owed_to, 1_000) {
            Ok(_) | Err(Full::Waiting) => world.commit(),
            Err(full) => return full,
        }
        world.housekeep();
    }
}
