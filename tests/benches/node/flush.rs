//! What one flush costs beside the data of a run.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

const BLOCK: usize = 4096;
const FLUSHES: u64 = 101;

/// How long each of 101 flushes took: 4 KiB of a preallocated file overwritten, then `fdatasync`.
pub(crate) fn measure(folder: &Path) -> Vec<Duration> {
    let path = folder.join(".flush");
    let file = File::create(&path).unwrap();
    let block = [0xa5; BLOCK];
    let at = |index: u64| index * BLOCK as u64;
    for index in 0..FLUSHES {
        file.write_all_at(&block, at(index)).unwrap();
    }
    file.sync_all().unwrap();
    let flush = |index| {
        let start = Instant::now();
        file.write_all_at(&block, at(index)).unwrap();
        file.sync_data().unwrap();
        start.elapsed()
    };
    let flushes = (0..FLUSHES).map(flush).collect();
    std::fs::remove_file(path).unwrap();
    flushes
}

/// The median, for a person to read.
pub(crate) fn report(mut flushes: Vec<Duration>) -> String {
    flushes.sort();
    let median = flushes[flushes.len() / 2];
    format!("median flush {:.3} ms", median.as_secs_f64() * 1e3)
}
