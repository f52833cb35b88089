extern crate std;
use std::vec::Vec;

use wire::{
    Mark, Stream, Versions,
    answer::{
        BirthReason, BirthRefusal, RefusalReason, Refused, Welcome, encode_ack,
        encode_birth_refused, encode_birth_wanted, encode_no_version, encode_refused,
        encode_welcome,
    },
};

use super::*;

const CONNACK: Packet<'static> = Packet::Connack {
    reason: 0,
    receive_maximum: 100,
    maximum_packet: 65_536,
    keep_alive_s: None,
};

fn is_answer(topic: &str) -> bool {
    topic == "a"
}

fn hear(link: &mut Link, now_ms: u64, payload: &[u8]) -> Option<u64> {
    let packet = Packet::Publish {
        topic: "a",
        id: None,
        payload,
    };
    match link.handle_packet(now_ms, packet, is_answer) {
        Heard::Stopped(_, until_ms) => Some(until_ms),
        _ => None,
    }
}

fn welcome() -> Vec<u8> {
    let welcome = Welcome {
        version: 1,
        time_ms: None,
        configuration: 0,
    };
    encode_welcome(&welcome, &[], &mut [0; 32])
        .unwrap()
        .to_vec()
}

/// A link with two kinds announced and the birth sent.
fn born() -> Link {
    let mut link = Link::new(Manners::default(), 7);
    assert_eq!(link.poll(0), Action::Dial);
    link.dialed(3, true);
    be_born(&mut link, 3);
    link
}

/// From the dialed connection to the birth.
fn be_born(link: &mut Link, now_ms: u64) {
    assert_eq!(link.poll(now_ms), Action::Connect);
    assert_eq!(link.poll(now_ms), Action::Wait);
    link.handle_packet(now_ms, CONNACK, is_answer);
    let Action::Subscribe { id } = link.poll(now_ms) else {
        panic!("no SUBSCRIBE")
    };
    assert_eq!(link.poll(now_ms), Action::Wait);
    let suback = Packet::Suback { id, refused: None };
    link.handle_packet(now_ms, suback, is_answer);
    for index in 0..2 {
        let Action::Table { index: asked, .. } = link.poll(now_ms) else {
            panic!("no table")
        };
        assert_eq!(asked, index);
        link.announced(now_ms, false);
    }
    assert!(matches!(link.poll(now_ms), Action::Table { index: 2, .. }));
    link.announced(now_ms, true);
    assert_eq!(link.poll(now_ms), Action::Wait);
}

fn live() -> Link {
    let mut link = born();
    hear(&mut link, 4, &welcome());
    link
}

#[test]
fn no_event_is_sent_before_the_welcome() {
    let mut link = born();
    link.wake(false);
    assert_eq!(link.poll(5), Action::Wait);
    assert!(!link.is_live());
    hear(&mut link, 6, &welcome());
    assert!(link.is_live());
    assert!(matches!(link.poll(6), Action::Event { .. }));
}

#[test]
fn no_more_is_in_flight_than_the_window_holds() {
    let mut link = live();
    let mut ids = Vec::new();
    while let Action::Event { id } = link.poll(5) {
        link.sent(5);
        ids.push(id);
    }
    // Two kinds and the birth are still out.
    assert_eq!(ids.len(), 8 - 3);
    link.handle_packet(
        6,
        Packet::Puback {
            id: ids[0],
            reason: 0,
        },
        is_answer,
    );
    assert!(matches!(link.poll(6), Action::Event { .. }));
    assert_eq!(link.poll(6), Action::Wait);
}

#[test]
fn an_identifier_that_was_not_needed_is_free() {
    let mut link = live();
    let Action::Event { id } = link.poll(5) else {
        panic!("no event")
    };
    link.nothing_to_send(id);
    assert_eq!(link.poll(5), Action::Wait);
    link.wake(true);
    assert!(matches!(link.poll(5), Action::Report { .. }));
    assert!(matches!(link.poll(5), Action::Event { .. }));
}

#[test]
fn unanswered_events_are_sent_again() {
    let mut link = live();
    let Action::Event { id } = link.poll(10) else {
        panic!("no event")
    };
    link.sent(10);
    link.handle_packet(11, Packet::Puback { id, reason: 0 }, is_answer);
    let Action::Event { id } = link.poll(11) else {
        panic!("no event")
    };
    link.nothing_to_send(id);
    hear(&mut link, 5_000, encode_ack(&[], &mut [0; 8]).unwrap());
    assert_eq!(link.poll(14_999), Action::Wait);
    assert_eq!(link.poll(15_000), Action::Rewind);
    assert!(matches!(link.poll(15_000), Action::Event { .. }));
}

#[test]
fn a_birth_is_given_again_when_it_is_wanted() {
    let mut link = live();
    hear(
        &mut link,
        5,
        encode_birth_wanted(BirthReason::UnknownKind, &mut [0; 8]).unwrap(),
    );
    assert!(!link.is_live());
    assert!(matches!(link.poll(5), Action::Table { index: 0, .. }));
}

