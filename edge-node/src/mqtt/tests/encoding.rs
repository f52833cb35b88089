use super::arbitrary::{self, Sender};
use super::decode_one;
use super::round_trip::for_packets;
use crate::mqtt::encode::{
    AckKind, EncodeError, Limits, PublishParts, encode, encode_success, encode_within,
};
use crate::mqtt::packet::*;
use crate::mqtt::stored;
use bytes::{Bytes, BytesMut};
use std::num::NonZeroU16;

#[test]
fn stored_properties_come_back_without_what_belongs_to_a_connection() {
    for seed in 0..2_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let properties = arbitrary::message_properties(&mut rng);
        let mut on_a_connection = properties.0.as_deref().cloned().unwrap_or_default();
        on_a_connection.topic_alias = NonZeroU16::new(7);
        on_a_connection.subscription_identifiers = vec![1, 2];
        let bytes = stored::encode(&PublishProperties::from(on_a_connection)).unwrap();
        assert_eq!(
            stored::decode(&bytes),
            Ok(properties.clone()),
            "seed {seed}"
        );
        let expiry = properties.set().and_then(|set| set.message_expiry_interval);
        assert_eq!(
            stored::message_expiry_interval(&bytes),
            expiry,
            "seed {seed}"
        );
    }
}

#[test]
fn a_publish_from_parts_is_the_publish_it_says() {
    for_packets(1_000, |seed, sender, version, packet| {
        let Packet::Publish(mut publish) = packet else {
            return;
        };
        if publish.topic.is_empty() || sender == Sender::Client {
            return;
        }
        let stored = stored::encode(&publish.properties).unwrap();
        let parts = PublishParts {
            dup: publish.dup,
            qos: publish.qos,
            retain: publish.retain,
            topic: publish.topic.as_bytes(),
            packet_id: publish.packet_id,
            properties: &stored,
            message_expiry_interval: Some(9),
            topic_alias: NonZeroU16::new(3),
            subscription_identifiers: &[1, 268_435_455],
            payload: &publish.payload,
        };
        let mut bytes = BytesMut::new();
        parts.encode(version, &mut bytes).unwrap();
        assert_eq!(parts.encoded_len(version), bytes.len(), "seed {seed}");
        if version == Version::V5 {
            let set = publish.properties.0.get_or_insert_default();
            set.message_expiry_interval = Some(9);
            set.topic_alias = NonZeroU16::new(3);
            set.subscription_identifiers = vec![1, 268_435_455];
        }
        assert_eq!(
            decode_one(sender, version, &bytes),
            Ok(Some(Packet::Publish(publish))),
            "seed {seed}"
        );
    });
}

#[test]
fn parts_that_make_no_publish_are_refused_and_write_nothing() {
    let good = PublishParts {
        topic: b"a",
        ..PublishParts::default()
    };
    let id = PacketId::new(1);
    let long = vec![b'x'; 65_536];
    let bad = [
        (PublishParts { topic: b"", ..good }, "topic is empty"),
        (
            PublishParts {
                topic: &long,
                ..good
            },
            "topic is longer than 65,535 bytes",
        ),
        (
            PublishParts {
                packet_id: id,
                ..good
            },
            "packet identifier goes with QoS 1 and 2 alone",
        ),
        (
            PublishParts {
                qos: QoS::AtLeastOnce,
                ..good
            },
            "packet identifier goes with QoS 1 and 2 alone",
        ),
        (PublishParts { dup: true, ..good }, "DUP is set at QoS 0"),
    ];
    let mut out = BytesMut::new();
    for (parts, text) in bad {
        assert_eq!(
            parts.encode(Version::V5, &mut out).unwrap_err().to_string(),
            text
        );
    }
    let aliased = PublishParts {
        topic: b"",
        topic_alias: NonZeroU16::new(1),
        ..good
    };
    assert_eq!(
        aliased
            .encode(Version::V311, &mut out)
            .unwrap_err()
            .to_string(),
        "topic is empty"
    );
    assert_eq!(out.len(), 0);
    aliased.encode(Version::V5, &mut out).unwrap();
    assert_eq!(out, &b"\x30\x06\0\0\x03\x23\0\x01"[..]);
}

#[test]
fn an_acknowledgement_of_success_is_four_bytes_in_both_versions() {
    let id = PacketId::new(0x1234).unwrap();
    let kinds = [
        (
            AckKind::PubAck,
            Packet::PubAck(Ack::success(id)),
            b"\x40\x02\x12\x34",
        ),
        (
            AckKind::PubRec,
            Packet::PubRec(Ack::success(id)),
            b"\x50\x02\x12\x34",
        ),
        (
            AckKind::PubRel,
            Packet::PubRel(Ack::success(id)),
            b"\x62\x02\x12\x34",
        ),
        (
            AckKind::PubComp,
            Packet::PubComp(Ack::success(id)),
            b"\x70\x02\x12\x34",
        ),
    ];
    for (kind, packet, bytes) in kinds {
        let mut out = BytesMut::new();
        encode_success(kind, id, &mut out);
        encode(Version::V311, &packet, &mut out).unwrap();
        encode(Version::V5, &packet, &mut out).unwrap();
        assert_eq!(out, [*bytes; 3].concat());
    }
}

