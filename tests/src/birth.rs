use wire::{
    Mark, Stream, Versions,
    birth::{Device, StreamState, encode_birth},
    kind::{Announced, Kind},
};

const INCARNATION: u32 = 0x00c0_ffee;

/// The first birth of a device with this one kind and one stream, of which nothing was lost.
#[must_use]
pub fn birth_with(kind: Kind<'_>) -> Vec<u8> {
    let device = Device {
        versions: Versions::OURS,
        incarnation: INCARNATION,
        boot: 1,
        uptime_ms: 5_000,
        firmware: "1.0.0",
        configuration: 0,
        kinds: 1,
    };
    let outbox = StreamState {
        incarnation: INCARNATION,
        stream: Stream::new(0).expect("0 is a stream"),
        last: Mark::default(),
        oldest: Mark { boot: 1, seq: 1 },
    };
    let mut bytes = [0; 512];
    let birth = encode_birth(&device, &[outbox], &[], &[Announced::new(kind)], &mut bytes);
    birth.expect("it is short").to_vec()
}
