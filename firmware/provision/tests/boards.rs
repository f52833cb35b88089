//! The tool, the boards' programs and their linker scripts agree on where the block is.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;

use provision::Board;

#[test]
fn every_board_reads_its_block_where_the_tool_puts_it() {
    for (board, source) in [
        (Board::Mps2, "mps2/src/psram.rs"),
        (Board::PicoW, "pico-w/src/main.rs"),
        (Board::NucleoH7, "nucleo-h7/src/main.rs"),
        (Board::Esp32c3, "esp32c3/src/main.rs"),
    ] {
        let source = file(source).replace('_', "");
        let second = board.address() + u32::try_from(board.erase_bytes()).unwrap();
        for copy in [board.address(), second] {
            let address = format!("{copy:#010x}");
            assert!(
                source.contains(&address),
                "{board:?} does not name {address}"
            );
        }
    }
}

#[test]
fn no_program_is_linked_over_the_block() {
    for (board, script, end) in [
        (Board::PicoW, "pico-w/memory.x", 0x1000_0000 + 2040 * 1024),
        (
            Board::NucleoH7,
            "nucleo-h7/memory.x",
            0x0800_0000 + 1792 * 1024,
        ),
    ] {
        let lengths = ["LENGTH = 2040K - 0x100", "LENGTH = 1792K"];
        let script = file(script);
        assert!(
            lengths.iter().any(|length| script.contains(length)),
            "{script}"
        );
        assert!(end <= board.address(), "{board:?} links up to {end:#x}");
    }
    let partitions = file("esp32c3/partitions.csv");
    assert!(
        partitions.contains("0x10000,  0x3e0000"),
        "the program ends at 0x3f0000"
    );
    assert!(
        partitions.contains("0x3fe000, 0x2000"),
        "the block has both its sectors"
    );
}

fn file(path: &str) -> String {
    let boards = concat!(env!("CARGO_MANIFEST_DIR"), "/../boards/");
    fs::read_to_string(format!("{boards}{path}")).unwrap()
}
