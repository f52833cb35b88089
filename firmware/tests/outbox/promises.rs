//! Single promises of the outbox.

use embassy_futures::block_on;
use firmware::{
    Outbox, Published,
    outbox::{AckError, OpenError, PublishError},
};
use wire::{
    Mark,
    birth::{LossReason, Presence},
    envelope::Envelope,
    kind::{Field, Kind, Scalar, Shape},
};

use crate::{
    device::{ALARM, Box, READING, layout, open, stream},
    flash::{Driver, Fault, PAGE},
};

const ALARMS: u8 = 0;
const READINGS: u8 = 1;
const STATES: u8 = 2;

fn publish(
    outbox: &mut Box,
    class: u8,
    uptime_ms: u64,
    data: &[u8],
) -> Result<Published, PublishError<flash_model::PowerCut>> {
    let kind = if class == ALARMS {
        ALARM.id()
    } else {
        READING.id()
    };
    block_on(outbox.publish(stream(class), kind, uptime_ms, data))
}

/// The sequences and data of the next message.
fn next(outbox: &mut Box) -> Option<Vec<(String, Vec<u8>)>> {
    let mut message = [0; 512];
    let len = block_on(outbox.next_message(0, &mut message)).unwrap()?;
    let envelope = Envelope::decode(&message[..len]).unwrap();
    Some(
        envelope
            .events(outbox.incarnation())
            .map(|event| (event.id.to_string(), event.data.to_vec()))
            .collect(),
    )
}

fn ack(outbox: &mut Box, class: u8, seq: u64) {
    let mark = Mark {
        boot: outbox.boot(),
        seq,
    };
    block_on(outbox.ack(outbox.incarnation(), stream(class), mark)).unwrap();
}

#[test]
fn an_event_acknowledged_from_memory_does_not_touch_flash() {
    let driver = Driver::new();
    let mut outbox = open(&driver, 1).unwrap();
    block_on(outbox.link_changed(true)).unwrap();
    let before = driver.operations();
    for class in [READINGS, STATES] {
        assert_eq!(
            publish(&mut outbox, class, 0, &[7]),
            Ok(Published::Buffered)
        );
        assert_eq!(next(&mut outbox).unwrap().len(), 1);
        ack(&mut outbox, class, 1);
    }
    block_on(outbox.commit_all()).unwrap();
    assert_eq!(driver.operations(), before);
}

#[test]
fn a_class_commits_when_it_says() {
    let driver = Driver::new();
    let mut outbox = open(&driver, 1).unwrap();
    assert_eq!(
        publish(&mut outbox, ALARMS, 0, &[1]),
        Ok(Published::Committed)
    );
    assert_eq!(
        publish(&mut outbox, READINGS, 5, &[2]),
        Ok(Published::Buffered)
    );
    assert_eq!(
        publish(&mut outbox, STATES, 0, &[3]),
        Ok(Published::Committed)
    );
    assert_eq!(outbox.deadline_ms(), Some(45));
    block_on(outbox.commit_due(44)).unwrap();
    assert_eq!(outbox.uncommitted(stream(READINGS)), 1);
    block_on(outbox.commit_due(45)).unwrap();
    assert_eq!(
        (outbox.uncommitted(stream(READINGS)), outbox.deadline_ms()),
        (0, None)
    );

    block_on(outbox.link_changed(true)).unwrap();
    assert_eq!(
        publish(&mut outbox, STATES, 50, &[4]),
        Ok(Published::Buffered)
    );
    block_on(outbox.link_changed(false)).unwrap();
    assert_eq!(outbox.uncommitted(stream(STATES)), 0);
}

#[test]
fn a_full_class_that_refuses_keeps_what_it_has() {
    let driver = Driver::new();
    let mut outbox = open(&driver, 1).unwrap();
    let mut taken = 0u32;
    while publish(&mut outbox, ALARMS, 0, &taken.to_le_bytes()) == Ok(Published::Committed) {
        taken += 1;
    }
    assert_eq!(
        publish(&mut outbox, ALARMS, 0, &[1]),
        Err(PublishError::Full)
    );
    drop(outbox);
    let mut outbox = open(&driver, 2).unwrap();
    let mut sent = 0u32;
    while let Some(events) = next(&mut outbox) {
        assert_eq!(events[0].1, sent.to_le_bytes());
        sent += 1;
    }
    assert_eq!(sent, taken);
    assert!(taken > 60, "{taken} of 36 bytes fit into three pages");

    block_on(outbox.ack(
        1,
        stream(ALARMS),
        Mark {
            boot: 1,
            seq: u64::from(taken),
        },
    ))
    .unwrap();
    assert_eq!(
        publish(&mut outbox, ALARMS, 0, &[1]),
        Ok(Published::Committed)
    );
}

