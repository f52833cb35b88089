//! The block as its two sides meet it: what was written is read, and no torn or corrupt copy is taken for a whole one.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use configuration::{
    COPY_BYTES, Configuration, CopyError, Credentials, Place, Settings, SettingsError, Standing,
    Unreadable, Wifi, encode, read,
};

const SMALL: Settings<'static> = Settings {
    id: "m1",
    host: "10.0.2.2",
    port: 1883,
    wifi: None,
    credentials: None,
};

const LARGE: Settings<'static> = Settings {
    id: "pump_7.north-hall",
    host: "node.factory.example",
    port: 65535,
    wifi: Some(Wifi {
        ssid: "Halle 3 – Nord",
        passphrase: Some("correct horse battery"),
    }),
    credentials: Some(Credentials {
        user: "pump-7",
        password: &[0, 255, 7],
    }),
};

const ERASED: [u8; COPY_BYTES] = [0xff; COPY_BYTES];

#[test]
fn a_copy_has_the_bytes_the_format_says() {
    let copy = copy_of(&SMALL, 5);
    let specified = b"EDGC\x01\x00\x12\x00\x05\x00\x00\x00\
        \x01\x02m1\x02\x0810.0.2.2\x03\x02\x5b\x07";
    assert_eq!(copy[..30], specified[..]);
    assert_eq!(copy[30..34], crc32(specified).to_le_bytes());
    assert_eq!(copy[34..], ERASED[34..]);
}

#[test]
fn what_was_written_is_read() {
    for settings in [SMALL, LARGE, longest()] {
        let copy = copy_of(&settings, 1);
        assert_eq!(
            read(&copy, &copy),
            Ok(Configuration {
                settings,
                place: Place::First,
                generation: 1,
                version: 0,
                standing: Standing::Holds,
                other: Ok(())
            })
        );
    }
}

#[test]
fn the_newer_copy_holds_wherever_it_is() {
    let (old, new) = (copy_of(&SMALL, 7), copy_of(&LARGE, 8));
    let behind = read(&old, &new).unwrap();
    assert_eq!(
        (behind.settings, behind.place, behind.spare()),
        (LARGE, Place::Second, Place::First)
    );
    let before = read(&new, &old).unwrap();
    assert_eq!(
        (before.settings, before.place, before.spare()),
        (LARGE, Place::First, Place::Second)
    );
}

/// The power goes after each byte of a write to erased flash, in each place, over each other copy.
#[test]
fn a_write_cut_anywhere_leaves_the_other_copy() {
    let (old, new) = (copy_of(&LARGE, 1), copy_of(&SMALL, 2));
    let end = 34;
    for cut in 0..end {
        let mut torn = ERASED;
        torn[..cut].copy_from_slice(&new[..cut]);
        let why = if cut == 0 {
            CopyError::Blank
        } else {
            error_of(&torn)
        };
        let held = |place| {
            Ok(Configuration {
                settings: LARGE,
                place,
                generation: 1,
                version: 0,
                standing: Standing::Holds,
                other: Err(why),
            })
        };
        assert_eq!(read(&old, &torn), held(Place::First), "cut at {cut}");
        assert_eq!(read(&torn, &old), held(Place::Second), "cut at {cut}");
    }
    let mut whole = ERASED;
    whole[..end].copy_from_slice(&new[..end]);
    assert_eq!(read(&old, &whole).unwrap().settings, SMALL);
}

/// An erase that was cut leaves some bits set and others not.
#[test]
fn a_copy_half_erased_is_not_read() {
    let (held, erased) = (copy_of(&SMALL, 1), copy_of(&LARGE, 2));
    for cut in 1..100 {
        let mut half = erased;
        half[..cut].fill(0xff);
        let configuration = read(&held, &half).unwrap();
        assert_eq!(
            (configuration.settings, configuration.place),
            (SMALL, Place::First)
        );
        assert_eq!(
            configuration.other,
            Err(CopyError::Foreign),
            "erased up to {cut}"
        );
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let whole = copy_of(&LARGE, 9);
    let covered = 12 + usize::from(u16::from_le_bytes([whole[6], whole[7]])) + 4;
    for bit in 0..covered * 8 {
        let mut copy = whole;
        copy[bit / 8] ^= 1 << (bit % 8);
        let Unreadable { first, second } = read(&copy, &copy).unwrap_err();
        assert_eq!(first, second);
        let expected = match bit / 8 {
            0..4 => CopyError::Foreign,
            4 => CopyError::Version(1 ^ (1 << (bit % 8))),
            // A longer length takes in what follows, or more than there is.
            6 | 7 => first,
            _ => CopyError::Check,
        };
        assert_eq!(first, expected, "bit {bit}");
    }
}

#[test]
fn a_copy_that_ends_early_is_cut_short() {
    let whole = copy_of(&SMALL, 1);
    for length in 0..34 {
        assert_eq!(
            error_of(&whole[..length]),
            CopyError::Length,
            "{length} bytes"
        );
    }
    assert!(read(&whole[..34], &ERASED).is_ok());
}

#[test]
fn a_board_without_a_block_says_what_to_do() {
    let missing = read(&ERASED, &[0; COPY_BYTES]).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "the configuration block cannot be read (first copy: blank; second: no configuration): \
         write one with `provision` and flash it"
    );
}

#[test]
fn a_field_of_a_later_tool_is_passed_over_or_refused_as_its_tag_says() {
    let copy = |tag| sealed(&[&FIELDS[..], &[tag, 2, 9, 9]].concat());
    assert_eq!(read(&copy(127), &ERASED).unwrap().settings, SMALL);
    assert_eq!(error_of(&copy(128)), CopyError::Unknown(128));
}

