//! What one reading takes on the wire, MQTT 5 included.

use wire::{
    envelope::{BatchEncoder, Head, encode_event},
    topic::{Channel, DeviceId, Prefix, Topic},
};

use crate::samples::{first, mark};

/// An MQTT 5 PUBLISH at QoS 1 without properties: fixed header, topic, packet identifier, property length, payload.
fn publish_len(payload: usize) -> usize {
    let device = DeviceId::new("pump-0000007").unwrap();
    let topic = Topic {
        prefix: Prefix::NONE,
        channel: Channel::Data,
        device,
    }
    .to_string();
    assert_eq!(topic.len(), 14);
    let remaining = 2 + topic.len() + 2 + 1 + payload;
    let length_len = if remaining < 128 { 1 } else { 2 };
    1 + length_len + remaining
}

/// A year of uptime, a reading a second, and more than a hundred boots.
fn after_a_year() -> Head {
    Head {
        mark: mark(16_383, (1 << 28) - 1),
        uptime_ms: (1 << 35) - 1,
        ..first()
    }
}

#[test]
fn a_reading_of_eight_bytes_takes_43_on_the_wire() {
    let mut buffer = [0; 64];
    let payload = encode_event(&after_a_year(), &[0; 8], &mut buffer)
        .unwrap()
        .len();
    assert_eq!(publish_len(payload), 43);
}

#[test]
fn twenty_steady_readings_of_eight_bytes_take_ten_each() {
    let head = Head {
        uptime_ms: (1 << 35) - 20_000,
        mark: mark(16_383, (1 << 28) - 20),
        ..first()
    };
    let mut buffer = [0; 512];
    let mut batch = BatchEncoder::new(&head, &mut buffer).unwrap();
    for second in 0..20 {
        batch.push(head.uptime_ms + second * 1000, &[0; 8]).unwrap();
    }
    assert_eq!(publish_len(batch.finish().len()), 20 * 10);
}

#[test]
fn twenty_unsteady_readings_of_six_bytes_take_under_ten_each() {
    let mut buffer = [0; 512];
    let mut batch = BatchEncoder::new(&first(), &mut buffer).unwrap();
    for second in 0..20 {
        batch
            .push(first().uptime_ms + second * 1000 + second % 2, &[0; 6])
            .unwrap();
    }
    assert_eq!(publish_len(batch.finish().len()), 194);
}