#[test]
fn a_full_class_that_drops_its_oldest_says_which() {
    let driver = Driver::new();
    let mut outbox = open(&driver, 1).unwrap();
    for number in 0..600u32 {
        publish(
            &mut outbox,
            READINGS,
            u64::from(number),
            &[number.to_le_bytes(); 4].concat(),
        )
        .unwrap();
    }
    block_on(outbox.commit_all()).unwrap();
    let dropped = outbox.dropped();
    assert_eq!(dropped.len(), 1);
    assert_eq!(
        (dropped[0].from, dropped[0].reason),
        (Mark { boot: 1, seq: 1 }, LossReason::Outbox)
    );
    let lost = dropped[0].to.seq;
    let oldest = block_on(outbox.streams()).unwrap()[1].oldest;
    assert_eq!(
        oldest,
        Mark {
            boot: 1,
            seq: lost + 1
        }
    );
    welcome(&mut outbox, READINGS, Mark::default());
    let first = next(&mut outbox).unwrap();
    assert_eq!(first[0].0, format!("0000000100000001-1-{}", lost + 1));
    assert_eq!(outbox.losses(), [], "the node may have it yet");
    ack(&mut outbox, READINGS, lost + 1);
    assert_eq!(losses(&outbox), [(LossReason::Outbox, lost)]);
    assert_eq!(outbox.dropped(), []);
}

/// The node says what it has of this incarnation.
fn welcome(outbox: &mut Box, class: u8, mark: Mark) {
    block_on(outbox.ack(outbox.incarnation(), stream(class), mark)).unwrap();
    block_on(outbox.link_changed(true)).unwrap();
}

fn losses(outbox: &Box) -> Vec<(LossReason, u64)> {
    let losses = outbox.losses().into_iter();
    losses.map(|loss| (loss.reason, loss.count)).collect()
}

/// So many readings of 16 bytes, in flash.
fn publish_readings(outbox: &mut Box, count: u64) {
    for number in 0..count {
        publish(outbox, READINGS, number, &[7; 16]).unwrap();
    }
    block_on(outbox.commit_all()).unwrap();
}

#[test]
fn what_a_class_gave_up_over_several_boots_is_announced_by_boot_until_the_node_has_passed_it() {
    let driver = Driver::new();
    let most = 40u32;
    for boot in 1..most {
        let mut outbox = open(&driver, 1).unwrap();
        publish_readings(&mut outbox, 30);
        let dropped = outbox.dropped();
        let given_up: u64 = dropped.iter().map(|it| it.to.seq - it.from.seq + 1).sum();
        let oldest = block_on(outbox.streams()).unwrap()[1].oldest;
        let before_oldest = u64::from(oldest.boot - 1) * 30 + oldest.seq - 1;
        assert_eq!(given_up, before_oldest, "boot {boot}");
        assert!(dropped.iter().all(|it| it.from.boot == it.to.boot));
    }
    let mut outbox = open(&driver, 1).unwrap();
    assert_eq!(
        outbox.dropped().len(),
        8,
        "of more boots the number is right"
    );
    welcome(&mut outbox, READINGS, Mark::default());
    while next(&mut outbox).is_some() {}
    let last = Mark {
        boot: most - 1,
        seq: 30,
    };
    block_on(outbox.ack(1, stream(READINGS), last)).unwrap();
    assert_eq!((outbox.dropped().len(), outbox.losses().len()), (0, 1));
    drop(outbox);
    assert_eq!(open(&driver, 1).unwrap().dropped(), []);
}

#[test]
fn events_of_an_earlier_boot_that_are_given_up_while_the_node_is_there_want_a_birth() {
    let driver = Driver::new();
    publish_readings(&mut open(&driver, 1).unwrap(), 30);
    let mut outbox = open(&driver, 1).unwrap();
    block_on(outbox.link_changed(true)).unwrap();
    block_on(outbox.streams()).unwrap();
    publish_readings(&mut outbox, 30);
    assert!(!outbox.is_birth_due());
    publish_readings(&mut outbox, 90);
    assert!(outbox.is_birth_due());
    block_on(outbox.streams()).unwrap();
    assert!(!outbox.is_birth_due());
}

