mod arbitrary;
mod differential;
mod encoding;
mod malformed;
mod round_trip;

use super::decode::{DecodeError, Decoder};
use super::packet::{Packet, Version};
use arbitrary::Sender;
use bytes::BytesMut;

/// A decoder in the middle of a connection.
fn decoder(sender: Sender, version: Version) -> Decoder {
    match sender {
        Sender::Server => Decoder::from_server(version, usize::MAX),
        Sender::Client => {
            let mut decoder = Decoder::from_client(usize::MAX);
            let level = if version == Version::V5 {
                &b"\x05\x02\0\0\0\0\0"[..]
            } else {
                &b"\x04\x02\0\0\0\0"[..]
            };
            let mut connect = BytesMut::from(&b"\x10"[..]);
            connect.extend_from_slice(&[u8::try_from(6 + level.len()).unwrap()]);
            connect.extend_from_slice(b"\0\x04MQTT");
            connect.extend_from_slice(level);
            assert!(decoder.decode(&mut connect).unwrap().is_some());
            decoder
        }
    }
}

fn decode_one(
    sender: Sender,
    version: Version,
    bytes: &[u8],
) -> Result<Option<Packet>, DecodeError> {
    let mut decoder = match bytes.first() {
        Some(first) if first >> 4 == 1 => Decoder::from_client(usize::MAX),
        _ => decoder(sender, version),
    };
    decoder.decode(&mut BytesMut::from(bytes))
}
