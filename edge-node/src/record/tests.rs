use super::*;
use crate::device::StreamId;

#[test]
fn a_publish_comes_back_as_it_went_in_and_no_prefix_of_its_head_is_one() {
    let record = PublishRecord {
        qos: QoS::ExactlyOnce,
        retain: true,
        will: false,
        packet_id: NonZeroU16::new(77),
        waited_ms: 1_500,
        place: Some(Place {
            stream: StreamId {
                incarnation: 0x00c0_ffee,
                number: 3,
            },
            boot: 7,
            seq: 41,
            time_ms: 1_800_000_000_000,
        }),
        sender: "pump-7",
        origin: "",
        topic: "plant/pump-7/state",
        properties: &[1, 1],
        minted: &[9; 200],
        settled: &[8; 3],
        payload: b"on",
    };
    let mut body = Vec::new();
    record.encode(&mut body);
    match Record::decode(&body) {
        Some(Record::Publish(read)) => assert_eq!(read, record),
        other => panic!("{other:?}"),
    }
    for end in 0..body.len() - record.payload.len() {
        assert!(
            Record::decode(&body[..end]).is_none(),
            "prefix of {end} bytes"
        );
    }
}

#[test]
fn a_publish_that_no_rule_touched_is_as_short_as_without_rules_and_one_that_says_nothing_of_them_opens()
 {
    let body = [
        &[PUBLISH, 1][..],
        &[1, b's', 0, 1, b't', 2, 1, 1, 3, 7, 8, 9],
        b"on",
    ]
    .concat();
    let Some(Record::Publish(record)) = Record::decode(&body) else {
        panic!("a publish of the first version");
    };
    assert_eq!((record.settled, record.minted), (&[][..], &[7, 8, 9][..]));
    assert_eq!(record.payload, b"on");
    let mut again = Vec::new();
    record.encode(&mut again);
    assert_eq!(again, body);
}

#[test]
fn a_dead_letter_keeps_the_record_it_was() {
    for was in [None, Some((Lane(2), NodeTime(1 << 40)))] {
        let dead = DeadRecord {
            sink: "cloud",
            seq: Seq(7),
            reason: "no such topic",
            tries: 3,
            was,
            body: &[1, 2, 3],
        };
        let mut body = Vec::new();
        dead.encode(&mut body);
        match Record::decode(&body) {
            Some(Record::Dead(read)) => assert_eq!(read, dead),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_change_comes_back_as_it_went_in() {
    let change = Change::Sent {
        client: "c".into(),
        packet_id: NonZeroU16::MIN,
        seq: Seq(9),
        shared: None,
    };
    let mut body = Vec::new();
    change.encode(&mut body);
    match Record::decode(&body) {
        Some(Record::Change(read)) => assert_eq!(read, change),
        other => panic!("{other:?}"),
    }
}
