//! The C twin against the vectors and against this crate.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::vectors::{all, answer_to, digits, refusals};

const FLAGS: [&str; 7] = [
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Werror",
];

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c")
}

fn run(command: &mut Command) {
    let done = command.output().unwrap_or_else(|error| {
        panic!("cannot run {command:?} ({error}); ./test firmware installs it")
    });
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// The C program, built once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("test_wire");
        let files = ["edge_wire.c", "test_wire.c"].map(|file| sources().join(file));
        let sanitize = ["-O1", "-g", "-fsanitize=address,undefined"];
        run(Command::new("gcc")
            .args(FLAGS)
            .args(sanitize)
            .args(files)
            .arg("-o")
            .arg(&program));
        program
    })
}

/// What the C program says to each line.
fn ask(lines: &[String]) -> Vec<String> {
    let mut child = Command::new(program())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = lines.join("\n") + "\n";
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(done.status.success(), "{}", done.status);
    let answers: Vec<_> = String::from_utf8(done.stdout)
        .unwrap()
        .lines()
        .map(String::from)
        .collect();
    assert_eq!(answers.len(), lines.len());
    answers
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn c_writes_and_reads_every_vector() {
    let vectors = all();
    let made: Vec<_> = vectors
        .iter()
        .map(|vector| format!("make {}", vector.name))
        .collect();
    let read: Vec<_> = vectors
        .iter()
        .map(|vector| format!("{} {}", vector.topic, hex(&vector.bytes)))
        .collect();
    let answers = ask(&[made, read].concat());
    for (answer, vector) in answers.iter().zip(vectors.iter().cycle()) {
        assert_eq!(
            *answer,
            format!("ok {}", hex(&vector.bytes)),
            "{}",
            vector.name
        );
    }
}

#[test]
fn c_refuses_what_is_to_be_refused() {
    let refusals = refusals();
    let lines: Vec<_> = refusals
        .iter()
        .map(|(topic, _, bytes)| format!("{topic} {}", hex(bytes)))
        .collect();
    for ((topic, reason, bytes), answer) in refusals.iter().zip(ask(&lines)) {
        assert_eq!(answer, *reason, "{topic} {bytes:x?}");
    }
}

#[test]
fn c_answers_as_rust_does_to_every_flipped_bit_and_every_cut() {
    let mut messages = Vec::new();
    for vector in all() {
        for bit in 0..vector.bytes.len() * 8 {
            let mut bad = vector.bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            messages.push((vector.topic, bad));
        }
        for end in 0..vector.bytes.len() {
            messages.push((vector.topic, vector.bytes[..end].to_vec()));
        }
    }
    assert!(messages.len() > 3000);
    let lines: Vec<_> = messages
        .iter()
        .map(|(topic, bytes)| format!("{topic} {}", hex(bytes)))
        .collect();
    for ((topic, bytes), answer) in messages.iter().zip(ask(&lines)) {
        let by_c = answer.split_once(' ').map_or(answer.as_str(), |(ok, _)| ok);
        assert_eq!(by_c, answer_to(*topic, bytes), "{topic} {bytes:x?}");
        if let Some((_, again)) = answer.split_once(' ') {
            assert_eq!(
                answer_to(*topic, &digits(again)),
                "ok",
                "{topic} {bytes:x?} became {again}"
            );
        }
    }
}

#[test]
fn c_takes_the_text_that_rust_takes() {
    let seconds = [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0];
    let tails: [&[u8]; 4] = [&[], &[0x80], &[0x80, 0x80], &[0x80, 0x41]];
    let mut messages = Vec::new();
    for first in 0..=u8::MAX {
        for second in seconds {
            for tail in tails {
                let name = [&[first, second], tail].concat();
                let length = u8::try_from(name.len()).unwrap();
                messages.push([&[0x20, 0, 0, 0, 0, 1, length], &name[..]].concat());
            }
        }
    }
    let lines: Vec<_> = messages
        .iter()
        .map(|bytes| format!("c {}", hex(bytes)))
        .collect();
    for (bytes, answer) in messages.iter().zip(ask(&lines)) {
        let by_c = answer.split_once(' ').map_or(answer.as_str(), |(ok, _)| ok);
        assert_eq!(by_c, answer_to('c', bytes), "{bytes:x?}");
    }
}

#[test]
fn c_writes_the_data_that_rust_writes() {
    let data = (
        true,
        300u16,
        -1i16,
        i64::MIN,
        64i32,
        1.5f32,
        -2.25f64,
        "warm",
    );
    let answers = ask(&["make data".into()]);
    assert_eq!(
        answers,
        [format!(
            "ok {}",
            hex(&postcard::to_allocvec(&data).unwrap())
        )]
    );
}

#[test]
fn c_is_built_for_a_microcontroller() {
    let object = Path::new(env!("CARGO_TARGET_TMPDIR")).join("edge_wire.thumb.o");
    run(Command::new("arm-none-eabi-gcc")
        .args(FLAGS)
        .args([
            "-Os",
            "-mcpu=cortex-m3",
            "-mthumb",
            "-ffunction-sections",
            "-c",
        ])
        .arg(sources().join("edge_wire.c"))
        .arg("-o")
        .arg(&object));
    let symbols = Command::new("arm-none-eabi-nm")
        .arg("-u")
        .arg(&object)
        .output()
        .unwrap();
    let symbols = String::from_utf8(symbols.stdout).unwrap();
    let allowed = ["memcpy", "memmove", "memset", "memcmp"];
    let needed: Vec<_> = symbols
        .split_whitespace()
        .filter(|symbol| *symbol != "U")
        .collect();
    assert!(
        needed
            .iter()
            .all(|symbol| allowed.contains(symbol) || symbol.starts_with("__aeabi_")),
        "{needed:?}"
    );
}
