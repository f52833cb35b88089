use super::*;

const PAGE: usize = 4096;

#[test]
fn synced_bytes_survive_every_crash_and_unsynced_ones_some() {
    let mut found = BTreeMap::new();
    for seed in 0..200 {
        let storage = Simulated::new(seed);
        let file = storage.create("a", 2 * PAGE as u64).unwrap();
        storage.sync_directory().unwrap();
        file.write_at(&[1; PAGE], 0).unwrap();
        file.sync().unwrap();
        file.write_at(&[2; PAGE], PAGE as u64).unwrap();

        let bytes = read_all(&storage.crash(), "a").unwrap();
        assert_eq!(bytes[..PAGE], [1; PAGE], "seed {seed}");
        let kept: Vec<bool> = bytes[PAGE..]
            .chunks(512)
            .map(|sector| sector[0] == 2)
            .collect();
        for (sector, kept) in bytes[PAGE..].chunks(512).zip(&kept) {
            assert_eq!(
                sector,
                [if *kept { 2 } else { 0 }; 512],
                "seed {seed}: a sector is never torn"
            );
        }
        *found
            .entry((kept[0], kept[7], kept.iter().filter(|kept| **kept).count()))
            .or_insert(0) += 1;
    }
    assert!(found.contains_key(&(false, false, 0)), "lost: {found:?}");
    assert!(found.contains_key(&(true, true, 8)), "kept: {found:?}");
    assert!(
        found.keys().any(|(first, last, _)| *first && !last),
        "torn: {found:?}"
    );
    assert!(
        found.keys().any(|(first, last, _)| !first && *last),
        "reordered: {found:?}"
    );
}

#[test]
fn writes_of_one_batch_reach_the_medium_in_any_order() {
    let later_alone = (0..200).filter(|seed| {
        let storage = Simulated::new(*seed);
        let file = storage.create("a", 2 * PAGE as u64).unwrap();
        file.sync().unwrap();
        storage.sync_directory().unwrap();
        file.write_at(&[1; 512], 0).unwrap();
        file.write_at(&[2; 512], PAGE as u64).unwrap();
        let bytes = read_all(&storage.crash(), "a").unwrap();
        bytes[0] == 0 && bytes[PAGE] == 2
    });
    assert!(later_alone.count() > 0);
}

#[test]
fn unsynced_names_are_kept_or_lost_and_never_lose_a_replaced_file() {
    let mut found = BTreeMap::new();
    for seed in 0..200 {
        let storage = Simulated::new(seed);
        for (name, byte) in [("checkpoint", 1), ("new", 2)] {
            let file = storage.create(name, 1).unwrap();
            file.write_at(&[byte], 0).unwrap();
            file.sync().unwrap();
        }
        storage.sync_directory().unwrap();
        storage.rename("new", "checkpoint").unwrap();
        storage.create("other", 0).unwrap();

        let storage = storage.crash();
        let names: Vec<String> = storage
            .list()
            .unwrap()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let checkpoint = read_all(&storage, "checkpoint").unwrap();
        assert!(checkpoint == [1] || checkpoint == [2], "seed {seed}");
        *found.entry((checkpoint[0], names)).or_insert(0) += 1;
    }
    let seen = |byte: u8, names: &[&str]| {
        let key = (byte, names.iter().map(ToString::to_string).collect());
        assert!(found.contains_key(&key), "{key:?} is not in {found:?}");
    };
    seen(1, &["checkpoint", "new"]);
    seen(2, &["checkpoint"]);
    seen(2, &["checkpoint", "other"]);
    seen(1, &["checkpoint", "new", "other"]); // the later change alone: no journal
    seen(2, &["checkpoint", "new"]); // a rename cut short
}

#[test]
fn synced_names_survive_and_removed_files_stay_readable() {
    let storage = Simulated::new(1);
    let file = storage.create("a", 3).unwrap();
    file.write_at(b"abc", 0).unwrap();
    storage.remove("a").unwrap();
    storage.sync_directory().unwrap();
    let mut bytes = [0; 3];
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"abc");
    assert_eq!(storage.crash().list().unwrap(), vec![]);
}

