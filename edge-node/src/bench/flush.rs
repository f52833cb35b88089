use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

const BLOCK: usize = 4096;
const BLOCKS: u64 = 256;
const FLUSHES: u32 = 101;
const MOST_TIME: Duration = Duration::from_secs(2);

/// How long each of up to 101 flushes took, in at most about two seconds: 4 KiB of a preallocated file overwritten, then
/// `fdatasync`. The file is removed.
pub(super) fn measure(dir: &Path) -> io::Result<Vec<Duration>> {
    let path = dir.join(format!(".edge-node-bench-{}", std::process::id()));
    let file = File::create_new(&path)?;
    let flushes = overwrite(&file);
    std::fs::remove_file(&path)?;
    flushes
}

fn overwrite(file: &File) -> io::Result<Vec<Duration>> {
    let block = [0xA5; BLOCK];
    for at in 0..BLOCKS {
        file.write_all_at(&block, at * BLOCK as u64)?;
    }
    file.sync_all()?;
    let begin = Instant::now();
    let mut flushes = Vec::new();
    for at in 0..u64::from(FLUSHES) {
        let start = Instant::now();
        file.write_all_at(&block, (at % BLOCKS) * BLOCK as u64)?;
        file.sync_data()?;
        flushes.push(start.elapsed());
        if begin.elapsed() > MOST_TIME {
            break;
        }
    }
    Ok(flushes)
}
