//! Who may append where the file system, and not the bound, is the limit.

use super::*;
use crate::storage::Storage;

/// Less than the bound.
const CAPACITY: u64 = 6 << 20;

fn large_bound() -> Options {
    Options {
        bound_bytes: Some(64 << 20),
        ..options()
    }
}

fn on_disk_of(seed: u64, capacity: u64) -> Log {
    let disk = Simulated::new(seed);
    disk.set_capacity(capacity);
    Log::on(disk, large_bound()).unwrap()
}

/// Records of any size, committed when enough wait, with the housekeeper seldom in time.
#[test]
fn what_is_let_in_finds_room_for_its_commit() {
    for seed in 0..24 {
        let mut log = on_disk_of(seed, CAPACITY + seed * 37_123);
        let (sink, route) = log.reader("sink");
        let mut rng = fastrand::Rng::with_seed(seed);
        let seldom = [3, 100][seed as usize / 3 % 2];
        let largest = [8_000, 20_000, 60_000][seed as usize % 3];
        let (mut taken, mut refused, mut drained) = (Vec::new(), 0, 0);
        for n in 0.. {
            assert!(n < 20_000, "seed {seed}: no end of a small disk");
            let kind =
                [Kind::Event, Kind::State][usize::from(n % [10, 2][seed as usize / 6 % 2] == 1)];
            let most = [200, largest][rng.usize(..2)];
            let len = rng.usize(8..most);
            match log.append_kind(kind, rng.u8(..3), route, &body(n, len)) {
                Ok(seq) => taken.push(seq),
                Err(_) => refused += 1,
            }
            if rng.usize(..seldom) == 0 {
                log.commit_soundly(seed);
            }
            if rng.usize(..20) == 0 {
                log.keep_house();
            }
            if refused > 50 {
                let some = taken.len() / 2;
                log.spool
                    .ack(sink, &taken.drain(..some).collect::<Vec<_>>());
                (refused, drained) = (0, drained + 1);
            }
            if drained == 3 {
                break;
            }
        }
    }
}

#[test]
fn a_lane_that_is_kept_longer_finds_room_when_those_below_have_filled_the_disk() {
    let mut log = on_disk_of(1, 2 * CAPACITY);
    let (_, route) = log.reader("sink");
    for lane in [2, 1, 0] {
        let taken = log.fill(1, Kind::Event, lane, route);
        assert!(taken.len() > 20, "lane {lane} took {}", taken.len());
    }
}

#[test]
fn lanes_leave_files_to_state_and_to_the_cleaner_on_a_disk_that_is_full() {
    let mut log = on_disk_of(2, CAPACITY);
    let (_, to_slow) = log.reader("slow");
    let (fast, to_fast) = log.reader("fast");
    let (mut of_fast, mut n) = (Vec::new(), 0);
    while let Ok(seq) = log.append(0, [to_slow, to_fast, to_fast][n % 3], &body(0, 5_000)) {
        if n % 3 > 0 {
            of_fast.push(seq);
        }
        n += 1;
        log.commit_soundly(2);
        log.keep_house();
    }
    let free = log.free();
    let kept = free - CAPACITY / 20;
    assert!(
        kept >= 2 * u64::from(SEGMENT),
        "{kept} bytes beyond what stays free"
    );
    let states = log.fill(2, Kind::State, 0, RouteId::NOBODY);
    assert!(states.len() > 40, "{} records of state", states.len());
    // Rewriting alone makes room: no segment is dead whole.
    log.spool.ack(fast, &of_fast);
    log.spool.checkpoint(Vec::new());
    for _ in 0..10 {
        log.keep_house();
        log.commit_soundly(2);
        log.spool.checkpoint(Vec::new());
    }
    log.append(0, to_slow, &body(0, 5_000)).unwrap();
    log.commit_soundly(2);
}

