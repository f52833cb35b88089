//! The tool as an operator meets it.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::{
    fs,
    process::{Command, Output},
};

use tempfile::TempDir;

const PICO: &str = r#"
id = "pump-7"
node = "192.168.1.10:1883"
[wifi]
ssid = "hall"
passphrase = "correct horse"
[credentials]
user = "pump"
password = "secret of the pump"
"#;

#[test]
fn a_block_written_for_a_board_is_shown_without_its_secrets() {
    let folder = folder(PICO);
    let written = run(
        &folder,
        &[
            "write",
            "settings.toml",
            "--board",
            "pico-w",
            "--out",
            "block.bin",
        ],
    );
    assert_eq!(
        stdout(&written),
        "picotool load block.bin -t bin -o 0x101fe000\n"
    );
    let block = fs::read(folder.path().join("block.bin")).unwrap();
    assert_eq!(block.len(), 4096 + configuration::COPY_BYTES);

    let shown = run(&folder, &["show", "block.bin", "--board", "pico-w"]);
    assert_eq!(
        stdout(&shown),
        "id          pump-7\nnode        192.168.1.10:1883\nwifi        hall (with a passphrase)\n\
         user        pump\ngeneration  1, in the first copy; the second is whole too\n"
    );
}

#[test]
fn the_firmware_reads_what_the_tool_wrote_and_survives_a_damaged_copy() {
    let folder = folder("id = \"m1\"\nnode = \"node.example:1884\"");
    for (board, distance) in [("mps2", 4096), ("nucleo-h7", 128 * 1024)] {
        stdout(&run(
            &folder,
            &[
                "write",
                "settings.toml",
                "--board",
                board,
                "--out",
                "block.bin",
            ],
        ));
        let mut block = fs::read(folder.path().join("block.bin")).unwrap();
        *block.get_mut(20).unwrap() ^= 1;
        let (first, second) = block.split_at(distance);
        let found = configuration::read(first, second).unwrap();
        assert_eq!(found.place, configuration::Place::Second, "{board}");
        assert_eq!(
            (found.settings.host, found.settings.port),
            ("node.example", 1884)
        );
    }
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let cases = [
        ("node = \"h:1\"", "mps2", "missing field `id`"),
        (
            "id = \"a\"\nnode = \"h:1\"\nssid = \"x\"",
            "mps2",
            "unknown field `ssid`",
        ),
        (
            "id = \"a\"\nnode = \"h\"",
            "mps2",
            "node = \"h\" is not host:port, for instance \"192.168.1.10:1883\"",
        ),
        (
            "id = \"a\"\nnode = \"h:0\"",
            "mps2",
            "the node's port is 1 to 65535",
        ),
        (
            "id = \"a/b\"\nnode = \"h:1\"",
            "mps2",
            "the device id is 1 to 64 letters",
        ),
        (
            "id = \"a\"\nnode = \"h:1\"",
            "esp32c3",
            "esp32c3 joins a Wi-Fi: add [wifi] with ssid and passphrase",
        ),
        (
            PICO,
            "nucleo-h7",
            "nucleo-h7 has a cable and no Wi-Fi: remove [wifi]",
        ),
    ];
    for (settings, board, complaint) in cases {
        let folder = folder(settings);
        let refused = run(
            &folder,
            &[
                "write",
                "settings.toml",
                "--board",
                board,
                "--out",
                "block.bin",
            ],
        );
        assert_eq!(refused.status.code(), Some(1), "{settings}");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(
            said.contains(complaint) && said.contains("settings.toml"),
            "{complaint:?} is not in {said}"
        );
        assert!(!folder.path().join("block.bin").exists());
    }
}

#[test]
fn a_file_that_holds_no_block_is_said_to_hold_none() {
    let folder = folder("");
    for (bytes, complaint) in [
        (
            vec![0xff; 100],
            "the file has 100 bytes; its second copy would begin at 4096",
        ),
        (vec![0xff; 5000], "first copy: blank; second: blank"),
    ] {
        fs::write(folder.path().join("block.bin"), bytes).unwrap();
        let refused = run(&folder, &["show", "block.bin", "--board", "mps2"]);
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(complaint), "{complaint:?} is not in {said}");
    }
}

fn folder(settings: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("settings.toml"), settings).unwrap();
    folder
}

fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_provision"))
        .current_dir(folder.path())
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}
