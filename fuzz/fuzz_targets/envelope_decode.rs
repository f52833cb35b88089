//! Messages between devices and the node: no bytes panic a decoder, and what was decoded is the same after it was
//! encoded again.
//!
//! ```text
//! first byte: 0 = events (d/), 1 = presence (b/), 2 = answer (a/), 3 = command (c/), 4 = data by a table
//! the rest:   the message; for data: kinds, length of the kinds first (u16le)
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{
    answer::{Answer, encode_ack, encode_refused, encode_welcome},
    birth::{Presence, encode_birth, encode_result},
    command::Command,
    envelope::{BatchEncoder, Envelope, Event, encode_event},
    kind::{Announced, Kind},
    value::{self, take_field},
};

fuzz_target!(|input: &[u8]| {
    let [topic, message @ ..] = input else { return };
    match topic % 5 {
        0 => events(message),
        1 => presence(message),
        2 => answer(message),
        3 => command(message),
        _ => data(message),
    }
});

fn events(message: &[u8]) {
    let Ok(envelope) = Envelope::decode(message) else { return };
    let events: Vec<Event<'_>> = envelope.events(7).collect();
    assert_eq!(events.len(), envelope.count());
    let mut buffer = vec![0; 2 * message.len() + 2048 + 255 * 4096];
    let again = if envelope.is_batch() {
        let mut batch = BatchEncoder::new(&envelope.head(), &mut buffer).expect("there is room");
        for event in &events {
            batch.push(event.uptime_ms, event.data).expect("there is room");
        }
        batch.finish()
    } else {
        encode_event(&envelope.head(), events[0].data, &mut buffer).expect("there is room")
    };
    assert!(again.len() <= message.len());
    let again = Envelope::decode(again).expect("what was encoded is decoded");
    assert_eq!(again.head(), envelope.head());
    assert_eq!(again.events(7).collect::<Vec<_>>(), events);
}

fn presence(message: &[u8]) {
    let mut buffer = vec![0; message.len()];
    match Presence::decode(message) {
        Ok(Presence::Birth(birth)) => {
            let streams: Vec<_> = birth.streams.iter().collect();
            let dropped: Vec<_> = birth.dropped.iter().collect();
            let fields: Vec<Vec<_>> = birth.kinds.iter().map(|kind| kind.fields.iter().collect()).collect();
            let kinds: Vec<_> = birth.kinds.iter().zip(&fields).map(|(kind, fields)| Announced {
                id: kind.id,
                kind: Kind { event_type: kind.event_type, version: kind.version, fields },
            }).collect();
            assert_eq!(kinds.len(), birth.kinds.len());
            let again = encode_birth(&birth.device, &streams, &dropped, &kinds, &mut buffer);
            let Ok(Presence::Birth(again)) = Presence::decode(again.expect("it is no longer")) else {
                panic!("no birth any more")
            };
            assert_eq!(again.device, birth.device);
            assert_eq!(again.streams.iter().collect::<Vec<_>>(), streams);
            assert_eq!(again.dropped.iter().collect::<Vec<_>>(), dropped);
        }
        Ok(Presence::Result { id, outcome, data }) => {
            let again = encode_result(id, outcome, data, &mut buffer).expect("it is no longer");
            assert!(matches!(Presence::decode(again), Ok(Presence::Result { data: read, .. }) if read == data));
        }
        Ok(Presence::Report { losses, .. }) => assert_eq!(losses.iter().count(), losses.len()),
        Ok(Presence::Kinds(kinds)) => assert_eq!(kinds.iter().count(), kinds.len()),
        Ok(Presence::Offline { .. } | Presence::Configured { .. }) | Err(_) => {}
    }
}

fn answer(message: &[u8]) {
    let mut buffer = vec![0; message.len()];
    match Answer::decode(message) {
        Ok(Answer::Welcome(welcome, list)) => {
            let stored: Vec<_> = list.iter().collect();
            let again = encode_welcome(&welcome, &stored, &mut buffer).expect("it is no longer");
            let Ok(Answer::Welcome(read, list)) = Answer::decode(again) else { panic!("no welcome any more") };
            assert_eq!((read, list.iter().collect::<Vec<_>>()), (welcome, stored));
        }
        Ok(Answer::Ack(list)) => {
            let stored: Vec<_> = list.iter().collect();
            let again = encode_ack(&stored, &mut buffer).expect("it is no longer");
            let Ok(Answer::Ack(list)) = Answer::decode(again) else { panic!("no ack any more") };
            assert_eq!(list.iter().collect::<Vec<_>>(), stored);
        }
        Ok(Answer::Refused(refused)) => {
            let again = encode_refused(&refused, &mut buffer).expect("it is no longer");
            assert!(matches!(Answer::decode(again), Ok(Answer::Refused(read)) if read == refused));
        }
        _ => {}
    }
}

fn command(message: &[u8]) {
    let Ok(command) = Command::decode(message) else { return };
    let mut buffer = vec![0; message.len()];
    let again = command.encode(&mut buffer).expect("it is no longer");
    assert_eq!(Command::decode(again), Ok(command));
}

fn data(input: &[u8]) {
    let Some(([a, b], rest)) = input.split_first_chunk() else { return };
    let Some((kinds, data)) = rest.split_at_checked(u16::from_le_bytes([*a, *b]).into()) else { return };
    let Ok(Presence::Kinds(kinds)) = Presence::decode(kinds) else { return };
    for kind in kinds.iter() {
        if value::check(kind.fields.iter(), data).is_err() {
            continue;
        }
        let mut rest = data;
        for field in kind.fields.iter() {
            let (elements, after) = take_field(&field, rest).expect("it was checked");
            assert_eq!(elements.len(), elements.count());
            rest = after;
        }
        assert!(rest.is_empty());
    }
}