/// Whatever others have left: nothing more than the least that stays free, or a few segments beyond it.
#[test]
fn a_start_on_a_disk_that_others_have_filled_lets_in_what_it_has_room_for_and_goes_on_when_they_leave()
 {
    for quarters in (0..40).step_by(3) {
        let mut log = on_disk_of(quarters, 4 * CAPACITY);
        let (sink, route) = log.reader("sink");
        let mut owed: Vec<u64> = Vec::new();
        for n in 0..600 {
            owed.push(log.append(1, route, &body(n, 5_000)).unwrap().0);
            log.commit_soundly(quarters);
            log.keep_house();
        }
        let disk = log.disk.crash();
        drop(log);
        let left = quarters * u64::from(SEGMENT) / 4;
        disk.set_capacity(4 * CAPACITY - (disk.free() - left));
        let mut log = Log::on(disk, large_bound()).unwrap();
        for _ in 0..3 {
            log.keep_house();
            for (kind, lane) in [(Kind::Event, 2), (Kind::Event, 0), (Kind::State, 0)] {
                let taken = log.fill(quarters, kind, lane, route).into_iter();
                owed.extend(taken.filter(|_| kind == Kind::Event).map(|seq| seq.0));
            }
        }
        assert_eq!(all_of(&log, sink), owed);
        log.disk.set_capacity(4 * CAPACITY);
        owed.push(log.append_in_time(route).0);
        assert_eq!(all_of(&log, sink), owed);
    }
}

#[test]
fn what_waits_when_others_fill_the_disk_is_committed_when_they_leave() {
    for seed in 0..20 {
        let mut log = on_disk_of(seed, 2 * CAPACITY);
        let (sink, route) = log.reader("sink");
        let mut owed: Vec<u64> = Vec::new();
        for n in 0..100 + 20 * seed {
            owed.push(log.append(1, route, &body(n, 5_000)).unwrap().0);
            log.commit_soundly(seed);
            log.keep_house();
        }
        log.disk.set_capacity(0);
        let mut n = 0;
        // The log learns of it with the first file it wants.
        while let Ok(seq) = log.append((n % 3) as u8, route, &body(n, 5_000)) {
            owed.push(seq.0);
            n += 1;
            log.spool.commit_once();
            log.keep_house();
        }
        assert!(n < 300, "{n} records were let in on a disk without room");
        for _ in 0..20 {
            log.spool.commit_once();
            log.keep_house();
            assert!(log.append(0, route, &body(0, 5_000)).is_err());
        }
        log.disk.set_capacity(2 * CAPACITY);
        log.keep_house();
        log.commit();
        assert_eq!(log.spool.committed(), log.spool.appended());
        owed.push(log.append_in_time(route).0);
        assert_eq!(all_of(&log, sink), owed);
    }
}

impl Log {
    fn free(&self) -> u64 {
        self.disk.free()
    }

    /// Appends until there is no room; each record is committed.
    fn fill(&mut self, seed: u64, kind: Kind, lane: u8, route: RouteId) -> Vec<Seq> {
        let mut taken = Vec::new();
        while let Ok(seq) = self.append_kind(kind, lane, route, &body(0, 5_000)) {
            taken.push(seq);
            self.commit_soundly(seed);
            self.keep_house();
        }
        taken
    }

    fn append_in_time(&mut self, route: RouteId) -> Seq {
        for _ in 0..3 {
            self.keep_house();
            self.commit();
            if let Ok(seq) = self.append(1, route, &body(0, 5_000)) {
                self.commit();
                return seq;
            }
        }
        panic!("no room has returned: {:#?}", self.spool.status());
    }

    /// Commits what waits; all of it finds room.
    fn commit_soundly(&self, seed: u64) {
        while self.spool.commit_once() {
            let health = self.spool.status().health;
            assert_eq!(health, Health::Ok, "seed {seed}");
        }
    }
}

impl Simulated {
    fn free(&self) -> u64 {
        self.space().unwrap().free_bytes
    }
}
