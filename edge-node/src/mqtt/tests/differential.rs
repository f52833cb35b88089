//! This codec and that of rumqttc 0.25 on the same bytes. Wherever they disagree a row says why, with the clause of the
//! specification; a row that no bytes need any more fails the test too.

use super::decode_one;
use super::round_trip::for_packets;
use crate::mqtt::decode::DecodeError;
use crate::mqtt::encode::encode;
use crate::mqtt::packet::{Packet, Version};
use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;
use std::collections::BTreeSet;

/// What rumqttc takes and is refused here, by what the error says.
const REFUSED_HERE: &[(&str, &str)] = &[
    (
        "of the fixed header are not the reserved ones",
        "MQTT-2.1.3-1: rumqttc looks at the flags of PUBLISH alone",
    ),
    (
        "is not sent by this end of a connection",
        "2.1.2: rumqttc does not know which end it reads",
    ),
    (
        "is followed by more bytes",
        "2.1.4: rumqttc does not look at what is left of the packet",
    ),
    (
        "is cut off by the end of the packet",
        "2.2.2.1: rumqttc lets a property run over the end of its block",
    ),
    (
        "is not in the shortest form",
        "MQTT-1.5.5-1: rumqttc takes any form",
    ),
    ("holds U+0000", "MQTT-1.5.4-2: rumqttc does not look for it"),
    (
        "is not UTF-8",
        "MQTT-1.5.4-1: rumqttc keeps topics as bytes",
    ),
    (
        "is empty",
        "MQTT-4.7.3-1 and 3.3.2.1: rumqttc does not look at topic names",
    ),
    (
        "holds a wildcard",
        "MQTT-3.3.2-2: rumqttc does not look at topic names",
    ),
    (
        "is 0",
        "MQTT-2.2.1-3, 3.1.2.11.4, 3.3.2.3.4, 3.8.2.1.2: rumqttc takes 0 where there is no 0",
    ),
    ("comes twice", "2.2.2.2: rumqttc keeps the last one"),
    (
        "is neither 0 nor 1",
        "3.1.2.11.6, 3.2.2.3, 3.3.2.3.2: rumqttc takes any byte",
    ),
    (
        "is none of those this packet may carry",
        "2.2.2.2 and the tables of reason codes: rumqttc has one list for several packets",
    ),
    (
        "is set at QoS 0",
        "MQTT-3.3.1-2: rumqttc does not look at DUP",
    ),
    (
        "have the reserved bit set",
        "MQTT-3.1.2-3: rumqttc does not look at the reserved connect flag",
    ),
    (
        "have reserved bits set",
        "MQTT-3.2.2-1, MQTT-3.8.3-5: rumqttc looks at the bits it knows alone",
    ),
    (
        "is 3 or has reserved bits set",
        "MQTT-3.8.3-4 of 3.1.1: rumqttc looks at the bits it knows alone",
    ),
    (
        "is set in a refusal",
        "MQTT-3.2.2-4: rumqttc does not compare the two",
    ),
    (
        "have a password without a user name",
        "MQTT-3.1.2-22 of 3.1.1: rumqttc takes the password",
    ),
    (
        "names no topic filter",
        "MQTT-3.10.3-2: rumqttc takes an UNSUBSCRIBE without payload",
    ),
];

/// What is taken here and refused by rumqttc, by packet and its error.
const REFUSED_THERE: &[(&str, &str, &str)] = &[
    (
        "CONNECT",
        "TopicNotUtf8",
        "3.1.3.6: a password is binary data, rumqttc wants text",
    ),
    (
        "AUTH",
        "InvalidPacketType(15)",
        "3.15: rumqttc cannot read AUTH",
    ),
    (
        "DISCONNECT",
        "PayloadRequired",
        "3.14.2.1: a normal DISCONNECT may be empty",
    ),
    (
        "DISCONNECT",
        "InsufficientBytes(1)",
        "3.14.2.2.1: the property length may be left out",
    ),
];

/// What rumqttc gives back changed.
const CHANGED_THERE: &[(&str, &str)] = &[
    (
        "CONNECT",
        "3.1.2.8, 3.1.2.9: rumqttc forgets user names and passwords that are empty or alone",
    ),
    (
        "PUBLISH",
        "3.3.2.3.8: rumqttc counts a byte too many for each subscription identifier",
    ),
];

#[test]
fn rumqttc_agrees_on_what_packets_say_but_for_its_known_mistakes() {
    let mut reasons = BTreeSet::new();
    for_packets(4_000, |seed, _, version, packet| {
        let mut bytes = BytesMut::new();
        encode(version, &packet, &mut bytes).unwrap();
        reasons.extend(compare(seed, version, &bytes, &Ok(Some(packet))));
    });
    let expected = REFUSED_THERE
        .iter()
        .map(|row| row.2)
        .chain(CHANGED_THERE.iter().map(|row| row.1));
    assert_eq!(reasons, expected.collect());
}

