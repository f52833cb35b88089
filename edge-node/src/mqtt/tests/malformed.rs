//! Packets against the specification, each with the clause it breaks, the reason code and the text of the error.

use super::arbitrary::Sender::{self, Client, Server};
use super::{decode_one, decoder};
use crate::mqtt::decode::{DecodeError, Decoder};
use crate::mqtt::packet::ReasonCode::{
    self, MalformedPacket, PacketTooLarge, ProtocolError, TopicAliasInvalid,
};
use crate::mqtt::packet::Version::{self, V5, V311};
use bytes::BytesMut;

/// Who sends it, in which version, the clause, the bytes, and what is said about them.
type Case = (
    Sender,
    Version,
    &'static str,
    &'static [u8],
    ReasonCode,
    &'static str,
);

#[rustfmt::skip]
const FIXED_HEADER: &[Case] = &[
    (Client, V311, "2.2.1", b"\x00\0", MalformedPacket, "packet: type is reserved"),
    (Client, V5, "2.1.2", b"\x00\0", MalformedPacket, "packet: type is reserved"),
    (Client, V311, "2.2.1", b"\xF0\0", MalformedPacket, "packet: type is reserved"),
    (Client, V5, "MQTT-2.1.3-1", b"\x80\x05", MalformedPacket, "SUBSCRIBE: flags of the fixed header are not the reserved ones"),
    (Client, V311, "MQTT-2.2.2-2", b"\xA0\x05", MalformedPacket, "UNSUBSCRIBE: flags of the fixed header are not the reserved ones"),
    (Client, V5, "MQTT-3.6.1-1", b"\x60\x02\0\x01", MalformedPacket, "PUBREL: flags of the fixed header are not the reserved ones"),
    (Client, V5, "2.1.3", b"\x41\x02\0\x01", MalformedPacket, "PUBACK: flags of the fixed header are not the reserved ones"),
    (Client, V5, "2.1.3", b"\xC8", MalformedPacket, "PINGREQ: flags of the fixed header are not the reserved ones"),
    (Client, V311, "2.2.3", b"\x30\xFF\xFF\xFF\xFF", MalformedPacket, "PUBLISH: remaining length is longer than four bytes"),
    (Client, V5, "MQTT-1.5.5-1", b"\xC0\x80\x00", MalformedPacket, "PINGREQ: remaining length is not in the shortest form"),
    (Client, V5, "3.12", b"\xC0\x01\x00", MalformedPacket, "PINGREQ: end is followed by more bytes"),
    (Client, V5, "4.13.1", b"\xD0\0", ProtocolError, "PINGRESP: packet is not sent by this end of a connection"),
    (Client, V311, "3.2", b"\x20\x02\0\0", ProtocolError, "CONNACK: packet is not sent by this end of a connection"),
    (Server, V5, "3.8", b"\x82\0", ProtocolError, "SUBSCRIBE: packet is not sent by this end of a connection"),
    (Server, V311, "3.14", b"\xE0\0", ProtocolError, "DISCONNECT: packet is not sent by this end of a connection"),
];