#[test]
fn fields_that_no_tool_of_ours_writes_are_refused_by_tag() {
    let cases: [(&[u8], CopyError); 9] = [
        (b"", CopyError::Field(1)),
        (b"\x01\x02m1\x03\x02\x5b\x07", CopyError::Field(2)),
        (b"\x01\x02m1\x02\x01h", CopyError::Field(3)),
        (b"\x01\x02m1\x02\x01h\x03\x01\x5b", CopyError::Field(3)),
        (b"\x01\x02m1\x02\x01h\x03\x02\x00\x00", CopyError::Field(3)),
        (b"\x02\x01h\x01\x02m1\x03\x02\x5b\x07", CopyError::Field(1)),
        (b"\x01\x02m1\x01\x02m1", CopyError::Field(1)),
        (b"\x01\x09m1", CopyError::Field(1)),
        (b"\x01\x02\xff\xfe", CopyError::Field(1)),
    ];
    for (fields, why) in cases {
        assert_eq!(error_of(&sealed(fields)), why, "{fields:?}");
    }
    for (lone, why) in [
        (&b"\x05\x08password"[..], CopyError::Field(4)),
        (b"\x06\x01u", CopyError::Field(7)),
        (b"\x07\x01p", CopyError::Field(6)),
        (b"\x09", CopyError::Field(9)),
    ] {
        assert_eq!(
            error_of(&sealed(&[&FIELDS[..], lone].concat())),
            why,
            "{lone:?}"
        );
    }
}

#[test]
fn settings_out_of_their_bounds_are_not_written() {
    let long = "x".repeat(65);
    let wifi = |ssid, passphrase| Some(Wifi { ssid, passphrase });
    let credentials = |user, password| Some(Credentials { user, password });
    let cases = [
        (Settings { id: "", ..SMALL }, SettingsError::Id),
        (Settings { id: &long, ..SMALL }, SettingsError::Id),
        (Settings { id: "a/b", ..SMALL }, SettingsError::Id),
        (Settings { host: "", ..SMALL }, SettingsError::Host),
        (
            Settings {
                host: &long[1..],
                ..SMALL
            },
            SettingsError::Host,
        ),
        (
            Settings {
                host: "a b",
                ..SMALL
            },
            SettingsError::Host,
        ),
        (Settings { port: 0, ..SMALL }, SettingsError::Port),
        (
            Settings {
                wifi: wifi("", None),
                ..SMALL
            },
            SettingsError::Ssid,
        ),
        (
            Settings {
                wifi: wifi(&long[32..], None),
                ..SMALL
            },
            SettingsError::Ssid,
        ),
        (
            Settings {
                wifi: wifi("w", Some("seven77")),
                ..SMALL
            },
            SettingsError::Passphrase,
        ),
        (
            Settings {
                wifi: wifi("w", Some(&long[1..])),
                ..SMALL
            },
            SettingsError::Passphrase,
        ),
        (
            Settings {
                credentials: credentials("", b"p"),
                ..SMALL
            },
            SettingsError::User,
        ),
        (
            Settings {
                credentials: credentials("u", b""),
                ..SMALL
            },
            SettingsError::Password,
        ),
    ];
    for (settings, why) in cases {
        let mut copy = ERASED;
        assert_eq!(encode(&settings, 1, &mut copy), Err(why), "{settings:?}");
        assert_eq!(copy, ERASED);
    }
}

#[test]
fn secrets_are_not_printed() {
    let shown = format!("{LARGE:?}");
    assert!(
        shown.contains("pump-7") && shown.contains("Halle 3"),
        "{shown}"
    );
    assert!(
        !shown.contains("correct horse") && !shown.contains("255"),
        "{shown}"
    );
}

const FIELDS: [u8; 18] = *b"\x01\x02m1\x02\x0810.0.2.2\x03\x02\x5b\x07";

fn copy_of(settings: &Settings<'_>, generation: u32) -> [u8; COPY_BYTES] {
    let mut copy = [0; COPY_BYTES];
    encode(settings, generation, &mut copy).unwrap();
    copy
}

/// A copy with a valid check around any fields.
fn sealed(fields: &[u8]) -> Vec<u8> {
    let length = u16::try_from(fields.len()).unwrap().to_le_bytes();
    let mut copy = [b"EDGC\x01\x00", &length[..], &[1, 0, 0, 0], fields].concat();
    copy.extend(crc32(&copy).to_le_bytes());
    copy.resize(COPY_BYTES, 0xff);
    copy
}

fn error_of(copy: &[u8]) -> CopyError {
    read(copy, &ERASED).unwrap_err().first
}

/// Every value as long as it may be.
fn longest() -> Settings<'static> {
    let text = |length| &*Box::leak("y".repeat(length).into_boxed_str());
    Settings {
        id: text(64),
        host: text(63),
        port: 1,
        wifi: Some(Wifi {
            ssid: text(32),
            passphrase: Some(text(63)),
        }),
        credentials: Some(Credentials {
            user: text(64),
            password: text(64).as_bytes(),
        }),
    }
}

/// The check once more, written from its polynomial and not from the crate's code.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        for bit in 0..8 {
            let carry = (crc ^ u32::from(byte >> bit)) & 1 == 1;
            crc >>= 1;
            if carry {
                crc ^= 0xedb8_8320;
            }
        }
    }
    !crc
}
