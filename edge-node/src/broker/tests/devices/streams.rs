//! Where what devices send goes: lanes, and local subscribers.

use super::*;

/// One event of a stream.
fn of_stream(number: u8) -> Vec<u8> {
    let head = Head {
        stream: Stream::new(number).unwrap(),
        ..head((7, 1), 11_000)
    };
    let mut bytes = [0; 64];
    let event = encode_event(&head, &celsius(1), &mut bytes);
    event.unwrap().to_vec()
}

#[test]
fn the_events_of_a_stream_are_in_the_lane_it_was_given() {
    let mut node = node();
    let mut pump = Pump::born(&mut node, "pump-7", &birth(7));
    for stream in [OUTBOX, ALARMS] {
        pump.send(&mut node, "d/pump-7", of_stream(stream));
    }
    node.settle();
    for (lanes, stream) in [(1 << 0, ALARMS), (1 << 1, OUTBOX)] {
        let limits = ReadLimits {
            records: 10,
            bytes: 1 << 20,
            lanes,
        };
        let spool = node.core.spool();
        let batch = spool.read(node.sink(), Seq::ZERO, limits).unwrap();
        let ids: Vec<_> = batch
            .entries
            .iter()
            .map(|entry| view::event(entry).unwrap().event.id)
            .collect();
        assert_eq!(ids, [format!("00c0ffee00000007-{stream}-1")]);
    }
}

#[test]
fn what_a_device_says_of_itself_is_shown_to_local_subscribers_and_stored_for_nobody() {
    let mut node = node();
    let mut local = node.connect(v5("local"));
    node.subscribe(&mut local, &format!("{DEVICES}/b/+"), QoS::AtLeastOnce);
    let topic = format!("{DEVICES}/b/pump-7");
    let client = node.connect(with_will(v5("pump-7"), &topic, 0));
    let mut pump = Pump {
        client,
        next_packet: 1,
    };
    pump.send(&mut node, "b/pump-7", birth(7).bytes());
    pump.send(&mut node, "b/pump-7", vec![0xff]);
    node.settle();
    node.hang_up(&pump.client);
    node.settle();
    let heard: Vec<_> = take_publishes(&mut node, &mut local)
        .into_iter()
        .map(|it| (it.qos, it.payload.to_vec()))
        .collect();
    let shown = |payload: &[u8]| (QoS::AtMostOnce, payload.to_vec());
    assert_eq!(heard, [shown(&birth(7).bytes()), shown(b"gone")]);
    assert!(ids(&node).is_empty());
}