#[rustfmt::skip]
const CONNECT: &[Case] = &[
    (Client, V311, "MQTT-3.1.2-3", b"\x10\x0C\0\x04MQTT\x04\x01\0\0\0\0", MalformedPacket, "CONNECT: flags have the reserved bit set"),
    (Client, V311, "MQTT-3.1.2-14", b"\x10\x10\0\x04MQTT\x04\x1C\0\0\0\0\0\x01a\0\0", MalformedPacket, "CONNECT: will QoS is 3"),
    (Client, V311, "MQTT-3.1.2-13", b"\x10\x0C\0\x04MQTT\x04\x08\0\0\0\0", MalformedPacket, "CONNECT: flags speak of a will that is not there"),
    (Client, V5, "MQTT-3.1.2-13", b"\x10\x0D\0\x04MQTT\x05\x20\0\0\0\0\0", MalformedPacket, "CONNECT: flags speak of a will that is not there"),
    (Client, V311, "MQTT-3.1.2-22", b"\x10\x0E\0\x04MQTT\x04\x40\0\0\0\0\0\0", MalformedPacket, "CONNECT: flags have a password without a user name"),
    (Client, V311, "3.1.3", b"\x10\x0B\0\x04MQTT\x04\0\0\0\0", MalformedPacket, "CONNECT: client identifier is cut off by the end of the packet"),
    (Client, V311, "3.1.3.5", b"\x10\x0E\0\x04MQTT\x04\x80\0\0\0\0\0\x01", MalformedPacket, "CONNECT: user name is cut off by the end of the packet"),
    (Client, V311, "3.1.3", b"\x10\x0D\0\x04MQTT\x04\0\0\0\0\0!", MalformedPacket, "CONNECT: end is followed by more bytes"),
    (Client, V311, "MQTT-1.5.3-2", b"\x10\x0D\0\x04MQTT\x04\0\0\0\0\x01\0", MalformedPacket, "CONNECT: client identifier holds U+0000"),
    (Client, V5, "MQTT-1.5.4-1", b"\x10\x10\0\x04MQTT\x05\0\0\0\0\0\x03\xED\xA0\x80", MalformedPacket, "CONNECT: client identifier is not UTF-8"),
    (Client, V5, "MQTT-1.5.5-1", b"\x10\x8D\0\0\x04MQTT\x05\0\0\0\0\0\0", MalformedPacket, "CONNECT: remaining length is not in the shortest form"),
    (Client, V5, "3.1.2.11.3", b"\x10\x10\0\x04MQTT\x05\0\0\0\x03\x21\0\0\0\0", ProtocolError, "CONNECT: receive maximum is 0"),
    (Client, V5, "3.1.2.11.4", b"\x10\x12\0\x04MQTT\x05\0\0\0\x05\x27\0\0\0\0\0\0", ProtocolError, "CONNECT: maximum packet size is 0"),
    (Client, V5, "3.1.2.11.3", b"\x10\x13\0\x04MQTT\x05\0\0\0\x06\x21\0\x01\x21\0\x01\0\0", ProtocolError, "CONNECT: receive maximum comes twice"),
    (Client, V5, "3.1.2.11.6", b"\x10\x0F\0\x04MQTT\x05\0\0\0\x02\x19\x02\0\0", ProtocolError, "CONNECT: request response information is neither 0 nor 1"),
    (Client, V5, "3.1.2.11.7", b"\x10\x0F\0\x04MQTT\x05\0\0\0\x02\x17\x02\0\0", ProtocolError, "CONNECT: request problem information is neither 0 nor 1"),
    (Client, V5, "3.1.2.11.10", b"\x10\x10\0\x04MQTT\x05\0\0\0\x03\x16\0\0\0\0", ProtocolError, "CONNECT: authentication data comes without a method"),
    (Client, V5, "2.2.2.2", b"\x10\x10\0\x04MQTT\x05\0\0\0\x03\x23\0\x01\0\0", MalformedPacket, "CONNECT: property identifier is none of those this packet may carry"),
    (Client, V5, "2.2.2.2", b"\x10\x0F\0\x04MQTT\x05\0\0\0\x02\x7F\0\0\0", MalformedPacket, "CONNECT: property identifier is none of those this packet may carry"),
    (Client, V5, "2.2.2.1", b"\x10\x0D\0\x04MQTT\x05\0\0\0\x05\0\0", MalformedPacket, "CONNECT: property block is cut off by the end of the packet"),
    (Client, V5, "2.2.2.1", b"\x10\x0F\0\x04MQTT\x05\0\0\0\x02\x21\x01\0\0", MalformedPacket, "CONNECT: receive maximum is cut off by the end of the packet"),
    (Client, V5, "4.7.1", b"\x10\x13\0\x04MQTT\x05\x04\0\0\0\0\0\0\0\x01#\0\0", MalformedPacket, "CONNECT: will topic holds a wildcard"),
    (Client, V311, "MQTT-4.7.3-1", b"\x10\x10\0\x04MQTT\x04\x04\0\0\0\0\0\0\0\0", ProtocolError, "CONNECT: will topic is empty"),
    (Client, V5, "3.1.3.2.4", b"\x10\x14\0\x04MQTT\x05\x04\0\0\0\0\0\x02\x01\x02\0\x01a\0\0", ProtocolError, "CONNECT: payload format indicator is neither 0 nor 1"),
];

