//! Opens outboxes whose flash was changed in any way: no panic, what leaves is whole, and what is committed from here on is
//! there after the next reset.
//!
//! The first byte is the seed of the power cut; each four bytes that follow set one byte of the flash: address u16le, value, and
//! how many bytes before it get the same.

#![no_main]

use std::sync::OnceLock;

use embassy_futures::block_on;
use firmware::{Class, Commit, Layout, Outbox, Published, Region, WhenFull};
use flash_model::{Flash, Geometry};
use libfuzzer_sys::fuzz_target;
use wire::{
    Stream,
    envelope::Envelope,
    kind::{Field, Kind, Scalar, Shape},
};

const PAGE: usize = 1024;
const PAGES: usize = 8;
const DATA: usize = PAGE * PAGES;
type Chip = Flash<Vec<u8>, PAGE, 4>;
type Box = Outbox<Chip, 2, 256>;

const READING: Kind<'static> = Kind {
    event_type: "pump.reading",
    version: 1,
    fields: &[Field { name: "n", scalar: Scalar::U32, shape: Shape::One }],
};
/// What is committed behind the changes, unlike anything before.
const MARK: [u8; 8] = *b"\xf0behind.";

fuzz_target!(|bytes: &[u8]| {
    static WRITTEN: OnceLock<Vec<u8>> = OnceLock::new();
    let Some((seed, changes)) = bytes.split_first() else { return };
    let mut memory = WRITTEN.get_or_init(write).clone();
    for change in changes.chunks_exact(4).take(64) {
        let [low, high, value, before] = change.try_into().expect("four bytes");
        let at = usize::from(u16::from_le_bytes([low, high])) % DATA;
        memory[at.saturating_sub(before.into())..=at].fill(value);
    }
    // Nothing was written to the words as they are now.
    let writes = DATA + PAGES * 4;
    memory[writes..writes + DATA / 4].fill(0);
    // A refusal (a format of later firmware, a kind that changed) is a right answer; a panic is not.
    let Some(mut outbox) = open(memory, u64::from(*seed)) else { return };
    drain(&mut outbox);
    let mut committed = 0;
    for number in 0..40u8 {
        let stream = stream(number % 2);
        let published = block_on(outbox.publish(stream, READING.id(), 9, &MARK));
        committed += usize::from(published == Ok(Published::Committed));
    }
    let memory = outbox.into_flash().into_memory();
    let mut outbox = open(memory, 0).expect("what was opened once opens again");
    let found = drain(&mut outbox);
    assert_eq!(found, committed, "what was committed is there");
});

fn stream(number: u8) -> Stream {
    Stream::new(number).expect("a stream")
}

fn open(memory: Vec<u8>, seed: u64) -> Option<Box> {
    let region = |page: usize, pages| Region { start: (page * PAGE) as u32, pages };
    let class = |number, region, when_full| Class { stream: stream(number), region, when_full, commit: Commit::Always };
    let layout = Layout {
        store: region(0, 2),
        classes: [class(0, region(2, 3), WhenFull::Refuse), class(1, region(5, 3), WhenFull::DropOldest)],
    };
    block_on(Outbox::open(Chip::power_on(memory, seed), &layout, &[READING], 7)).ok()
}

/// A flash with events of three boots, and pages that were used before.
fn write() -> Vec<u8> {
    let mut memory = Chip::format(vec![0; Geometry::<PAGE, 4>::memory_len(PAGES)]).into_memory();
    for boot in 0..3u8 {
        let mut outbox = open(memory, 0).expect("a sound flash opens");
        for number in 0..50u8 {
            let data = [boot, number, 0, 0];
            let _ = block_on(outbox.publish(stream(number % 2), READING.id(), number.into(), &data)); // may be full
        }
        memory = outbox.into_flash().into_memory();
    }
    memory
}

/// Sends all there is; how many events are those from behind the changes.
fn drain(outbox: &mut Box) -> usize {
    let mut message = [0; 512];
    let mut found = 0;
    block_on(outbox.link_changed(true)).expect("the power stays");
    block_on(outbox.streams()).expect("the power stays");
    for _ in 0..2 * DATA / 8 {
        let Some(len) = block_on(outbox.next_message(0, &mut message)).expect("the power stays") else {
            return found;
        };
        let envelope = Envelope::decode(&message[..len]).expect("what leaves is a message");
        found += envelope.events(7).filter(|event| event.data == MARK).count();
    }
    panic!("more messages than there is room for");
}