#[test]
fn what_the_node_had_from_memory_is_not_taken_for_unreadable() {
    let driver = Driver::new();
    let mut outbox = open(&driver, 1).unwrap();
    publish(&mut outbox, STATES, 0, &[1]).unwrap();
    block_on(outbox.link_changed(true)).unwrap();
    for seq in 2..=11 {
        publish(&mut outbox, STATES, 0, &[2]).unwrap();
        while next(&mut outbox).is_some() {}
        ack(&mut outbox, STATES, seq);
    }
    block_on(outbox.link_changed(false)).unwrap();
    publish(&mut outbox, STATES, 0, &[3]).unwrap();
    drop(outbox);
    for has in [11, 12] {
        let mut outbox = open(&driver, 1).unwrap();
        let mark = |seq| Mark { boot: 1, seq };
        welcome(&mut outbox, STATES, mark(has));
        block_on(outbox.ack(1, stream(STATES), mark(12))).unwrap();
        assert_eq!(outbox.losses(), []);
    }
}

#[test]
fn an_event_that_cannot_be_read_any_more_is_counted_once_over_resets() {
    let driver = Driver::new();
    let mut outbox = open(&driver, 1).unwrap();
    for number in 0..3 {
        publish(&mut outbox, ALARMS, 0, &[number; 8]).unwrap();
    }
    drop(outbox);
    driver.rot(2 * u32::try_from(PAGE).unwrap() + PAGE_OF_ALARMS + 12 + 32 + 8);
    let counted = [(0, 1), (1, 1), (3, 0), (3, 0)].map(|(has, lost)| {
        let mut outbox = open(&driver, 2).unwrap();
        let mark = |seq| Mark { boot: 1, seq };
        welcome(&mut outbox, ALARMS, mark(has));
        assert_eq!(outbox.losses(), [], "the node has not passed it");
        if has > 0 {
            block_on(outbox.ack(1, stream(ALARMS), mark(3))).unwrap();
        }
        let expected = (has == 1).then_some((LossReason::Unreadable, lost));
        assert_eq!(losses(&outbox), Vec::from_iter(expected));
        outbox.losses().len()
    });
    assert_eq!(counted, [0, 1, 0, 0]);
}

#[test]
fn nothing_of_many_earlier_incarnations_is_sent_twice() {
    let driver = Driver::new();
    let mut has: Vec<(u32, Mark)> = Vec::new();
    for incarnation in 1..=6 {
        let store = (0..2 * u32::try_from(PAGE).unwrap()).step_by(4);
        for address in store.filter(|at| driver.word(*at) != [0; 4]) {
            driver.rot(address); // the boot counter is gone
        }
        let mut outbox = open(&driver, incarnation).unwrap();
        assert_eq!((outbox.incarnation(), outbox.boot()), (incarnation, 1));
        for state in block_on(outbox.streams()).unwrap() {
            let known = has.iter().find(|(of, _)| *of == state.incarnation);
            let mark = known.map_or(Mark::default(), |(_, mark)| *mark);
            block_on(outbox.ack(state.incarnation, state.stream, mark)).unwrap();
        }
        block_on(outbox.link_changed(true)).unwrap();
        publish(&mut outbox, ALARMS, 0, &[7]).unwrap();
        let sent: Vec<_> = std::iter::from_fn(|| next(&mut outbox)).flatten().collect();
        let id = format!("{incarnation:08x}00000001-0-1");
        assert_eq!(sent, [(id, vec![7])]);
        has.push((incarnation, Mark { boot: 1, seq: 1 }));
        ack(&mut outbox, ALARMS, 1);
    }
}

#[test]
fn an_event_that_cannot_be_read_any_more_is_reported() {
    let driver = Driver::new();
    let mut outbox = open(&driver, 1).unwrap();
    for number in 0..3 {
        publish(&mut outbox, ALARMS, 0, &[number; 8]).unwrap();
    }
    drop(outbox);
    // Behind the head of the page come records of 8 + 24 bytes.
    driver.rot(2 * u32::try_from(PAGE).unwrap() + PAGE_OF_ALARMS + 12 + 32 + 8);
    let mut outbox = open(&driver, 2).unwrap();
    let lost = Mark { boot: 1, seq: 2 };
    let dropped = outbox.dropped();
    assert_eq!(
        (dropped[0].from, dropped[0].to, dropped[0].reason),
        (lost, lost, LossReason::Unreadable)
    );
    let left: Vec<_> = std::iter::from_fn(|| next(&mut outbox))
        .map(|events| events[0].1[0])
        .collect();
    assert_eq!(left, [0, 2]);
}