#[rustfmt::skip]
const PUBLISH: &[Case] = &[
    (Client, V311, "MQTT-3.3.1-4", b"\x36\x05\0\x01a\0\x01", MalformedPacket, "PUBLISH: QoS is 3"),
    (Server, V5, "MQTT-3.3.1-4", b"\x36\x06\0\x01a\0\x01\0", MalformedPacket, "PUBLISH: QoS is 3"),
    (Client, V311, "MQTT-3.3.1-2", b"\x38\x03\0\x01a", MalformedPacket, "PUBLISH: DUP is set at QoS 0"),
    (Client, V311, "MQTT-2.3.1-1", b"\x32\x05\0\x01a\0\0", ProtocolError, "PUBLISH: packet identifier is 0"),
    (Client, V5, "MQTT-2.2.1-3", b"\x34\x06\0\x01a\0\0\0", ProtocolError, "PUBLISH: packet identifier is 0"),
    (Client, V311, "2.3.1", b"\x32\x04\0\x01a\0", MalformedPacket, "PUBLISH: packet identifier is cut off by the end of the packet"),
    (Client, V311, "MQTT-3.3.2-2", b"\x30\x05\0\x03a/+", MalformedPacket, "PUBLISH: topic holds a wildcard"),
    (Client, V5, "MQTT-3.3.2-2", b"\x30\x04\0\x01#\0", MalformedPacket, "PUBLISH: topic holds a wildcard"),
    (Client, V311, "MQTT-4.7.3-1", b"\x30\x02\0\0", ProtocolError, "PUBLISH: topic is empty"),
    (Client, V5, "3.3.2.1", b"\x30\x03\0\0\0", ProtocolError, "PUBLISH: topic is empty"),
    (Client, V311, "MQTT-4.7.3-2", b"\x30\x03\0\x01\0", MalformedPacket, "PUBLISH: topic holds U+0000"),
    (Client, V311, "MQTT-1.5.3-1", b"\x30\x05\0\x03\xED\xB0\x80", MalformedPacket, "PUBLISH: topic is not UTF-8"),
    (Client, V311, "1.5.3", b"\x30\x04\0\x02\xC0\x80", MalformedPacket, "PUBLISH: topic is not UTF-8"),
    (Client, V311, "3.3.2", b"\x30\x03\0\x02a", MalformedPacket, "PUBLISH: topic is cut off by the end of the packet"),
    (Client, V311, "3.3.2", b"\x30\x01\0", MalformedPacket, "PUBLISH: topic is cut off by the end of the packet"),
    (Client, V311, "3.3.2", b"\x30\0", MalformedPacket, "PUBLISH: topic is cut off by the end of the packet"),
    (Client, V5, "2.2.2.1", b"\x30\x03\0\x01a", MalformedPacket, "PUBLISH: property length is cut off by the end of the packet"),
    (Client, V5, "2.2.2.1", b"\x30\x04\0\x01a\x01", MalformedPacket, "PUBLISH: property block is cut off by the end of the packet"),
    (Client, V5, "MQTT-1.5.5-1", b"\x30\x05\0\x01a\x80\0", MalformedPacket, "PUBLISH: property length is not in the shortest form"),
    (Client, V5, "MQTT-1.5.5-1", b"\x30\x07\0\x01a\x03\x81\0\0", MalformedPacket, "PUBLISH: property identifier is not in the shortest form"),
    (Client, V5, "2.2.2.1", b"\x30\x07\0\x01a\xFF\xFF\xFF\xFF", MalformedPacket, "PUBLISH: property length is longer than four bytes"),
    (Client, V5, "MQTT-3.3.2-8", b"\x30\x07\0\x01a\x03\x23\0\0", TopicAliasInvalid, "PUBLISH: topic alias is 0"),
    (Client, V5, "3.3.2.3.4", b"\x30\x0A\0\x01a\x06\x23\0\x01\x23\0\x01", ProtocolError, "PUBLISH: topic alias comes twice"),
    (Client, V5, "MQTT-3.3.4-6", b"\x30\x06\0\x01a\x02\x0B\x01", ProtocolError, "PUBLISH: subscription identifier is not sent by clients"),
    (Server, V5, "3.3.2.3.8", b"\x30\x06\0\x01a\x02\x0B\0", ProtocolError, "PUBLISH: subscription identifier is 0"),
    (Client, V5, "MQTT-3.3.2-14", b"\x30\x08\0\x01a\x04\x08\0\x01+", MalformedPacket, "PUBLISH: response topic holds a wildcard"),
    (Client, V5, "3.3.2.3.2", b"\x30\x06\0\x01a\x02\x01\x02", ProtocolError, "PUBLISH: payload format indicator is neither 0 nor 1"),
    (Client, V5, "2.2.2.2", b"\x30\x07\0\x01a\x03\x21\0\x01", MalformedPacket, "PUBLISH: property identifier is none of those this packet may carry"),
    (Client, V5, "MQTT-1.5.4-2", b"\x30\x0A\0\x01a\x06\x26\0\x01\0\0\0", MalformedPacket, "PUBLISH: user property name holds U+0000"),
];

