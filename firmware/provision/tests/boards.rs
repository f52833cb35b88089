//! The tool, the boards' programs and their linker scripts agree on where the block is.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "these are tests"
)]

use std::fs;

use provision::Board;

#[test]
fn every_board_reads_its_block_where_the_tool_puts_it() {
    for (board, source, flash) in [
        (Board::PicoW, "pico-w/src/main.rs", 0x1000_0000),
        (Board::NucleoH7, "nucleo-h7/src/main.rs", 0x0800_0000),
        (Board::Esp32c3, "esp32c3/src/main.rs", 0),
    ] {
        let source = file(source);
        let block = after(&source, "const BLOCK: u32 = ").split(';').next();
        assert_eq!(flash + number(block.unwrap()), board.address(), "{board:?}");
    }
    let psram = file("mps2/src/psram.rs").replace('_', "");
    let second = Board::Mps2.address() + u32::try_from(Board::Mps2.erase_bytes()).unwrap();
    for copy in [Board::Mps2.address(), second] {
        assert!(psram.contains(&format!("{copy:#010x}")), "{copy:#010x}");
    }
}

#[test]
fn the_program_ends_before_the_outbox_and_the_outbox_before_the_block() {
    for (board, source, flash, program_end) in [
        (
            Board::PicoW,
            "pico-w/src/main.rs",
            0x1000_0000,
            linked_end("pico-w/memory.x"),
        ),
        (
            Board::NucleoH7,
            "nucleo-h7/src/main.rs",
            0x0800_0000,
            linked_end("nucleo-h7/memory.x"),
        ),
        (
            Board::Esp32c3,
            "esp32c3/src/main.rs",
            0,
            partition("factory").1,
        ),
    ] {
        let (start, pages) = outbox(source);
        let end = start + pages * u32::try_from(board.erase_bytes()).unwrap();
        assert!(program_end <= flash + start, "{board:?}: {program_end:#x}");
        assert!(flash + end <= board.address(), "{board:?}: {end:#x}");
    }
    assert_eq!(partition("outbox").0, outbox("esp32c3/src/main.rs").0);
    let block = Board::Esp32c3.address();
    assert_eq!(partition("config"), (block, block + 0x2000));
}

/// Where the flash that a linker script gives to the program ends.
fn linked_end(script: &str) -> u32 {
    let script = file(script);
    let flash = after(&script, "FLASH : ORIGIN = ");
    let (origin, length) = flash.split_once(", LENGTH = ").unwrap();
    // The boot loader's 0x100 bytes stand in front, and are taken off the length.
    let length = length.lines().next().unwrap();
    let (length, boot) = length.split_once(" - ").unwrap_or((length, "0x0"));
    let bytes = match (length.strip_suffix('K'), length.strip_suffix('M')) {
        (Some(kib), _) => number(kib) << 10,
        (_, mib) => number(mib.unwrap()) << 20,
    };
    number(origin) + bytes - number(boot)
}

/// Offset of the outbox in flash, and how many sectors it has.
fn outbox(source: &str) -> (u32, u32) {
    let source = file(source);
    let region = after(&source, "const OUTBOX: Region = Region {");
    let field = |name| number(after(region, name).split(',').next().unwrap());
    (field("start: "), field("pages: "))
}

/// Where a partition of the esp32c3 begins and ends.
fn partition(name: &str) -> (u32, u32) {
    let table = file("esp32c3/partitions.csv");
    let row = table.lines().find(|row| row.starts_with(name)).unwrap();
    let numbers: Vec<u32> = row.split(',').skip(3).map(number).collect();
    (numbers[0], numbers[0] + numbers[1])
}

fn after<'t>(text: &'t str, what: &str) -> &'t str {
    text.split_once(what).unwrap().1
}

fn number(text: &str) -> u32 {
    let text = text.trim().replace('_', "");
    let read = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    read.unwrap()
}

fn file(path: &str) -> String {
    let boards = concat!(env!("CARGO_MANIFEST_DIR"), "/../boards/");
    fs::read_to_string(format!("{boards}{path}")).unwrap()
}