#[test]
fn a_page_whose_head_cannot_be_read_any_more_keeps_its_events() {
    let first = 2 * u32::try_from(PAGE).unwrap();
    // The only page there is, the one that is written, and the oldest.
    for (alarms, number) in [(3, 1), (40, 2), (40, 1)] {
        let driver = Driver::new();
        let mut outbox = open(&driver, 1).unwrap();
        for number in 0..alarms {
            publish(&mut outbox, ALARMS, 0, &[number; 8]).unwrap();
        }
        drop(outbox);
        driver.rot(first + number * PAGE_OF_ALARMS);
        let mut outbox = open(&driver, 2).unwrap();
        publish(&mut outbox, ALARMS, 0, &[alarms; 8]).unwrap();
        let came = std::iter::from_fn(|| next(&mut outbox)).flatten();
        let numbers: Vec<_> = came.map(|(_, data)| data[0]).collect();
        let expected: Vec<_> = (0..=alarms).collect();
        assert_eq!(numbers, expected, "{alarms} alarms, page {number}");
        assert_eq!(outbox.dropped(), []);
    }
}

/// The first page that is used is the second of the region: pages are numbered from 1.
const PAGE_OF_ALARMS: u32 = 1024;

#[test]
fn what_an_earlier_incarnation_left_is_sent_first_and_under_its_name() {
    let driver = Driver::new();
    let mut outbox = open(&driver, 0xaaaa).unwrap();
    publish(&mut outbox, ALARMS, 0, &[1]).unwrap();
    drop(outbox);
    for address in (0..2 * u32::try_from(PAGE).unwrap()).step_by(4) {
        driver.rot(address); // the boot counter is gone
    }
    let mut outbox = open(&driver, 0xbbbb).unwrap();
    assert_eq!((outbox.incarnation(), outbox.boot()), (0xbbbb, 1));
    publish(&mut outbox, ALARMS, 0, &[2]).unwrap();
    let streams = block_on(outbox.streams()).unwrap();
    assert_eq!(
        (streams[0].incarnation, streams[0].last),
        (0xaaaa, Mark { boot: 1, seq: 1 })
    );
    assert_eq!(next(&mut outbox).unwrap()[0].0, "0000aaaa00000001-0-1");
    assert_eq!(next(&mut outbox).unwrap()[0].0, "0000bbbb00000001-0-1");
}

#[test]
fn a_boot_counter_that_cannot_be_read_begins_an_incarnation() {
    let driver = Driver::new();
    drop(open(&driver, 0xaaaa).unwrap());
    let before = driver.written();
    let second = open(&driver, 0xbbbb).unwrap();
    assert_eq!(
        (
            second.incarnation(),
            second.boot(),
            driver.written() - before
        ),
        (0xaaaa, 2, 20)
    );
    drop(second);
    // The counter is the last that was written to the store.
    let address = (0..2 * u32::try_from(PAGE).unwrap())
        .step_by(4)
        .rfind(|at| driver.word(*at) != [0xff; 4]);
    driver.rot(address.unwrap() - 4); // the last word ends in padding
    let third = open(&driver, 0xcccc).unwrap();
    assert_eq!((third.incarnation(), third.boot()), (0xcccc, 1));
    drop(third);
    let fourth = open(&driver, 0xdddd).unwrap();
    assert_eq!((fourth.incarnation(), fourth.boot()), (0xcccc, 2));
}

#[test]
fn a_generator_that_says_the_same_at_each_boot_begins_no_incarnation_of_which_events_wait() {
    let driver = Driver::new();
    publish(&mut open(&driver, 0xaaaa).unwrap(), ALARMS, 0, &[1]).unwrap();
    for address in (0..2 * u32::try_from(PAGE).unwrap()).step_by(4) {
        driver.rot(address); // the boot counter is gone
    }
    let mut outbox = open(&driver, 0xaaaa).unwrap();
    publish(&mut outbox, ALARMS, 0, &[2]).unwrap();
    assert_eq!(next(&mut outbox).unwrap()[0].0, "0000aaaa00000001-0-1");
    assert_eq!(next(&mut outbox).unwrap()[0].0, "0000aaab00000001-0-1");
}