#[rustfmt::skip]
const ACKS: &[Case] = &[
    (Client, V311, "MQTT-2.3.1-1", b"\x40\x02\0\0", ProtocolError, "PUBACK: packet identifier is 0"),
    (Client, V311, "3.4.2", b"\x40\x01\0", MalformedPacket, "PUBACK: packet identifier is cut off by the end of the packet"),
    (Client, V311, "3.4.1", b"\x40\x03\0\x01\0", MalformedPacket, "PUBACK: end is followed by more bytes"),
    (Client, V5, "3.4.2.1", b"\x40\x03\0\x01\x92", ProtocolError, "PUBACK: reason code is none of those this packet may carry"),
    (Server, V5, "3.5.2.1", b"\x50\x03\0\x01\x01", ProtocolError, "PUBREC: reason code is none of those this packet may carry"),
    (Client, V5, "3.6.2.1", b"\x62\x03\0\x01\x10", ProtocolError, "PUBREL: reason code is none of those this packet may carry"),
    (Server, V5, "3.7.2.1", b"\x70\x03\0\x01\xFF", ProtocolError, "PUBCOMP: reason code is none of those this packet may carry"),
    (Server, V5, "3.4.2.2.2", b"\x40\x0A\0\x01\0\x06\x1F\0\0\x1F\0\0", ProtocolError, "PUBACK: reason string comes twice"),
    (Server, V5, "2.2.2.2", b"\x40\x06\0\x01\0\x02\x01\0", MalformedPacket, "PUBACK: property identifier is none of those this packet may carry"),
    (Server, V5, "3.4.2", b"\x40\x05\0\x01\0\0\0", MalformedPacket, "PUBACK: end is followed by more bytes"),
];

