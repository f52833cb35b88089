//! Each message has the bytes of its vector, and each vector is read as that message.

use wire::{
    DecodeError, Versions,
    answer::{
        Answer, BirthReason, BirthRefusal, encode_ack, encode_birth_refused, encode_birth_wanted,
        encode_no_version, encode_refused, encode_welcome,
    },
    birth::{
        Presence, encode_birth, encode_configured, encode_kinds, encode_offline, encode_report,
        encode_result,
    },
    command::{Command, Configured, Outcome},
    envelope::{BatchEncoder, Envelope, Event, Head, encode_event},
    kind::KindId,
};

use crate::samples::{
    ALARM, COMMAND_ID, CONFIGURE, EARLIER, INCARNATION, READING, RUN, device, dropped, first,
    losses, refused, stored, stream, streams, welcome,
};

pub(crate) fn digits(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

pub(crate) fn bytes_of(text: &str) -> Vec<u8> {
    text.lines()
        .flat_map(|line| digits(line.split('#').next().unwrap()))
        .collect()
}

macro_rules! vector {
    ($name:literal) => {
        $crate::vectors::bytes_of(include_str!(concat!("../vectors/", $name, ".hex")))
    };
}

/// A message of each sort.
pub(crate) struct Vector {
    pub(crate) topic: char,
    pub(crate) name: &'static str,
    /// How many bytes at its end are data that runs to the end: a message that lacks some of them is another one.
    pub(crate) data_len: usize,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn all() -> Vec<Vector> {
    let vectors = [
        ('d', "event", 3, vector!("event")),
        ('d', "event-earlier", 0, vector!("event-earlier")),
        ('d', "batch", 0, vector!("batch")),
        ('d', "batch-loose", 0, vector!("batch-loose")),
        ('d', "batch-times", 0, vector!("batch-times")),
        ('b', "birth", 0, vector!("birth")),
        ('b', "kinds", 0, vector!("kinds")),
        ('b', "offline", 0, vector!("offline")),
        ('b', "report", 0, vector!("report")),
        ('b', "result", 5, vector!("result")),
        ('b', "configured", 0, vector!("configured")),
        ('a', "welcome", 0, vector!("welcome")),
        ('a', "ack", 0, vector!("ack")),
        ('a', "birth-wanted", 0, vector!("birth-wanted")),
        ('a', "no-version", 0, vector!("no-version")),
        ('a', "refused", 0, vector!("refused")),
        ('a', "birth-refused", 0, vector!("birth-refused")),
        ('a', "birth-no-room", 0, vector!("birth-no-room")),
        ('c', "command", 2, vector!("command")),
        ('c', "configure", 3, vector!("configure")),
    ];
    vectors
        .map(|(topic, name, data_len, bytes)| Vector {
            topic,
            name,
            data_len,
            bytes,
        })
        .into()
}

#[test]
fn event_has_the_bytes_of_its_vector() {
    let mut buffer = [0; 64];
    let bytes = encode_event(&first(), &[1, 2, 3], &mut buffer).unwrap();
    assert_eq!(bytes, vector!("event"));

    let envelope = Envelope::decode(bytes).unwrap();
    assert_eq!(envelope.head(), first());
    assert!(!envelope.is_batch());
    let events: Vec<Event<'_>> = envelope.events(INCARNATION).collect();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].id.to_string(), "c0ffee0100000007-3-300");
    assert_eq!(
        (events[0].uptime_ms, events[0].data),
        (90_000_000, &[1, 2, 3][..])
    );
}

#[test]
fn an_event_of_an_earlier_incarnation_names_it() {
    let head = Head {
        incarnation: Some(EARLIER),
        ..first()
    };
    let mut buffer = [0; 64];
    let bytes = encode_event(&head, &[], &mut buffer).unwrap();
    assert_eq!(bytes, vector!("event-earlier"));
    let event = Envelope::decode(bytes)
        .unwrap()
        .events(INCARNATION)
        .next()
        .unwrap();
    assert_eq!(event.id.to_string(), "c0ffee0000000007-3-300");
}

fn batch_of(events: &[(u64, &[u8])]) -> Vec<u8> {
    let mut buffer = [0; 128];
    let mut batch = BatchEncoder::new(&first(), &mut buffer).unwrap();
    for (uptime_ms, data) in events {
        batch.push(*uptime_ms, data).unwrap();
    }
    assert_eq!(batch.len(), events.len());
    batch.finish().to_vec()
}

#[test]
fn batches_have_the_bytes_of_their_vectors() {
    let steady: [(u64, &[u8]); 3] = [
        (90_000_000, &[1, 2]),
        (90_001_000, &[3, 4]),
        (90_002_000, &[5, 6]),
    ];
    let loose: [(u64, &[u8]); 3] = [
        (90_000_000, &[1, 2, 3]),
        (90_001_000, &[]),
        (90_001_200, &[4]),
    ];
    let times: [(u64, &[u8]); 3] = [
        (90_000_000, &[1, 2]),
        (90_001_000, &[3, 4]),
        (90_002_001, &[5, 6]),
    ];
    let vectors = [
        vector!("batch"),
        vector!("batch-loose"),
        vector!("batch-times"),
    ];
    for (events, vector) in [&steady, &loose, &times].into_iter().zip(vectors) {
        assert_eq!(batch_of(events), vector);
        let envelope = Envelope::decode(&vector).unwrap();
        assert!(envelope.is_batch());
        let read: Vec<_> = envelope
            .events(INCARNATION)
            .map(|event| (event.uptime_ms, event.data))
            .collect();
        assert_eq!(read, events);
        let ids: Vec<u64> = envelope
            .events(INCARNATION)
            .map(|event| event.id.seq)
            .collect();
        assert_eq!(ids, [300, 301, 302]);
    }
}

#[test]
fn birth_has_the_bytes_of_its_vector() {
    let mut buffer = [0; 256];
    let bytes = encode_birth(
        &device(),
        &streams(),
        &dropped(),
        &[ALARM, READING],
        &mut buffer,
    )
    .unwrap();
    assert_eq!(bytes, vector!("birth"));

    let Presence::Birth(birth) = Presence::decode(bytes).unwrap() else {
        panic!("not a birth")
    };
    assert_eq!(birth.device, device());
    assert_eq!(birth.streams.iter().collect::<Vec<_>>(), streams());
    assert_eq!(birth.dropped.iter().collect::<Vec<_>>(), dropped());
    let kinds: Vec<_> = birth.kinds.iter().collect();
    assert_eq!(kinds.len(), 2);
    assert_eq!(
        (kinds[1].id, kinds[1].event_type, kinds[1].version),
        (READING.id, "pump.reading", 2)
    );
    assert_eq!(
        kinds[1].fields.iter().collect::<Vec<_>>(),
        READING.kind.fields
    );
}

#[test]
fn kinds_have_the_bytes_of_their_vector() {
    let mut buffer = [0; 64];
    let bytes = encode_kinds(&[READING], &mut buffer).unwrap();
    assert_eq!(bytes, vector!("kinds"));
    let Presence::Kinds(kinds) = Presence::decode(bytes).unwrap() else {
        panic!("no kinds")
    };
    assert_eq!(
        kinds.iter().map(|kind| kind.id).collect::<Vec<_>>(),
        [READING.id]
    );
}

#[test]
fn offline_has_the_bytes_of_its_vector() {
    let mut buffer = [0; 8];
    let bytes = encode_offline(INCARNATION, 7, &mut buffer).unwrap();
    assert_eq!(bytes, vector!("offline"));
    let read = Presence::decode(bytes).unwrap();
    assert!(matches!(
        read,
        Presence::Offline {
            incarnation: INCARNATION,
            boot: 7
        }
    ));
}

#[test]
fn report_has_the_bytes_of_its_vector() {
    let mut buffer = [0; 32];
    let bytes = encode_report(1500, &losses(), &mut buffer).unwrap();
    assert_eq!(bytes, vector!("report"));
    let Presence::Report {
        uptime_ms: 1500,
        losses: read,
    } = Presence::decode(bytes).unwrap()
    else {
        panic!("no report")
    };
    assert_eq!(read.iter().collect::<Vec<_>>(), losses());
}

#[test]
fn result_has_the_bytes_of_its_vector() {
    let mut buffer = [0; 32];
    let bytes = encode_result(COMMAND_ID, Outcome::Failed, b"stuck", &mut buffer).unwrap();
    assert_eq!(bytes, vector!("result"));
    let Presence::Result { id, outcome, data } = Presence::decode(bytes).unwrap() else {
        panic!("no result")
    };
    assert_eq!(
        (id, outcome, data),
        (COMMAND_ID, Outcome::Failed, &b"stuck"[..])
    );
}

#[test]
fn configured_has_the_bytes_of_its_vector() {
    let mut buffer = [0; 8];
    let bytes = encode_configured(5, Configured::Undone, &mut buffer).unwrap();
    assert_eq!(bytes, vector!("configured"));
    let read = Presence::decode(bytes).unwrap();
    assert!(matches!(
        read,
        Presence::Configured {
            version: 5,
            configured: Configured::Undone
        }
    ));
}

#[test]
fn welcome_has_the_bytes_of_its_vector() {
    let mut buffer = [0; 64];
    let bytes = encode_welcome(&welcome(), &stored(), &mut buffer).unwrap();
    assert_eq!(bytes, vector!("welcome"));
    let Answer::Welcome(read, list) = Answer::decode(bytes).unwrap() else {
        panic!("no welcome")
    };
    assert_eq!(read, welcome());
    assert_eq!(list.iter().collect::<Vec<_>>(), stored());
}

#[test]
fn ack_has_the_bytes_of_its_vector() {
    let mut buffer = [0; 64];
    let bytes = encode_ack(&stored(), &mut buffer).unwrap();
    assert_eq!(bytes, vector!("ack"));
    let Answer::Ack(list) = Answer::decode(bytes).unwrap() else {
        panic!("no ack")
    };
    assert_eq!(list.iter().collect::<Vec<_>>(), stored());
}

#[test]
fn refusals_have_the_bytes_of_their_vectors() {
    let mut buffer = [0; 32];
    let bytes = encode_refused(&refused(), &mut buffer).unwrap();
    assert_eq!(bytes, vector!("refused"));
    assert!(matches!(Answer::decode(bytes), Ok(Answer::Refused(read)) if read == refused()));

    let changed = BirthRefusal::Changed(KindId([0x12, 0x34]));
    let bytes = encode_birth_refused(changed, 60_000, &mut buffer).unwrap();
    assert_eq!(bytes, vector!("birth-refused"));
    let read = Answer::decode(bytes).unwrap();
    assert!(matches!(read, Answer::BirthRefused { reason, after_ms: 60_000 } if reason == changed));

    let full = BirthRefusal::NoRoom;
    let bytes = encode_birth_refused(full, 10_000, &mut buffer).unwrap();
    assert_eq!(bytes, vector!("birth-no-room"));
    let read = Answer::decode(bytes).unwrap();
    assert!(matches!(read, Answer::BirthRefused { reason, after_ms: 10_000 } if reason == full));
}

#[test]
fn the_short_answers_have_the_bytes_of_their_vectors() {
    let mut buffer = [0; 8];
    let bytes = encode_birth_wanted(BirthReason::Jump, &mut buffer).unwrap();
    assert_eq!(bytes, vector!("birth-wanted"));
    assert!(matches!(
        Answer::decode(bytes),
        Ok(Answer::BirthWanted(BirthReason::Jump))
    ));

    let versions = Versions {
        oldest: 1,
        newest: 3,
    };
    let bytes = encode_no_version(versions, &mut buffer).unwrap();
    assert_eq!(bytes, vector!("no-version"));
    assert!(matches!(Answer::decode(bytes), Ok(Answer::NoVersion(read)) if read == versions));
}

#[test]
fn commands_have_the_bytes_of_their_vectors() {
    let mut buffer = [0; 32];
    for (command, vector) in [(RUN, vector!("command")), (CONFIGURE, vector!("configure"))] {
        assert_eq!(command.encode(&mut buffer).unwrap(), vector);
        assert_eq!(Command::decode(&vector).unwrap(), command);
    }
}

/// Topic, reason and bytes of what is to be refused.
pub(crate) fn refusals() -> Vec<(char, &'static str, Vec<u8>)> {
    let lines = include_str!("../vectors/refused.txt").lines();
    let lines = lines
        .map(|line| line.split('#').next().unwrap().trim())
        .filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let (topic, reason) = (words.next().unwrap(), words.next().unwrap());
            (
                topic.chars().next().unwrap(),
                reason,
                digits(&words.collect::<String>()),
            )
        })
        .collect()
}

