//! How many flushes a commit is.

use spool::{RouteId, Spool, storage::simulated::Simulated};

use crate::economy::{NOW, append, commit_and_housekeep, log, route};

#[test]
fn every_commit_is_exactly_one_sync_of_one_frame() {
    let (storage, spool) = log(1, 1 << 20, 64 << 20);
    let route = route(&spool, 1);
    commit_and_housekeep(&spool);
    let (mut synced, mut rounded) = (0, 0);
    for round in 0..2_000_u64 {
        let records = 1 + round as usize % 40;
        append(&spool, records, 1, route, 256);
        let before = (storage.counters(), spool.status().commits);
        assert!(spool.commit_once());
        let after = (storage.counters(), spool.status().commits);
        assert_eq!(after.0.syncs - before.0.syncs, 1, "round {round}");
        assert_eq!(
            after.0.directory_syncs, before.0.directory_syncs,
            "round {round}"
        );
        assert_eq!(
            after.0.directory_changes, before.0.directory_changes,
            "round {round}"
        );
        assert_eq!(after.1 - before.1, 1, "round {round}");
        synced += after.0.bytes_synced - before.0.bytes_synced;
        rounded += (128 + records as u64 * 256).next_multiple_of(4096);
        spool.housekeep_once(NOW);
    }
    assert!(
        synced * 10 <= rounded * 11,
        "{synced} bytes synced for {rounded} of page-rounded frames"
    );
}

/// The one flush more that a commit may need: nobody made the next segment in time, so that the commit does.
#[test]
fn commit_that_has_to_make_its_segment_syncs_that_and_its_directory_once_before_its_frame() {
    let (storage, spool) = log(1, 1 << 20, 64 << 20);
    let route = route(&spool, 1);
    let (mut made, mut commits) = (0, 0);
    while made < 5 {
        append(&spool, 40, 1, route, 256);
        let segments = spool.status().segments;
        let flushes = flushes_of_a_commit(&storage, &spool);
        let begun = spool.status().segments - segments;
        assert_eq!(flushes, (1 + begun, begun));
        made += begun;
        commits += 1;
    }
    assert!(commits > 100, "{commits}");
}

#[test]
fn no_commit_makes_its_segment_where_the_housekeeper_is_late_by_a_whole_one() {
    let (storage, spool) = log(1, 1 << 20, 64 << 20);
    let route = route(&spool, 1);
    commit_and_housekeep(&spool);
    let mut begun = 0;
    while begun < 2 {
        append(&spool, 40, 1, route, 256);
        let segments = spool.status().segments;
        assert_eq!(flushes_of_a_commit(&storage, &spool), (1, 0));
        begun += spool.status().segments - segments;
    }
}

#[test]
fn first_commit_after_a_start_is_one_flush_once_the_housekeeper_has_come_around() {
    let (storage, spool) = log(1, 1 << 20, 64 << 20);
    spool.housekeep_once(NOW);
    append(&spool, 1, 1, RouteId::NOBODY, 256);
    assert_eq!(flushes_of_a_commit(&storage, &spool), (1, 0));
}

/// Syncs of files and of the directory.
fn flushes_of_a_commit(storage: &Simulated, spool: &Spool) -> (u64, u64) {
    let before = storage.counters();
    assert!(spool.commit_once());
    let after = storage.counters();
    (
        after.syncs - before.syncs,
        after.directory_syncs - before.directory_syncs,
    )
}
