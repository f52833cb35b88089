//! Data directories that a released version wrote, as they are on disk.

use std::{fs, path::Path, sync::Arc};

use spool::{NodeTime, OpenError, Options, ReadLimits, Recovery, Seq, Spool, storage::disk::Disk};

const LIMITS: ReadLimits = ReadLimits {
    records: 1_000,
    bytes: 1 << 20,
    lanes: u32::MAX,
};

#[test]
fn closed_directory_of_version_1_opens_with_all_it_held() {
    let (_directory, spool, recovery) = open("v1/closed");
    assert!(recovery.clean);
    assert_eq!(
        recovery.checkpoint.as_deref(),
        Some(&b"owner's state at the end"[..])
    );
    assert_eq!(replayed(&spool), Vec::<String>::new());
    check(&spool, &recovery);
}

#[test]
fn directory_of_version_1_whose_process_was_killed_opens_with_all_it_held() {
    let (_directory, spool, recovery) = open("v1/killed");
    assert!(!recovery.clean);
    assert_eq!(
        recovery.checkpoint.as_deref(),
        Some(&b"owner's state after event 119"[..])
    );
    let expected: Vec<String> = (120..240)
        .step_by(10)
        .map(|number| format!("event {number}"))
        .collect();
    assert_eq!(replayed(&spool), expected);
    check(&spool, &recovery);
}

#[test]
fn newer_version_is_refused_and_left_untouched() {
    let directory = copy("v1/closed");
    for file in fs::read_dir(directory.path()).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if path
            .extension()
            .is_some_and(|extension| extension == "segment")
        {
            for copy in [0, 2048] {
                // Magic, checksum of what follows, version: see the module documentation of the log.
                bytes[copy + 12..copy + 14].copy_from_slice(&2_u16.to_le_bytes());
                let crc = crc32c::crc32c(&bytes[copy + 12..copy + 64]);
                bytes[copy + 8..copy + 12].copy_from_slice(&crc.to_le_bytes());
            }
            fs::write(&path, bytes).unwrap();
        }
    }
    let before = contents(directory.path());
    let error = try_open(directory.path())
        .err()
        .expect("version 2 is not known");
    assert!(
        matches!(
            error,
            OpenError::NewerVersion {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(contents(directory.path()), before);
}

fn check(spool: &Spool, recovery: &Recovery) {
    assert_eq!(recovery.findings, Vec::<String>::new());
    let bodies = |entries: &[spool::Entry]| -> Vec<String> {
        entries
            .iter()
            .map(|entry| String::from_utf8(entry.body.to_vec()).unwrap())
            .collect()
    };
    let named = |numbers: &mut dyn Iterator<Item = u64>| -> Vec<String> {
        numbers.map(|number| format!("event {number}")).collect()
    };
    let all = spool.scan(Seq::ZERO, LIMITS).unwrap().entries;
    assert_eq!(bodies(&all), named(&mut (0..240)));
    for (number, entry) in (0..240).zip(&all) {
        assert_eq!(u64::from(entry.lane.0), number % 3);
        assert_eq!(
            entry.time,
            NodeTime(1_767_225_600_000 + 1_000 * (number + 1))
        );
    }
    let (uplink, session) = (
        spool.cursor("uplink").unwrap(),
        spool.cursor("session").unwrap(),
    );
    let to_uplink = spool.read(uplink, Seq::ZERO, LIMITS).unwrap().entries;
    assert_eq!(
        bodies(&to_uplink),
        named(&mut (0..240).filter(|number| number % 3 != 0).skip(50))
    );
    let to_session = spool.read(session, Seq::ZERO, LIMITS).unwrap().entries;
    assert_eq!(
        bodies(&to_session),
        named(&mut (0..240).filter(|number| number % 3 == 2))
    );
    let route = spool.route(to_session[0].route).unwrap();
    assert_eq!(
        (route.cursors, &*route.terms),
        (vec![uplink, session], &b"to both"[..])
    );
}

fn replayed(spool: &Spool) -> Vec<String> {
    let mut bodies = Vec::new();
    spool
        .replay_state(&mut |entry| bodies.push(String::from_utf8(entry.body.to_vec()).unwrap()))
        .unwrap();
    bodies
}

fn open(fixture: &str) -> (tempfile::TempDir, Spool, Recovery) {
    let directory = copy(fixture);
    let (spool, recovery) = try_open(directory.path()).unwrap();
    (directory, spool, recovery)
}

fn try_open(path: &Path) -> Result<(Spool, Recovery), OpenError> {
    let options = Options {
        bound_bytes: Some(1 << 20),
        min_free_percent: 0,
        ..Options::default()
    };
    let options = Options {
        segment_bytes: Some(64 << 10),
        ..options
    };
    Spool::open(
        Arc::new(Disk::open(path).unwrap()),
        options,
        NodeTime(1_767_300_000_000),
        Arc::new(|| {}),
    )
}

fn copy(fixture: &str) -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(fixture);
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in contents(&from) {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

fn contents(path: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(path).unwrap().map(|file| file.unwrap());
    let mut contents: Vec<_> = files
        .map(|file| {
            (
                file.file_name().into_string().unwrap(),
                fs::read(file.path()).unwrap(),
            )
        })
        .filter(|(name, _)| name != "lock")
        .collect();
    contents.sort();
    contents
}
