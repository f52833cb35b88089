//! The limit: overwriting blocks that are already there, one sync per batch.

use std::{fs::File, os::unix::fs::FileExt, path::Path, time::Instant};

use crate::{RECORD_BYTES, write_record};

const FILE_BYTES: usize = 64 << 20;

pub(crate) struct Raw {
    file: File,
    offset: usize,
    batch: Vec<u8>,
    number: u64,
    /// Microseconds of each flush.
    pub(crate) flushes: Vec<f64>,
}

impl Raw {
    pub(crate) fn create(path: &Path) -> Raw {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .unwrap();
        file.write_all_at(&vec![0; FILE_BYTES], 0).unwrap();
        file.sync_all().unwrap();
        Raw {
            file,
            offset: 0,
            batch: Vec::new(),
            number: 0,
            flushes: Vec::new(),
        }
    }

    pub(crate) fn commit(&mut self, records: usize) {
        self.batch.clear();
        for _ in 0..records {
            self.number += 1;
            write_record(self.number, &mut self.batch);
        }
        if self.offset + records * RECORD_BYTES > FILE_BYTES {
            self.offset = 0;
        }
        self.file
            .write_all_at(&self.batch, self.offset as u64)
            .unwrap();
        self.offset += self.batch.len();
        let started = Instant::now();
        rustix::fs::fdatasync(&self.file).unwrap();
        self.flushes.push(started.elapsed().as_secs_f64() * 1e6);
    }
}