#[test]
fn a_3_1_1_client_is_told_the_nearest_return_code_or_nothing() {
    use ReasonCode::*;
    let code = |reason| {
        let mut out = BytesMut::new();
        let packet = Packet::ConnAck(Box::new(ConnAck::new(reason)));
        encode(Version::V311, &packet, &mut out).map(|()| out[3])
    };
    let near = [
        (Success, 0),
        (UnsupportedProtocolVersion, 1),
        (ClientIdentifierNotValid, 2),
        (ServerBusy, 3),
        (ServerShuttingDown, 3),
        (BadUserNameOrPassword, 4),
        (NotAuthorized, 5),
        (Banned, 5),
    ];
    for (reason, expected) in near {
        assert_eq!(code(reason), Ok(expected), "{reason:?}");
    }
    assert_eq!(
        code(ProtocolError),
        Err(EncodeError::NotInVersion { packet: "CONNACK" })
    );

    let mut out = BytesMut::new();
    let goodbye = Packet::Disconnect(Disconnect::new(ServerShuttingDown));
    assert_eq!(
        encode(Version::V311, &goodbye, &mut out),
        Err(EncodeError::NotInVersion {
            packet: "DISCONNECT"
        })
    );
    assert_eq!(out.len(), 0);
    let packet_id = PacketId::new(1).unwrap();
    let suback = SubAck {
        packet_id,
        reasons: vec![GrantedQos1, TopicFilterInvalid],
        properties: None,
    };
    encode(Version::V311, &Packet::SubAck(suback), &mut out).unwrap();
    assert_eq!(out, &b"\x90\x04\0\x01\x01\x80"[..]);
}

#[test]
fn explanations_give_way_to_the_size_limit_of_the_receiver() {
    let packet_id = PacketId::new(1).unwrap();
    let properties = Some(Box::new(ReasonPropertySet {
        reason_string: Some("too many".into()),
        user_properties: vec![("limit".into(), "700".into())],
    }));
    let packet = Packet::PubAck(Ack {
        packet_id,
        reason: ReasonCode::QuotaExceeded,
        properties,
    });
    let sent = |maximum_packet_size, problem_information| {
        let mut out = BytesMut::new();
        let limits = Limits {
            maximum_packet_size,
            problem_information,
        };
        encode_within(Version::V5, &packet, limits, &mut out).map(|()| out.len())
    };
    assert_eq!(sent(30, true), Ok(30));
    assert_eq!(sent(29, true), Ok(17));
    assert_eq!(sent(17, true), Ok(17));
    assert_eq!(sent(16, true), Ok(5));
    assert_eq!(sent(5, true), Ok(5));
    assert_eq!(
        sent(4, true),
        Err(EncodeError::TooLarge { size: 5, limit: 4 })
    );
    assert_eq!(sent(100, false), Ok(5));
}

#[test]
fn connack_and_disconnect_explain_even_where_no_problem_information_is_wanted() {
    let connack = ConnAck {
        reason_string: Some("full".into()),
        ..ConnAck::new(ReasonCode::ServerBusy)
    };
    let disconnect = Disconnect {
        reason_string: Some("full".into()),
        ..Disconnect::new(ReasonCode::ServerBusy)
    };
    let cases = [
        (
            Packet::ConnAck(Box::new(connack)),
            &b"\x20\x0A\0\x89\x07\x1F\0\x04full"[..],
            &b"\x20\x03\0\x89\0"[..],
        ),
        (
            Packet::Disconnect(disconnect),
            b"\xE0\x09\x89\x07\x1F\0\x04full",
            b"\xE0\x01\x89",
        ),
    ];
    for (packet, whole, short) in cases {
        let sent = |maximum_packet_size| {
            let mut out = BytesMut::new();
            let limits = Limits {
                maximum_packet_size,
                problem_information: false,
            };
            encode_within(Version::V5, &packet, limits, &mut out).unwrap();
            out
        };
        assert_eq!(sent(whole.len()), whole);
        assert_eq!(sent(whole.len() - 1), short);
    }
}

#[test]
fn a_publish_over_the_limit_is_not_cut_down() {
    let properties = PublishPropertySet {
        user_properties: vec![("a".into(), "b".into())],
        ..Default::default()
    };
    let publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: Topic::parse("a").unwrap(),
        packet_id: None,
        properties: properties.into(),
        payload: Bytes::from_static(b"payload"),
    };
    let mut out = BytesMut::new();
    let limits = Limits {
        maximum_packet_size: 19,
        problem_information: true,
    };
    let sent = encode_within(Version::V5, &Packet::Publish(publish), limits, &mut out);
    assert_eq!(
        sent,
        Err(EncodeError::TooLarge {
            size: 20,
            limit: 19
        })
    );
}

#[test]
fn text_that_no_packet_may_hold_is_not_encoded() {
    let long = "x".repeat(65_536);
    for (text, what) in [
        ("a\0b", "holds U+0000"),
        (long.as_str(), "is longer than 65,535 bytes"),
    ] {
        let mut out = BytesMut::from(&b"before"[..]);
        let packet = Packet::Disconnect(Disconnect {
            reason_string: Some(text.into()),
            ..Default::default()
        });
        let error = encode(Version::V5, &packet, &mut out);
        assert_eq!(
            error,
            Err(EncodeError::Invalid {
                field: "reason string",
                what
            })
        );
        assert_eq!(out, &b"before"[..]);
    }
}

#[test]
fn a_detached_publish_is_the_same_and_lets_go_of_the_read_buffer() {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    buffer.extend_from_slice(b"\x30\x08\0\x03a/bxyz");
    let mut decoder = crate::mqtt::decode::Decoder::from_server(Version::V311, 100);
    let Ok(Some(Packet::Publish(mut publish))) = decoder.decode(&mut buffer) else {
        panic!("no publish")
    };
    let before = publish.clone();
    assert!(!buffer.try_reclaim(64 * 1024));
    publish.detach();
    assert_eq!(publish, before);
    drop(before);
    assert!(buffer.try_reclaim(64 * 1024));
}