#[test]
fn after_a_failed_sync_reads_show_what_a_later_sync_does_not_save() {
    let lost = (0..100).filter(|seed| {
        let storage = Simulated::new(*seed);
        let file = storage.create("a", 512).unwrap();
        storage.sync_directory().unwrap();
        file.sync().unwrap();
        file.write_at(&[7; 512], 0).unwrap();
        storage.set_faults(Faults {
            sync: 1.0,
            ..Faults::default()
        });
        file.sync().unwrap_err();
        storage.set_faults(Faults::default());
        file.sync().unwrap();
        assert_eq!(read_all(&storage, "a").unwrap(), [7; 512]);
        read_all(&storage.crash(), "a").unwrap() == [0; 512]
    });
    assert!(lost.count() > 10);
}

#[test]
fn crash_point_ends_the_process_during_that_operation() {
    let storage = Simulated::new(3);
    let file = storage.create("a", 512).unwrap();
    storage.crash_at(1);
    file.write_at(&[1; 512], 0).unwrap();
    assert!(!storage.crashed());
    file.sync().unwrap_err();
    assert!(storage.crashed());
    assert!(file.read_at(&mut [0], 0).is_err());
    assert!(storage.list().is_err());
    assert_eq!(storage.operations(), 3);
    assert!(!storage.crash().crashed());
}

#[test]
fn capacity_bounds_what_files_take_and_may_grow_again() {
    let storage = Simulated::new(4);
    storage.set_capacity(3 * PAGE as u64);
    let file = storage.create("a", PAGE as u64).unwrap();
    let full = storage.create("b", 3 * PAGE as u64).err().unwrap();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(
        file.write_at(&[1], 3 * PAGE as u64).unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    file.write_at(&[1; PAGE], 0).unwrap();
    assert_eq!(
        storage.space().unwrap(),
        Space {
            free_bytes: 2 * PAGE as u64,
            total_bytes: 3 * PAGE as u64
        }
    );
    storage.set_capacity(4 * PAGE as u64);
    storage.create("b", 3 * PAGE as u64).unwrap();
}

#[test]
fn counters_tell_pages_synced_once() {
    let storage = Simulated::new(5);
    let file = storage.create("a", 4 * PAGE as u64).unwrap();
    file.sync().unwrap();
    file.write_at(&[1; 10], PAGE as u64 - 5).unwrap();
    file.write_at(&[1; 10], PAGE as u64 - 5).unwrap();
    file.sync().unwrap();
    file.read_at(&mut [0; 7], 0).unwrap();
    let expected = Counters {
        bytes_written: 20,
        bytes_read: 7,
        bytes_synced: 2 * PAGE as u64,
        writes: 2,
        syncs: 2,
        directory_syncs: 0,
        directory_changes: 1,
    };
    assert_eq!(storage.counters(), expected);
}

#[test]
fn same_seed_gives_the_same_crash() {
    let run = || {
        let storage = Simulated::new(6);
        let file = storage.create("a", 64 * 512).unwrap();
        storage.sync_directory().unwrap();
        file.sync().unwrap();
        file.write_at(&[9; 64 * 512], 0).unwrap();
        storage.crash().files()
    };
    assert_eq!(run(), run());
}

#[test]
fn flipped_bits_are_on_the_medium() {
    let files = BTreeMap::from([
        ("a".to_owned(), vec![0; 100]),
        ("b".to_owned(), vec![0; 100]),
    ]);
    let storage = Simulated::with_files(7, files);
    storage.flip_bits(3);
    let ones: u32 = storage
        .crash()
        .files()
        .values()
        .flatten()
        .map(|byte| byte.count_ones())
        .sum();
    assert_eq!(ones, 3);
}

#[test]
fn stalls_are_reported_and_not_slept() {
    let storage = Simulated::new(8);
    let stall_at_most = Duration::from_secs(5);
    storage.set_faults(Faults {
        stall: 1.0,
        stall_at_most,
        ..Faults::default()
    });
    storage.create("a", 1).unwrap().sync().unwrap();
    let stalled = storage.take_stalled();
    assert!(
        stalled > Duration::ZERO && stalled <= stall_at_most,
        "{stalled:?}"
    );
    assert_eq!(storage.take_stalled(), Duration::ZERO);
}

#[test]
fn held_sync_waits_until_it_is_released() {
    let storage = Simulated::new(9);
    let file = storage.create("a", 1).unwrap();
    storage.hold_syncs();
    let syncing = std::thread::spawn(move || file.sync());
    storage.wait_for_held_sync();
    assert_eq!(storage.counters().syncs, 0);
    storage.release_syncs();
    syncing.join().unwrap().unwrap();
    assert_eq!(storage.counters().syncs, 1);
}

fn read_all(storage: &Simulated, name: &str) -> io::Result<Vec<u8>> {
    let file = storage.open(name)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap()];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}
