//! The limit: overwriting blocks that are already there, one sync per batch.

use std::{fs::File, os::unix::fs::FileExt, path::Path, sync::Mutex, time::Instant};

use crate::{
    BOUND_BYTES, Log, OnDisk, RECORD_BYTES,
    turns::{Taken, lock},
    write_record,
};

/// As large as the log's pieces: page caches treat a file better or worse by how it was first written.
const PIECE: usize = 64 << 10;

pub(crate) struct Raw {
    filling: Mutex<Vec<u8>>,
    writing: Mutex<Writing>,
    taken: Taken,
}

struct Writing {
    file: File,
    offset: u64,
    batch: Vec<u8>,
    on_disk: Vec<OnDisk>,
}

impl Raw {
    /// As many bytes as the log has.
    pub(crate) fn create(path: &Path) -> Raw {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .unwrap();
        for offset in (0..BOUND_BYTES).step_by(PIECE) {
            file.write_all_at(&[0; PIECE], offset).unwrap();
        }
        file.sync_all().unwrap();
        Raw {
            filling: Mutex::default(),
            writing: Mutex::new(Writing {
                file,
                offset: 0,
                batch: Vec::new(),
                on_disk: Vec::new(),
            }),
            taken: Taken::default(),
        }
    }
}

impl Log for Raw {
    fn fill(&self, records: usize) {
        let mut filling = lock(&self.filling);
        filling.clear();
        for number in 0..records {
            write_record(number as u64, &mut filling);
        }
        assert_eq!(filling.len(), records * RECORD_BYTES);
    }

    fn commit(&self) {
        let writing = &mut *lock(&self.writing);
        std::mem::swap(&mut *lock(&self.filling), &mut writing.batch);
        self.taken.signal();
        let len = writing.batch.len() as u64;
        if writing.offset + len > BOUND_BYTES {
            writing.offset = 0;
        }
        let started = Instant::now();
        writing
            .file
            .write_all_at(&writing.batch, writing.offset)
            .unwrap();
        writing.offset += len;
        let written = Instant::now();
        rustix::fs::fdatasync(&writing.file).unwrap();
        writing.on_disk.push(OnDisk {
            write_us: (written - started).as_secs_f64() * 1e6,
            flush_us: written.elapsed().as_secs_f64() * 1e6,
        });
    }

    fn taken(&self) -> &Taken {
        &self.taken
    }

    fn take_on_disk(&self) -> Vec<OnDisk> {
        std::mem::take(&mut lock(&self.writing).on_disk)
    }
}