#[test]
fn a_stream_that_goes_on_after_a_refusal_is_no_deadline_any_more() {
    let mut outbox = open(&Driver::new(), 9).unwrap();
    publish(&mut outbox, ALARMS, 0, &[1]).unwrap();
    assert!(next(&mut outbox).is_some());
    outbox.stop(stream(ALARMS), 100);
    let mut message = [0; 512];
    let mut at = |uptime_ms| {
        let len = block_on(outbox.next_message(uptime_ms, &mut message)).unwrap();
        (len.is_some(), outbox.deadline_ms())
    };
    assert_eq!(at(99), (false, Some(100)));
    assert_eq!(at(100), (true, None));
    assert_eq!(at(101), (false, None));
}

#[test]
fn a_boot_of_which_events_wait_is_not_counted_twice() {
    let driver = Driver::new();
    drop(open(&driver, 0xaaaa).unwrap());
    driver.begin(Fault::ForgetsBelow(2 * u32::try_from(PAGE).unwrap()));
    let mut second = open(&driver, 0xbbbb).unwrap();
    publish(&mut second, ALARMS, 0, &[1]).unwrap();
    assert_eq!((second.incarnation(), second.boot()), (0xaaaa, 2));
    drop(second);
    let mut third = open(&driver, 0xcccc).unwrap();
    assert_eq!((third.incarnation(), third.boot()), (0xcccc, 1));
    let streams = block_on(third.streams()).unwrap();
    assert_eq!(
        (streams[0].incarnation, streams[0].last),
        (0xaaaa, Mark { boot: 2, seq: 1 })
    );
}

#[test]
fn a_mark_above_all_that_was_sent_is_noticed() {
    let driver = Driver::new();
    let mut outbox = open(&driver, 9).unwrap();
    publish(&mut outbox, ALARMS, 0, &[1]).unwrap();
    let mark = Mark { boot: 1, seq: 4 };
    assert_eq!(
        block_on(outbox.ack(9, stream(ALARMS), mark)),
        Err(AckError::Reused)
    );
    assert!(next(&mut outbox).is_some());
}

/// Ids and data of all that is sent, and whether some of it waits after a reset at an operation of the flash.
fn renamed(cut_at: Option<u64>) -> (Vec<(String, Vec<u8>)>, bool) {
    let mut driver = Driver::new();
    let mut outbox = open(&driver, 9).unwrap();
    publish(&mut outbox, ALARMS, 0, &[1]).unwrap();
    publish(&mut outbox, READINGS, 0, &[2]).unwrap();
    publish(&mut outbox, READINGS, 5, &[3]).unwrap();
    block_on(outbox.commit_all()).unwrap();
    if let Some(cut_at) = cut_at {
        driver.cut_at(cut_at);
    }
    let begun = block_on(outbox.begin_incarnation(0xbbbb));
    let is_cut = begun.is_err();
    if cut_at.is_none() {
        publish(&mut outbox, ALARMS, 9, &[4]).unwrap();
    }
    drop(outbox);
    driver = driver.power_on(cut_at.unwrap_or(0));
    let mut outbox = open(&driver, 0xcccc).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| next(&mut outbox)).flatten().collect();
    for class in [ALARMS, READINGS] {
        let mark = Mark { boot: 1, seq: 2 };
        block_on(outbox.ack(0xbbbb, stream(class), mark)).unwrap();
    }
    block_on(outbox.link_changed(true)).unwrap();
    assert_eq!(next(&mut outbox).is_some(), is_old(&events));
    (events, is_cut)
}

fn is_old(events: &[(String, Vec<u8>)]) -> bool {
    events[0].0.starts_with("00000009")
}

#[test]
fn events_whose_ids_were_used_before_leave_under_new_ones_after_a_reset_too() {
    let (events, _) = renamed(None);
    let expected = [("0-1", 1), ("0-2", 4), ("1-1", 2), ("1-2", 3)];
    let expected = expected.map(|(id, data)| (format!("0000bbbb00000001-{id}"), vec![data]));
    assert_eq!(events, expected);
}