#[test]
fn rumqttc_agrees_on_broken_packets_but_for_what_it_does_not_check() {
    let mut reasons = BTreeSet::new();
    for_packets(20_000, |seed, sender, version, packet| {
        let mut bytes = BytesMut::new();
        encode(version, &packet, &mut bytes).unwrap();
        if bytes.len() > 1_000 {
            return;
        }
        let bytes = broken(&mut fastrand::Rng::with_seed(seed), &bytes);
        let here = decode_one(sender, version, &bytes);
        let is_other_version =
            bytes.first() == Some(&0x10) && bytes.get(8) != Some(&level(version));
        if !is_other_version {
            reasons.extend(compare(seed, version, &bytes, &here));
        }
    });
    let unused: Vec<_> = REFUSED_HERE
        .iter()
        .filter(|row| !reasons.contains(row.1))
        .collect();
    assert!(unused.is_empty(), "no bytes need {unused:?}");
}

/// Why both codecs disagree on `bytes`; `None` if they do not.
fn compare(
    seed: u64,
    version: Version,
    bytes: &[u8],
    here: &Result<Option<Packet>, DecodeError>,
) -> Option<&'static str> {
    let there = rumqttc(version, bytes);
    let reason = match (here, &there) {
        (Err(_), Err(_)) => return None,
        (Ok(None), Err(error)) if error.starts_with("InsufficientBytes") => return None,
        (Ok(Some(packet)), Ok(again)) if has_same_meaning(packet, version, again) => return None,
        (Err(DecodeError::Invalid { what, .. }), Ok(_)) => REFUSED_HERE
            .iter()
            .find(|row| row.0 == *what)
            .map(|row| row.1),
        (Ok(Some(packet)), Err(error)) => REFUSED_THERE
            .iter()
            .find(|row| row.0 == packet.name() && row.1 == error)
            .map(|row| row.2),
        (Ok(Some(packet)), Ok(_)) if is_known_to_change(packet) => CHANGED_THERE
            .iter()
            .find(|row| row.0 == packet.name())
            .map(|row| row.1),
        _ => None,
    };
    let shown = bytes.escape_ascii();
    assert!(
        reason.is_some(),
        "MQTT_SEED={seed} {version:?} {shown}\nhere:  {here:?}\nthere: {there:?}"
    );
    reason
}

/// What rumqttc reads in `bytes`, as rumqttc writes it; or its error.
fn rumqttc(version: Version, bytes: &[u8]) -> Result<BytesMut, String> {
    let mut stream = BytesMut::from(bytes);
    let mut out = BytesMut::new();
    match version {
        Version::V311 => v4::Packet::read(&mut stream, usize::MAX)
            .map_err(|error| format!("{error:?}"))?
            .write(&mut out, usize::MAX)
            .map_err(|error| format!("when written: {error:?}"))?,
        Version::V5 => v5::Packet::read(&mut stream, None)
            .map_err(|error| format!("{error:?}"))?
            .write(&mut out, None)
            .map_err(|error| format!("when written: {error:?}"))?,
    };
    Ok(out)
}

fn has_same_meaning(packet: &Packet, version: Version, again: &[u8]) -> bool {
    use super::arbitrary::Sender::{Client, Server};
    [Client, Server]
        .iter()
        .any(|sender| decode_one(*sender, version, again).as_ref() == Ok(&Some(packet.clone())))
}

fn is_known_to_change(packet: &Packet) -> bool {
    match packet {
        Packet::Connect(connect) => {
            let empty = connect.user_name.as_deref() == Some("")
                || connect.password.as_deref() == Some(b"");
            empty || connect.password.is_some() && connect.user_name.is_none()
        }
        Packet::Publish(publish) => publish
            .properties
            .set()
            .is_some_and(|set| !set.subscription_identifiers.is_empty()),
        _ => false,
    }
}

/// Bytes near those of a packet: the mistakes are where a decoder looks.
fn broken(rng: &mut fastrand::Rng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.usize(1..4) {
        let has_connect_flags = bytes[0] == 0x10 && bytes.len() > 9;
        let at = if has_connect_flags && rng.bool() {
            9
        } else {
            rng.usize(..bytes.len().min(40))
        };
        match rng.u8(0..4) {
            0 => bytes[at] ^= 1 << rng.u8(0..8),
            1 => bytes[at] = [0, 1, 2, 3, 0x7F, 0x80, 0xFF][rng.usize(..7)],
            2 if at > 1 => {
                bytes.remove(at);
                bytes[1] = bytes[1].wrapping_sub(1);
            }
            3 if at > 1 => {
                bytes.insert(at, rng.u8(..));
                bytes[1] = bytes[1].wrapping_add(1);
            }
            _ => {}
        }
    }
    bytes
}

fn level(version: Version) -> u8 {
    if version == Version::V5 { 5 } else { 4 }
}
