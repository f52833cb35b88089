//! Bytes of a connection: what is decoded is encoded and decoded again, and must be the same packet.
//!
//! ```text
//! bit 0 of the first byte: MQTT 5; bit 1: sent by a server; bit 2: in the middle of a connection
//! the rest: the bytes, cut in two where the second byte says
//! ```
#![no_main]

use bytes::BytesMut;
use edge_node::mqtt::decode::Decoder;
use edge_node::mqtt::encode::{encode, encoded_len};
use edge_node::mqtt::packet::{Packet, Version};
use edge_node::mqtt::stored;
use libfuzzer_sys::fuzz_target;

const MAX_PACKET_SIZE: usize = 1024 * 1024;

fuzz_target!(|input: &[u8]| {
    let [mode, cut, bytes @ ..] = input else { return };
    let version = if mode & 1 == 0 { Version::V311 } else { Version::V5 };
    let by_server = mode & 2 != 0;
    let mut decoder = match (by_server, mode & 4 != 0) {
        (true, _) => Decoder::from_server(version, MAX_PACKET_SIZE),
        (false, true) => connected(version),
        (false, false) => Decoder::from_client(MAX_PACKET_SIZE),
    };
    let (now, later) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    let mut buffer = BytesMut::from(now);
    if drain(&mut decoder, by_server, &mut buffer) {
        buffer.extend_from_slice(later);
        drain(&mut decoder, by_server, &mut buffer);
    }
});

/// Whether the connection goes on.
fn drain(decoder: &mut Decoder, by_server: bool, buffer: &mut BytesMut) -> bool {
    loop {
        let before = buffer.clone();
        match decoder.decode(buffer) {
            Ok(Some(packet)) => check(decoder, by_server, &packet),
            Ok(None) => return true,
            Err(error) => {
                assert_eq!(*buffer, before, "an error took bytes");
                assert!(error.reason().is_error() && !error.to_string().is_empty());
                return false;
            }
        }
    }
}

fn check(decoder: &Decoder, by_server: bool, packet: &Packet) {
    let version = decoder.version().expect("a packet was decoded");
    let mut bytes = BytesMut::new();
    encode(version, packet, &mut bytes).expect("what was decoded can be encoded");
    assert_eq!(encoded_len(version, packet), Ok(bytes.len()));
    let mut again = match packet {
        Packet::Connect(_) => Decoder::from_client(usize::MAX),
        _ if by_server => Decoder::from_server(version, usize::MAX),
        _ => connected(version),
    };
    assert_eq!(again.decode(&mut bytes), Ok(Some(packet.clone())));
    assert!(bytes.is_empty());
    if let Packet::Publish(publish) = packet {
        let block = stored::encode(&publish.properties).expect("what was decoded can be stored");
        let properties = stored::decode(&block).expect("what was stored can be decoded");
        assert_eq!(stored::encode(&properties), Ok(block));
    }
}

fn connected(version: Version) -> Decoder {
    let mut decoder = Decoder::from_client(MAX_PACKET_SIZE);
    let mut connect = BytesMut::from(match version {
        Version::V311 => &b"\x10\x0C\0\x04MQTT\x04\x02\0\0\0\0"[..],
        Version::V5 => &b"\x10\x0D\0\x04MQTT\x05\x02\0\0\0\0\0"[..],
    });
    assert!(matches!(decoder.decode(&mut connect), Ok(Some(Packet::Connect(_)))));
    decoder
}
