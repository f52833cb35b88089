//! What an outbox writes and erases for what is committed to it: how long its flash lasts.

use embassy_futures::block_on;
use firmware::Outbox;
use wire::Mark;

use crate::{
    device::{READING, layout, stream},
    flash::Driver,
};

/// The class whose every event is committed before `publish` returns, and the one whose events are committed together.
const EACH: u8 = 0;
const TOGETHER: u8 = 1;

/// What became of a flash.
struct Wear {
    data: usize,
    /// The messages that lie in flash.
    committed: usize,
    written: usize,
    erases: Vec<u32>,
}

#[test]
fn what_is_written_is_little_more_than_what_is_committed_and_wears_evenly() {
    let wear = wear(TOGETHER, 25, 5..8);
    assert!(
        wear.written * 10 <= wear.data * 13,
        "{} bytes written for {} of data",
        wear.written,
        wear.data
    );
    assert!(wear.years("25 events in a commit") >= 20);
}

#[test]
fn an_event_that_is_committed_alone_writes_its_message_and_a_head() {
    let wear = wear(EACH, 1, 2..5);
    assert!(
        wear.written * 10 <= wear.committed * 16,
        "{} bytes written for messages of {}",
        wear.written,
        wear.committed
    );
    assert!(wear.years("an event in a commit") >= 6);
}

/// Of a class with those pages: 20,000 events of 8 bytes, so many of them in a commit, of which the node has each.
fn wear(class: u8, in_commit: u64, pages: std::ops::Range<usize>) -> Wear {
    let driver = Driver::new();
    let opened = block_on(Outbox::open(driver.clone(), &layout(), &[READING], 1));
    let mut outbox: Outbox<Driver, 3, 1024> = opened.unwrap();
    block_on(outbox.link_changed(true)).unwrap();
    let before = driver.written();
    let (mut data, mut committed) = (0, 0);
    for second in 1..=20_000u64 {
        let event = second.to_le_bytes();
        block_on(outbox.publish(stream(class), READING.id(), second * 10, &event)).unwrap();
        data += event.len();
        if second % in_commit == 0 {
            block_on(outbox.commit_all()).unwrap();
            while let Some(len) = block_on(outbox.next_message(0, &mut [0; 512])).unwrap() {
                committed += len;
            }
            let mark = Mark {
                boot: 1,
                seq: second,
            };
            block_on(outbox.ack(1, stream(class), mark)).unwrap();
        }
    }
    let erases = driver.erases()[pages].to_vec();
    assert!(
        erases.iter().max().unwrap() - erases.iter().min().unwrap() <= 1,
        "{erases:?}"
    );
    assert!(erases[0] > 30, "{erases:?}");
    assert!(outbox.losses().is_empty());
    Wear {
        data,
        committed,
        written: driver.written() - before,
        erases,
    }
}

impl Wear {
    /// How long an outbox of sixteen pages of 4 KiB lasts.
    fn years(&self, what: &str) -> usize {
        // A year has 31,557,600 readings of 8 bytes, one a second, and each page is worn as often.
        let written_a_year = 31_557_600 * 8 * self.written / self.data;
        let years = 100_000 * 64 * 1024 / written_a_year;
        println!(
            "{what}: {} bytes written for {} of messages and {} of data, erases {:?}; an outbox of 64 KiB and 100,000 \
             cycles lasts {years} years at 1 event/s",
            self.written, self.committed, self.data, self.erases
        );
        years
    }
}