#[rustfmt::skip]
const SUBSCRIBE: &[Case] = &[
    (Client, V311, "MQTT-2.3.1-1", b"\x82\x06\0\0\0\x01a\0", ProtocolError, "SUBSCRIBE: packet identifier is 0"),
    (Client, V311, "MQTT-3.8.3-3", b"\x82\x02\0\x01", ProtocolError, "SUBSCRIBE: payload names no topic filter"),
    (Client, V5, "MQTT-3.8.3-2", b"\x82\x03\0\x01\0", ProtocolError, "SUBSCRIBE: payload names no topic filter"),
    (Client, V311, "MQTT-3.8.3-4", b"\x82\x06\0\x01\0\x01a\x03", MalformedPacket, "SUBSCRIBE: requested QoS is 3 or has reserved bits set"),
    (Client, V311, "MQTT-3.8.3-4", b"\x82\x06\0\x01\0\x01a\x04", MalformedPacket, "SUBSCRIBE: requested QoS is 3 or has reserved bits set"),
    (Client, V5, "3.8.3.1", b"\x82\x07\0\x01\0\0\x01a\x03", ProtocolError, "SUBSCRIBE: maximum QoS is 3"),
    (Client, V5, "3.8.3.1", b"\x82\x07\0\x01\0\0\x01a\x30", ProtocolError, "SUBSCRIBE: retain handling is 3"),
    (Client, V5, "MQTT-3.8.3-5", b"\x82\x07\0\x01\0\0\x01a\x40", MalformedPacket, "SUBSCRIBE: subscription options have reserved bits set"),
    (Client, V5, "MQTT-3.8.3-4", b"\x82\x10\0\x01\0\0\x0A$share/g/a\x04", ProtocolError, "SUBSCRIBE: no local is set on a shared subscription"),
    (Client, V5, "3.8.2.1.2", b"\x82\x09\0\x01\x02\x0B\0\0\x01a\0", ProtocolError, "SUBSCRIBE: subscription identifier is 0"),
    (Client, V5, "3.8.2.1.2", b"\x82\x0B\0\x01\x04\x0B\x01\x0B\x02\0\x01a\0", ProtocolError, "SUBSCRIBE: subscription identifier comes twice"),
    (Client, V311, "3.8.3", b"\x82\x05\0\x01\0\x01a", MalformedPacket, "SUBSCRIBE: requested QoS is cut off by the end of the packet"),
    (Client, V311, "MQTT-3.8.3-1", b"\x82\x06\0\x01\0\x01\xFF\0", MalformedPacket, "SUBSCRIBE: topic filter is not UTF-8"),
    (Client, V311, "MQTT-3.10.3-2", b"\xA2\x02\0\x01", ProtocolError, "UNSUBSCRIBE: payload names no topic filter"),
    (Client, V5, "MQTT-3.10.3-2", b"\xA2\x03\0\x01\0", ProtocolError, "UNSUBSCRIBE: payload names no topic filter"),
    (Client, V5, "3.10.2.1", b"\xA2\x08\0\x01\x02\x0B\x01\0\x01a", MalformedPacket, "UNSUBSCRIBE: property identifier is none of those this packet may carry"),
    (Server, V311, "MQTT-3.9.3-2", b"\x90\x03\0\x01\x83", ProtocolError, "SUBACK: reason code is none of those this packet may carry"),
    (Server, V5, "3.9.3", b"\x90\x04\0\x01\0\x11", ProtocolError, "SUBACK: reason code is none of those this packet may carry"),
    (Server, V5, "3.9.3", b"\x90\x03\0\x01\0", ProtocolError, "SUBACK: payload holds no reason code"),
    (Server, V5, "3.11.3", b"\xB0\x04\0\x01\0\x01", ProtocolError, "UNSUBACK: reason code is none of those this packet may carry"),
    (Server, V311, "3.11.3", b"\xB0\x03\0\x01\0", MalformedPacket, "UNSUBACK: end is followed by more bytes"),
];