#[test]
fn a_refused_stream_waits_as_long_as_the_node_says() {
    let mut link = live();
    let refused = |reason| Refused {
        incarnation: 1,
        stream: Stream::new(0).unwrap(),
        mark: Mark { boot: 1, seq: 1 },
        reason,
        after_ms: 300,
    };
    let mut buffer = [0; 32];
    let bytes = encode_refused(&refused(RefusalReason::NoRoom), &mut buffer).unwrap();
    assert_eq!(hear(&mut link, 5, bytes), Some(305));
    let bytes = encode_refused(&refused(RefusalReason::Data), &mut buffer).unwrap();
    assert_eq!(hear(&mut link, 5, bytes), None);
    assert!(link.is_live());
}

#[test]
fn a_refused_birth_closes_and_comes_back_when_the_node_says() {
    let mut link = born();
    hear(
        &mut link,
        5,
        encode_birth_refused(BirthRefusal::Devices, 90_000, &mut [0; 8]).unwrap(),
    );
    assert_eq!(link.poll(5), Action::Close);
    assert_eq!(link.poll(90_004), Action::Wait);
    assert_eq!(link.poll(90_005), Action::Dial);
}

#[test]
fn another_version_is_asked_for_rarely() {
    let mut link = born();
    let versions = Versions {
        oldest: 2,
        newest: 3,
    };
    hear(
        &mut link,
        5,
        encode_no_version(versions, &mut [0; 8]).unwrap(),
    );
    assert_eq!(link.poll(5), Action::Close);
    assert_eq!(link.deadline_ms(), Some(60_005));
}

#[test]
fn a_node_that_says_what_is_no_answer_is_left() {
    for bytes in [&[][..], &[0xff], &[0x20], &[0x26]] {
        let mut link = live();
        hear(&mut link, 5, bytes);
        assert_eq!(link.poll(5), Action::Close, "{bytes:?}");
    }
}

#[test]
fn whoever_does_not_answer_in_time_is_left() {
    let mut link = born();
    assert_eq!(link.deadline_ms(), Some(10_003));
    assert_eq!(link.poll(10_002), Action::Wait);
    link.poll(10_003);
    assert_eq!(link.poll(10_003), Action::Close);
}

#[test]
fn a_silent_connection_is_asked_and_then_left() {
    let mut link = live();
    let Action::Event { id } = link.poll(4) else {
        panic!("no event")
    };
    link.nothing_to_send(id);
    let ping_ms = link.deadline_ms().unwrap();
    assert_eq!(ping_ms, 15_003);
    assert_eq!(link.poll(ping_ms), Action::Ping);
    assert_eq!(link.poll(ping_ms), Action::Wait);
    link.handle_packet(ping_ms + 5, Packet::Pingresp, is_answer);
    let silent_ms = ping_ms + 5 + 45_000;
    let mut pings = 0;
    for now_ms in ping_ms..silent_ms {
        pings += u32::from(link.poll(now_ms) == Action::Ping);
    }
    assert!((2..=6).contains(&pings), "{pings}");
    link.poll(silent_ms);
    assert_eq!(link.poll(silent_ms), Action::Close);
}

#[test]
fn a_node_that_is_slow_to_welcome_has_longer_with_each_attempt() {
    let mut link = born();
    let mut born_ms = 3;
    for patience_ms in [10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 60_000] {
        let late_ms = link.deadline_ms().unwrap();
        assert_eq!(late_ms - born_ms, patience_ms);
        assert_eq!(link.poll(late_ms - 1), Action::Wait);
        assert_eq!(link.poll(late_ms), Action::Wait);
        assert_eq!(link.poll(late_ms), Action::Close);
        let dial_ms = link.deadline_ms().unwrap();
        assert_eq!(link.poll(dial_ms), Action::Dial);
        assert_eq!(link.deadline_ms(), Some(dial_ms + 10_000));
        link.dialed(dial_ms, true);
        be_born(&mut link, dial_ms);
        born_ms = dial_ms;
    }
    hear(&mut link, born_ms, &welcome());
    link.lost(born_ms);
    let dial_ms = link.deadline_ms().unwrap();
    assert_eq!(link.poll(dial_ms), Action::Dial);
    link.dialed(dial_ms, true);
    be_born(&mut link, dial_ms);
    let after = link.deadline_ms().unwrap() - dial_ms;
    assert_eq!(after, 20_000, "one more than that which was welcomed");
}

#[test]
fn attempts_are_spread_and_grow_rarer() {
    let mut link = Link::new(Manners::default(), 99);
    let mut now_ms = 0;
    let mut waits = Vec::new();
    for _ in 0..40 {
        assert_eq!(link.poll(now_ms), Action::Dial);
        link.dialed(now_ms, false);
        let until_ms = link.deadline_ms().unwrap();
        waits.push(until_ms - now_ms);
        now_ms = until_ms;
    }
    assert!(waits.iter().all(|wait_ms| *wait_ms <= 60_000));
    assert!(waits[0] <= 1_000 && waits[1] <= 2_000 && waits[2] <= 4_000);
    assert!(waits.iter().filter(|wait_ms| **wait_ms > 20_000).count() > 10);
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 30);
}
