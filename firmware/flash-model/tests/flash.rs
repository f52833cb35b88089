//! What the model allows, what it does not, and what a power cut leaves.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Mutex;

use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};
use flash_model::{Flash, Geometry, Operation, PowerCut};

type Small = Flash<Vec<u8>, 64, 4>;

fn flash() -> Small {
    Small::format(vec![0x55; Geometry::<64, 4>::memory_len(3)])
}

fn write(flash: &mut Small, at: u32, bytes: &[u8]) -> Result<(), PowerCut> {
    block_on(flash.write(at, bytes))
}

fn read(flash: &mut Small, at: u32) -> [u8; 4] {
    let mut bytes = [0; 4];
    block_on(flash.read(at, &mut bytes)).unwrap();
    bytes
}

#[test]
fn a_formatted_flash_is_erased_and_has_its_pages() {
    let mut flash = flash();
    assert_eq!(flash.capacity(), 3 * 64);
    for at in (0..192).step_by(4) {
        assert_eq!(read(&mut flash, at), [0xff; 4]);
    }
    assert_eq!(flash.erases().collect::<Vec<_>>(), [0, 0, 0]);
}

#[test]
fn a_write_clears_bits_and_an_erase_sets_those_of_its_page() {
    let mut flash = flash();
    write(&mut flash, 64, &[0xf0, 0, 1, 0xff]).unwrap();
    write(&mut flash, 64, &[0x3c, 0xff, 0, 0xff]).unwrap();
    write(&mut flash, 60, &[1, 2, 3, 4]).unwrap();
    assert_eq!(read(&mut flash, 64), [0x30, 0, 0, 0xff]);
    block_on(flash.erase(64, 128)).unwrap();
    assert_eq!(read(&mut flash, 64), [0xff; 4]);
    assert_eq!(read(&mut flash, 60), [1, 2, 3, 4]);
    assert_eq!(flash.erases().collect::<Vec<_>>(), [0, 1, 0]);
}

#[test]
#[should_panic(expected = "the word at 0x8 is written once too often")]
fn a_third_write_of_a_word_panics() {
    let mut flash = flash();
    for _ in 0..3 {
        write(&mut flash, 8, &[0; 4]).unwrap();
    }
}

#[test]
fn an_erase_allows_two_more_writes() {
    let mut flash = flash();
    for _ in 0..3 {
        write(&mut flash, 8, &[0; 4]).unwrap();
        write(&mut flash, 8, &[0; 4]).unwrap();
        block_on(flash.erase(0, 64)).unwrap();
    }
    assert_eq!(flash.operations(), 9);
}

#[test]
#[should_panic(expected = "misaligned")]
fn a_misaligned_write_panics() {
    let _ = write(&mut flash(), 2, &[0; 4]);
}

#[test]
#[should_panic(expected = "misaligned")]
fn a_write_of_part_of_a_word_panics() {
    let _ = write(&mut flash(), 4, &[0; 3]);
}

#[test]
#[should_panic(expected = "leaves the flash")]
fn a_write_behind_the_end_panics() {
    let _ = write(&mut flash(), 192, &[0; 4]);
}

#[test]
#[should_panic(expected = "parts of pages")]
fn an_erase_of_half_a_page_panics() {
    let _ = block_on(flash().erase(0, 32));
}

/// The word that a cut in the second of three words leaves, for some seeds.
fn words_after_a_cut(seeds: u64) -> Vec<[u8; 4]> {
    let words = (0..seeds).map(|seed| {
        let mut cut = flash();
        cut.cut_at(1);
        assert_eq!(write(&mut cut, 0, &[0x0f; 12]), Err(PowerCut));
        assert_eq!(block_on(cut.read(0, &mut [0; 4])), Err(PowerCut));
        let mut flash = Small::power_on(cut.into_memory(), seed);
        assert_eq!(read(&mut flash, 0), [0x0f; 4]);
        assert_eq!(read(&mut flash, 8), [0xff; 4]);
        read(&mut flash, 4)
    });
    words.collect()
}

#[test]
fn a_cut_leaves_a_partly_written_word_by_seed() {
    let words = words_after_a_cut(32);
    assert_eq!(words, words_after_a_cut(32));
    for word in &words {
        assert!(
            word.iter().all(|byte| byte & 0x0f == 0x0f),
            "{word:x?} lost bits that were not to be cleared"
        );
    }
    let partly = words
        .iter()
        .filter(|word| **word != [0xff; 4] && **word != [0x0f; 4]);
    assert!(partly.count() > 16);
}

/// A board is reset between any two of its instructions, not only before the first of an operation.
#[test]
fn what_a_cut_leaves_of_a_word_does_not_depend_on_how_far_its_writing_had_come() {
    let mut cut = flash();
    cut.cut_at(0);
    assert_eq!(write(&mut cut, 0, &[0x0f; 4]), Err(PowerCut));
    let noted = cut.into_memory();
    let (word, writes) = (0..4, 3 * 64 + 3 * 4);
    for seed in 0..32 {
        let expected = Small::power_on(noted.clone(), seed).into_memory();
        let mut further = noted.clone();
        further[writes] = 1;
        for at in word.clone() {
            assert_eq!(further[at], 0xff);
            further[at] = 0x0f;
            let left = Small::power_on(further.clone(), seed).into_memory();
            assert_eq!(left, expected, "seed {seed}, {at} bytes written");
        }
    }
}

#[test]
fn a_cut_leaves_a_partly_erased_page_by_seed() {
    let mut pages = Vec::new();
    for seed in 0..8 {
        let mut cut = flash();
        write(&mut cut, 60, &[1, 2, 3, 4]).unwrap();
        write(&mut cut, 64, &[0; 64]).unwrap();
        cut.cut_at(0);
        assert_eq!(block_on(cut.erase(64, 128)), Err(PowerCut));
        let mut flash = Small::power_on(cut.into_memory(), seed);
        assert_eq!(read(&mut flash, 60), [1, 2, 3, 4]);
        let mut page = vec![0; 64];
        block_on(flash.read(64, &mut page)).unwrap();
        assert!(page.contains(&0) && page.contains(&0xff));
        pages.push(page);
    }
    pages.dedup();
    assert_eq!(pages.len(), 8);
}

#[test]
fn what_was_done_before_the_cut_stays_done() {
    let mut cut = flash();
    write(&mut cut, 0, &[7; 8]).unwrap();
    cut.cut_at(0);
    assert_eq!(block_on(cut.erase(64, 128)), Err(PowerCut));
    assert_eq!(write(&mut cut, 128, &[0; 4]), Err(PowerCut));
    let mut flash = Small::power_on(cut.into_memory(), 1);
    assert_eq!(
        (
            read(&mut flash, 0),
            read(&mut flash, 4),
            read(&mut flash, 128)
        ),
        ([7; 4], [7; 4], [0xff; 4])
    );
}

#[test]
fn an_operation_takes_its_time_while_it_is_in_flight() {
    static TAKEN: Mutex<Vec<Operation>> = Mutex::new(Vec::new());
    let mut flash = flash();
    flash.take_time(|operation| TAKEN.lock().unwrap().push(operation));
    write(&mut flash, 0, &[0; 8]).unwrap();
    block_on(flash.erase(0, 64)).unwrap();
    let (write, erase) = (Operation::Write, Operation::Erase);
    assert_eq!(*TAKEN.lock().unwrap(), [write, write, erase]);
}