#[test]
fn a_cut_while_ids_are_changed_leaves_all_events_under_the_old_or_under_the_new_ones() {
    let mut names = [0; 2];
    for cut_at in 0.. {
        let (events, is_cut) = renamed(Some(cut_at));
        if !is_cut {
            break;
        }
        let name = if is_old(&events) {
            "00000009"
        } else {
            "0000bbbb"
        };
        let expected = [("0-1", 1), ("1-1", 2), ("1-2", 3)];
        let expected = expected.map(|(id, data)| (format!("{name}00000001-{id}"), vec![data]));
        assert_eq!(events, expected, "cut at {cut_at}");
        names[usize::from(is_old(&events))] += 1;
    }
    assert!(names[0] > 0 && names[1] > 0, "{names:?}");
}

#[test]
fn new_firmware_announces_the_kinds_of_old_events() {
    const NEWER: Kind<'static> = Kind {
        version: 2,
        ..READING
    };
    let driver = Driver::new();
    let mut outbox = open(&driver, 1).unwrap();
    publish(&mut outbox, READINGS, 0, &[1]).unwrap();
    block_on(outbox.commit_all()).unwrap();
    drop(outbox);

    let announced = |waits: bool| {
        let kinds = &[NEWER, ALARM];
        let mut outbox: Box = block_on(Outbox::open(driver.clone(), &layout(), kinds, 1)).unwrap();
        let mut buffer = [0; 512];
        let mut announced = Vec::new();
        for index in 0..outbox.tables() {
            let table = block_on(outbox.table(index, &mut buffer)).unwrap().unwrap();
            let Presence::Kinds(kinds) = Presence::decode(table).unwrap() else {
                panic!("no kinds")
            };
            announced.extend(
                kinds
                    .iter()
                    .map(|kind| (kind.event_type.to_owned(), kind.version)),
            );
        }
        announced.sort();
        assert_eq!(next(&mut outbox).is_some(), waits);
        block_on(outbox.ack(1, stream(READINGS), Mark { boot: 1, seq: 1 })).unwrap();
        announced
    };
    let own = [("pump.alarm".to_owned(), 1), ("pump.reading".to_owned(), 2)];
    let with_old = [
        own[0].clone(),
        ("pump.reading".to_owned(), 1),
        own[1].clone(),
    ];
    assert_eq!(announced(true), with_old);
}

#[test]
fn a_kind_that_changed_under_its_version_is_refused_by_name() {
    const CHANGED: Kind<'static> = Kind {
        fields: &[Field {
            name: "n",
            scalar: Scalar::U64,
            shape: Shape::One,
        }],
        ..READING
    };
    let driver = Driver::new();
    let mut outbox = open(&driver, 1).unwrap();
    publish(&mut outbox, READINGS, 0, &[1]).unwrap();
    block_on(outbox.commit_all()).unwrap();
    drop(outbox);
    let opened: Result<Box, _> = block_on(Outbox::open(driver.clone(), &layout(), &[CHANGED], 1));
    assert_eq!(opened.map(drop), Err(OpenError::Changed(CHANGED.id())));
}

#[test]
fn a_device_opens_its_outbox_through_any_number_of_kinds_over_its_life() {
    let driver = Driver::new();
    for version in 1..=60 {
        let kind = Kind { version, ..READING };
        let opened: Result<Box, _> = block_on(Outbox::open(driver.clone(), &layout(), &[kind], 1));
        let outbox = opened.unwrap_or_else(|error| panic!("version {version}: {error:?}"));
        assert_eq!((outbox.boot(), outbox.tables()), (version.into(), 1));
    }
}

#[test]
fn kinds_that_find_no_room_are_refused_and_the_firmware_before_goes_on() {
    const MANY: u16 = 30;
    let driver = Driver::new();
    drop(open(&driver, 1).unwrap());
    let kinds: Vec<_> = (1..=MANY)
        .map(|version| Kind { version, ..READING })
        .collect();
    for _ in 0..3 {
        let opened: Result<Box, _> = block_on(Outbox::open(driver.clone(), &layout(), &kinds, 1));
        assert_eq!(opened.map(drop), Err(OpenError::Kinds));
    }
    let mut outbox = open(&driver, 1).unwrap();
    publish(&mut outbox, ALARMS, 0, &[1]).unwrap();
    assert_eq!(next(&mut outbox).unwrap()[0].1, [1]);
}
