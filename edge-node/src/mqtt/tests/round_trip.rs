use super::arbitrary::{self, Sender};
use super::decode_one;
use crate::mqtt::encode::{encode, encoded_len};
use crate::mqtt::packet::*;
use bytes::BytesMut;

const SENDERS: [Sender; 2] = [Sender::Client, Sender::Server];
const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

/// Calls `check` with packets of all kinds; the seed of a failure is in its message.
pub(super) fn for_packets(count: u64, mut check: impl FnMut(u64, Sender, Version, Packet)) {
    let first = std::env::var("MQTT_SEED")
        .ok()
        .map(|seed| seed.parse().unwrap());
    for seed in first.map_or(0..count, |seed| seed..seed + 1) {
        for sender in SENDERS {
            for version in VERSIONS {
                let packet =
                    arbitrary::packet(&mut fastrand::Rng::with_seed(seed), sender, version);
                check(seed, sender, version, packet);
            }
        }
    }
}

#[test]
fn every_packet_comes_back_as_it_was_encoded() {
    for_packets(3_000, |seed, sender, version, packet| {
        let mut bytes = BytesMut::new();
        encode(version, &packet, &mut bytes).unwrap();
        assert_eq!(
            encoded_len(version, &packet),
            Ok(bytes.len()),
            "MQTT_SEED={seed} {sender:?} {version:?}"
        );
        assert_eq!(
            decode_one(sender, version, &bytes),
            Ok(Some(packet)),
            "MQTT_SEED={seed} {sender:?} {version:?}"
        );
    });
}

#[test]
fn a_packet_that_is_cut_off_asks_for_more() {
    for_packets(400, |seed, sender, version, packet| {
        let mut bytes = BytesMut::new();
        encode(version, &packet, &mut bytes).unwrap();
        let step = (bytes.len() / 500).max(1);
        for length in (0..bytes.len()).step_by(step) {
            let prefix = decode_one(sender, version, &bytes[..length]);
            assert_eq!(
                prefix,
                Ok(None),
                "MQTT_SEED={seed} {sender:?} {version:?} first {length} bytes"
            );
        }
    });
}
