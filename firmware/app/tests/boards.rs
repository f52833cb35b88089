//! What cargo does not see: every board has a lockfile of its own, and what passes between our crates and a HAL must be
//! of one version in all of them.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::{collections::BTreeSet, fs, path::PathBuf};

const BOARDS: [&str; 4] = ["esp32c3", "mps2", "nucleo-h7", "pico-w"];

/// Where traits and statics meet: two versions of one of these link, and do not speak to each other.
const ONCE: [&str; 7] = [
    "embassy-executor",
    "embassy-executor-timer-queue",
    "embassy-net",
    "embassy-net-driver",
    "embassy-time",
    "embassy-time-driver",
    "embassy-time-queue-utils",
];

#[test]
fn boards_and_our_crates_have_one_version_of_what_passes_between_them() {
    for package in ONCE {
        let mut versions = BTreeSet::new();
        for lock in locks() {
            let found = versions_of(package, &lock);
            assert!(found.len() <= 1, "two versions of {package}: {found:?}");
            versions.extend(found);
        }
        assert_eq!(versions.len(), 1, "{package}: {versions:?}");
    }
}

/// HALs bring older versions for older traits of others; ours and the network's must be the same.
#[test]
fn our_crates_and_the_network_share_their_embassy_sync() {
    let mut versions = BTreeSet::new();
    for lock in locks() {
        for user in ["app", "embassy-net"] {
            versions.extend(dependency(user, "embassy-sync", &lock));
        }
    }
    assert_eq!(versions.len(), 1, "{versions:?}");
}

#[test]
fn every_board_is_looked_at() {
    let folders = fs::read_dir(firmware().join("boards")).unwrap();
    let mut names: Vec<_> = folders
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, BOARDS);
}

fn firmware() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The lockfiles of the firmware workspace and of every board.
fn locks() -> Vec<String> {
    let boards = BOARDS.map(|board| firmware().join("boards").join(board));
    [firmware()]
        .iter()
        .chain(&boards)
        .map(|folder| fs::read_to_string(folder.join("Cargo.lock")).unwrap())
        .collect()
}

/// The entries of `package` in a lockfile.
fn named<'a>(package: &str, lock: &'a str) -> impl Iterator<Item = &'a str> {
    let name = format!("name = \"{package}\"\n");
    let entries = lock.split("[[package]]\n");
    entries.filter(move |text| text.starts_with(&name))
}

fn versions_of(package: &str, lock: &str) -> BTreeSet<String> {
    let lines = named(package, lock).flat_map(str::lines);
    lines
        .filter_map(|line| line.strip_prefix("version = "))
        .map(|version| version.trim_matches('"').to_owned())
        .collect()
}

/// The versions of `wanted` that `user` depends on: named in its list if there is more than one in the lockfile.
fn dependency(user: &str, wanted: &str, lock: &str) -> BTreeSet<String> {
    let lines = named(user, lock).flat_map(str::lines);
    let listed = lines.filter_map(|line| {
        let entry = line.trim().strip_prefix('"')?.strip_suffix("\",")?;
        let (name, version) = entry.split_once(' ').unwrap_or((entry, ""));
        (name == wanted).then_some(version)
    });
    listed
        .flat_map(|version| match version {
            "" => versions_of(wanted, lock),
            _ => BTreeSet::from([version.to_owned()]),
        })
        .collect()
}