#[rustfmt::skip]
const SESSION: &[Case] = &[
    (Server, V311, "MQTT-3.2.2-1", b"\x20\x02\x02\0", MalformedPacket, "CONNACK: flags have reserved bits set"),
    (Server, V311, "MQTT-3.2.2-4", b"\x20\x02\x01\x05", ProtocolError, "CONNACK: session present is set in a refusal"),
    (Server, V5, "MQTT-3.2.2-6", b"\x20\x03\x01\x87\0", ProtocolError, "CONNACK: session present is set in a refusal"),
    (Server, V311, "3.2.2.3", b"\x20\x02\0\x06", MalformedPacket, "CONNACK: return code is reserved"),
    (Server, V5, "3.2.2.2", b"\x20\x03\0\x8E\0", ProtocolError, "CONNACK: reason code is none of those this packet may carry"),
    (Server, V5, "3.2.2.3.4", b"\x20\x05\0\0\x02\x24\x02", ProtocolError, "CONNACK: maximum QoS is neither 0 nor 1"),
    (Server, V5, "3.2.2.3.3", b"\x20\x06\0\0\x03\x21\0\0", ProtocolError, "CONNACK: receive maximum is 0"),
    (Server, V5, "3.2.2.3.6", b"\x20\x08\0\0\x05\x27\0\0\0\0", ProtocolError, "CONNACK: maximum packet size is 0"),
    (Client, V311, "3.14.1", b"\xE0\x01\0", MalformedPacket, "DISCONNECT: end is followed by more bytes"),
    (Client, V5, "3.14.2.1", b"\xE0\x01\x8B", ProtocolError, "DISCONNECT: reason code is none of those this packet may carry"),
    (Server, V5, "3.14.2.1", b"\xE0\x01\x04", ProtocolError, "DISCONNECT: reason code is none of those this packet may carry"),
    (Server, V5, "MQTT-3.14.2-2", b"\xE0\x07\0\x05\x11\0\0\0\0", ProtocolError, "DISCONNECT: session expiry interval is not sent by servers"),
    (Client, V5, "3.14.2.2.5", b"\xE0\x05\0\x03\x1C\0\0", ProtocolError, "DISCONNECT: server reference is not sent by clients"),
    (Client, V5, "3.15.2.2.2", b"\xF0\x02\x18\0", ProtocolError, "AUTH: authentication method is missing"),
    (Client, V5, "3.15.2.1", b"\xF0\x01\0", ProtocolError, "AUTH: reason code is none of those this packet may carry"),
    (Client, V5, "3.15.2.1", b"\xF0\0", MalformedPacket, "AUTH: reason code is cut off by the end of the packet"),
    (Server, V5, "3.15.2.1", b"\xF0\x02\x19\0", ProtocolError, "AUTH: reason code is none of those this packet may carry"),
];