/// The name of the error a decoder gives, or "ok".
pub(crate) fn answer_to(topic: char, bytes: &[u8]) -> &'static str {
    let answer = match topic {
        'd' => Envelope::decode(bytes).map(drop),
        'b' => Presence::decode(bytes).map(drop),
        'a' => Answer::decode(bytes).map(drop),
        _ => Command::decode(bytes).map(drop),
    };
    answer.map_or_else(name, |()| "ok")
}

#[test]
fn what_is_to_be_refused_is_refused_for_its_reason() {
    let refusals = refusals();
    assert_eq!(refusals.len(), 33);
    for (topic, reason, bytes) in refusals {
        assert_eq!(answer_to(topic, &bytes), reason, "{topic} {bytes:x?}");
    }
}

fn name(error: DecodeError) -> &'static str {
    match error {
        DecodeError::Short => "short",
        DecodeError::Version(_) => "version",
        DecodeError::Message(_) => "message",
        DecodeError::Value => "value",
        DecodeError::Bound => "bound",
        DecodeError::Count => "count",
        DecodeError::Overflow => "overflow",
        DecodeError::Trailing => "trailing",
    }
}

#[test]
fn an_announced_stream_has_no_eighth() {
    assert_eq!(wire::Stream::new(8), None);
    assert_eq!(stream(7).number(), 7);
}
