//! What a node sends a device: no bytes make its client panic, a packet takes no more than there is, and more bytes behind it
//! change nothing.
#![no_main]

use firmware::mqtt::{Packet, PacketError};
use libfuzzer_sys::fuzz_target;
use wire::{answer::Answer, command::Command};

/// As much as the client holds.
const MOST: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    loop {
        match Packet::take(rest, MOST) {
            Ok(Some((packet, len))) => {
                assert!((2..=rest.len().min(MOST)).contains(&len));
                assert_eq!(Packet::take(&rest[..len], MOST), Ok(Some((packet, len))));
                assert_eq!(Packet::take(&rest[..len - 1], MOST), Ok(None));
                if let Packet::Publish { payload, .. } = packet {
                    let _ = (Answer::decode(payload), Command::decode(payload)); // any answer will do
                }
                rest = &rest[len..];
            }
            Ok(None) => {
                assert!(rest.len() < MOST, "a full buffer waits for ever");
                return;
            }
            Err(PacketError::TooLarge(len)) => return assert!(len > MOST),
            Err(PacketError::Malformed | PacketError::Unexpected(_)) => return,
        }
    }
});