#[test]
fn malformed_packets_are_refused_with_the_reason_of_the_specification() {
    let mut wrong = String::new();
    for table in [FIXED_HEADER, CONNECT, PUBLISH, ACKS, SUBSCRIBE, SESSION] {
        for (sender, version, clause, bytes, reason, text) in table {
            let error = decode_one(*sender, *version, bytes);
            let found = error.map_err(|error| (error.reason(), error.to_string()));
            if found != Err((*reason, (*text).to_owned())) {
                wrong += &format!(
                    "{clause} {version:?} {:?}: {found:?}\n",
                    bytes.escape_ascii().to_string()
                );
            }
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn an_unsupported_protocol_level_can_be_answered_in_its_own_version() {
    for level in [0, 3, 6, 0x84] {
        let bytes = [b"\x10\x0D\0\x04MQTT", &[level][..], b"\x02\0\0\0\0\0"].concat();
        let error = decode_one(Client, V5, &bytes).unwrap_err();
        assert_eq!(error, DecodeError::UnsupportedVersion { level });
        assert_eq!(error.reason(), ReasonCode::UnsupportedProtocolVersion);
    }
    let old = decode_one(Client, V311, b"\x10\x0E\0\x06MQIsdp\x03\x02\0\0\0\0");
    assert_eq!(old, Err(DecodeError::UnsupportedVersion { level: 3 }));
    let other = decode_one(Client, V311, b"\x10\x0C\0\x04AMQP\x04\x02\0\0\0\0");
    assert_eq!(other, Err(DecodeError::UnknownProtocol));
    let case = decode_one(Client, V311, b"\x10\x0C\0\x04mqtt\x04\x02\0\0\0\0");
    assert_eq!(case, Err(DecodeError::UnknownProtocol));
}

#[test]
fn a_packet_over_the_limit_is_refused_before_its_body_has_come() {
    let mut decoder = decoder(Client, V5);
    decoder.set_max_packet_size(1_000);
    let error = decoder
        .decode(&mut BytesMut::from(&b"\x30\xE6\x07"[..]))
        .unwrap_err();
    assert_eq!(
        error,
        DecodeError::TooLarge {
            packet: "PUBLISH",
            size: 1_001,
            limit: 1_000
        }
    );
    assert_eq!(error.reason(), PacketTooLarge);
    assert_eq!(
        decoder.decode(&mut BytesMut::from(&b"\x30\xE5\x07"[..])),
        Ok(None)
    );
}

#[test]
fn a_connection_begins_with_its_only_connect() {
    let mut early = Decoder::from_client(100);
    let error = early
        .decode(&mut BytesMut::from(&b"\xC0\0"[..]))
        .unwrap_err();
    assert_eq!(error.to_string(), "PINGREQ: packet came before CONNECT");
    assert_eq!((error.reason(), early.version()), (ProtocolError, None));

    let mut connected = decoder(Client, V311);
    assert_eq!(connected.version(), Some(V311));
    let error = connected
        .decode(&mut BytesMut::from(
            &b"\x10\x0C\0\x04MQTT\x04\x02\0\0\0\0"[..],
        ))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "CONNECT: packet came twice on one connection"
    );
}

#[test]
fn a_refused_connect_still_tells_the_version_to_answer_in() {
    let mut decoder = Decoder::from_client(100);
    let mut buffer = BytesMut::from(&b"\x10\x0D\0\x04MQTT\x05\x01\0\0\0\0\0"[..]);
    let error = decoder.decode(&mut buffer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "CONNECT: flags have the reserved bit set"
    );
    assert_eq!(decoder.version(), Some(V5));
}

#[test]
fn an_error_leaves_the_buffer_as_it_was() {
    let mut decoder = decoder(Client, V5);
    let bytes = &b"\x30\x07\0\x01a\x03\x23\0\0\xC0\0"[..];
    let mut buffer = BytesMut::from(bytes);
    let first = decoder.decode(&mut buffer).unwrap_err();
    assert_eq!(buffer, bytes);
    assert_eq!(decoder.decode(&mut buffer), Err(first));
}

#[test]
fn what_the_specifications_allow_is_not_refused() {
    let allowed: &[(Sender, Version, &str, &[u8])] = &[
        (
            Client,
            V311,
            "2.2.3 does not ask for the shortest form",
            b"\xC0\x80\x00",
        ),
        (
            Client,
            V5,
            "3.1.2.9: a password without a user name",
            b"\x10\x0F\0\x04MQTT\x05\x42\0\0\0\0\0\0\0",
        ),
        (
            Client,
            V311,
            "3.1.3.1: an empty client identifier is the server's to judge",
            b"\x10\x0C\0\x04MQTT\x04\0\0\0\0\0",
        ),
        (
            Client,
            V5,
            "1.5.4: non-characters and control characters",
            b"\x30\x08\0\x04\x01\xEF\xBF\xBF\0!",
        ),
        (
            Client,
            V5,
            "1.5.4.3: U+FEFF is never skipped",
            b"\x30\x06\0\x03\xEF\xBB\xBF\0",
        ),
        (
            Client,
            V5,
            "3.3.2.3.4: no topic name but an alias",
            b"\x30\x06\0\0\x03\x23\0\x01",
        ),
        (
            Client,
            V5,
            "3.4.2.1: a reason code without property length",
            b"\x40\x03\0\x01\x10",
        ),
        (
            Client,
            V5,
            "3.4.2.2: an empty property block",
            b"\x40\x04\0\x01\0\0",
        ),
        (
            Client,
            V5,
            "3.8.3: a bad filter is answered in SUBACK",
            b"\x82\x07\0\x01\0\0\x01+\0",
        ),
        (
            Server,
            V5,
            "3.3.2.3.8: several subscription identifiers",
            b"\x30\x08\0\x01a\x04\x0B\x01\x0B\x02",
        ),
        (Server, V5, "3.15.2.1: success without anything", b"\xF0\0"),
    ];
    for (sender, version, why, bytes) in allowed {
        assert!(
            matches!(decode_one(*sender, *version, bytes), Ok(Some(_))),
            "{why}"
        );
    }
}
