//! Events to a broker that is no node, in simulated time.

use std::{collections::BTreeSet, rc::Rc};

use embassy_futures::select::{Either3, select3};
use firmware::{
    client::Clock,
    cloudevent::Encoding,
    link::Manners,
    publisher::{Destination, Publisher},
};
use wire::{
    event::{DataWriter, FieldType},
    topic::{DeviceId, Prefix},
};

use crate::{
    client::Outside,
    device::{ALARM, READING, open, stream},
    flash::Driver,
    foreign::{Came, Foreign},
    world::{Here, World},
};

const MANNERS: Manners = Manners {
    backoff_least_ms: 50,
    backoff_most_ms: 400,
    ..Manners::DEFAULT
};

struct Scene {
    world: Rc<World>,
    broker: Foreign,
    driver: Driver,
    encoding: Encoding,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let world = World::new();
        Scene {
            broker: Foreign::new(&world, seed),
            world,
            driver: Driver::new(),
            encoding: Encoding::Binary,
        }
    }

    /// One life of the device with this work beside it.
    fn live<T>(&self, work: impl AsyncFnOnce(&Outside, &Here) -> T) -> T {
        let here = Here(self.world.clone());
        let shared = Outside::new(open(&self.driver, 5).unwrap());
        let to = Destination {
            device: DeviceId::new("pump-7").unwrap(),
            under: Prefix::new("plant").unwrap(),
            encoding: self.encoding,
            login: None,
        };
        let outside = (here.clone(), here.clone());
        let mut publisher = Publisher::new(&shared, to, outside, MANNERS, 3);
        let all = select3(publisher.run(), self.broker.serve(), work(&shared, &here));
        match self.world.run(10_000_000, all) {
            Some(Either3::Third(done)) => done,
            Some(_) => panic!("the publisher ended"),
            None => panic!("the work takes too long"),
        }
    }

    /// A life that publishes nothing, with a broker that takes all there is.
    fn drain(&self) {
        self.broker.answers(|_| Some(0));
        self.live(async |_, here| rest(here, 60_000).await);
    }
}

async fn event(shared: &Outside, here: &Here, class: u8, number: u32) -> bool {
    let mut data = [0; 8];
    let mut writer = DataWriter::new(&mut data);
    number.put(&mut writer);
    let data = writer.finish().unwrap();
    let kind = if class == 0 { ALARM } else { READING };
    let published = shared.publish(stream(class), kind.id(), here.uptime_ms(), data);
    published.await.is_ok()
}

/// Publishes `count` alarms and readings numbered from `first`, one of each in 50 ms: the alarms that were committed.
async fn publish(shared: &Outside, here: &Here, first: u32, count: u32) -> Vec<u32> {
    let mut committed = Vec::new();
    for number in first..first + count {
        rest(here, 50).await;
        if event(shared, here, 0, number).await {
            committed.push(number);
        }
        assert!(event(shared, here, 1, number).await);
    }
    committed
}

async fn rest(here: &Here, ms: u64) {
    here.wait_until(here.uptime_ms() + ms).await;
}

fn alarm_id(seq: u32) -> String {
    format!("0000000500000001-0-{seq}")
}

#[test]
fn events_arrive_as_cloudevents_in_their_order() {
    let scene = Scene::new(1);
    scene.live(async |shared, here| {
        shared.set_time(1_795_000_000_000, here.uptime_ms());
        publish(shared, here, 0, 40).await;
        rest(here, 2_000).await;
    });
    let came = scene.broker.came.take();
    assert_eq!(came.len(), 80);
    assert!(came.iter().all(|it| it.topic == "plant/pump-7"));
    assert!(came.iter().all(|it| it.connection == 1));
    let is_alarm = |it: &&Came| it.attributes["type"] == "pump.alarm";
    let alarms: Vec<_> = came.iter().filter(is_alarm).collect();
    let ids: Vec<_> = alarms.iter().map(|it| it.id().to_owned()).collect();
    assert_eq!(ids, (1..=40).map(alarm_id).collect::<Vec<_>>());
    let last = alarms[39];
    assert_eq!(last.attributes["source"], "urn:edge-device:pump-7");
    assert_eq!(last.attributes["time"], "2026-11-18T11:06:42.000Z");
    assert_eq!(last.attributes.get("timequality"), None);
    assert_eq!(last.payload, r#"{"n":39}"#);
}

#[test]
fn what_was_taken_makes_room_and_no_more_than_a_page_of_it_comes_again_after_a_reset() {
    let scene = Scene::new(1);
    let committed = scene.live(async |shared, here| {
        let committed = publish(shared, here, 0, 300).await;
        rest(here, 2_000).await;
        committed
    });
    // Three pages hold less than a hundred.
    assert_eq!(committed.len(), 300);
    scene.broker.came.take();
    scene.drain();
    let again = scene.broker.ids();
    let of_alarms = again
        .iter()
        .filter(|id| id.starts_with("0000000500000001-0-"));
    assert!(of_alarms.clone().count() < 40, "{again:?}");
    assert!(of_alarms.is_sorted_by_key(|id| id.len()), "{again:?}");
}

#[test]
fn no_other_reason_than_0x00_is_delivery() {
    for reason in [0x10, 0x80, 0x87, 0x97] {
        let scene = Scene::new(1);
        scene.broker.answers(move |_| Some(reason));
        scene.live(async |shared, here| {
            assert!(event(shared, here, 0, 7).await);
            rest(here, 45_000).await;
        });
        let ids = scene.broker.ids();
        assert!((4..=6).contains(&ids.len()), "once in ten seconds: {ids:?}");
        assert!(ids.iter().all(|id| *id == alarm_id(1)));
        assert_eq!(scene.broker.connections.get(), 1);
        // It outlives a reset, and is sent until the broker has it.
        scene.broker.came.take();
        scene.drain();
        assert_eq!(scene.broker.ids(), [alarm_id(1)], "{reason:#x}");
    }
}

/// Four events of a class leave while the third is refused once, and many follow: the sequences in which the four came.
fn with_a_refusal(class: u8) -> Vec<String> {
    let scene = Scene::new(1);
    let mut is_refused = false;
    scene.broker.answers(move |came| {
        let is_first = came.id().ends_with("-3") && !std::mem::replace(&mut is_refused, true);
        Some(if is_first { 0x97 } else { 0 })
    });
    scene.world.is_up.set(false);
    let ids = scene.live(async |shared, here| {
        for number in 0..4 {
            assert!(event(shared, here, class, number).await);
        }
        rest(here, 100).await; // the readings are one batch in flash then
        scene.world.is_up.set(true);
        rest(here, 30_000).await;
        let ids = scene.broker.ids();
        // What was refused holds up nothing any more: three pages hold less than a hundred.
        assert_eq!(publish(shared, here, 10, 300).await.len(), 300);
        ids
    });
    let sequence = |id: &String| id.rsplit('-').next().unwrap().to_owned();
    ids.iter().map(sequence).collect()
}

#[test]
fn what_was_sent_behind_a_refused_event_comes_again_behind_it() {
    assert_eq!(with_a_refusal(0), ["1", "2", "3", "4", "3", "4"]);
}

#[test]
fn what_was_taken_of_a_batch_does_not_come_again_with_what_was_refused() {
    assert_eq!(with_a_refusal(1), ["1", "2", "3", "4", "3", "4"]);
}

#[test]
fn a_refused_event_takes_nothing_of_a_batch_of_another_stream_with_it() {
    let scene = Scene::new(1);
    let mut is_refused = false;
    scene.broker.answers(move |came| {
        let is_alarm = came.id() == alarm_id(1);
        let is_first = is_alarm && !std::mem::replace(&mut is_refused, true);
        Some(if is_first { 0x97 } else { 0 })
    });
    scene.world.is_up.set(false);
    scene.live(async |shared, here| {
        for number in 0..20 {
            assert!(event(shared, here, 1, number).await);
        }
        assert!(event(shared, here, 0, 0).await);
        rest(here, 100).await; // the readings are one batch in flash then
        scene.world.is_up.set(true);
        rest(here, 1_000).await;
        assert!(event(shared, here, 1, 20).await);
        rest(here, 30_000).await;
    });
    let ids = scene.broker.ids();
    let of_readings = ids.iter().filter(|id| **id != alarm_id(1));
    let expected = (1..=21).map(|seq| format!("0000000500000001-1-{seq}"));
    assert!(of_readings.eq(&expected.collect::<Vec<_>>()), "{ids:?}");
    assert_eq!(ids.len(), 23, "the alarm came twice");
}

#[test]
fn an_event_whose_acknowledgement_is_lost_comes_again_on_another_connection() {
    let scene = Scene::new(1);
    let mut is_lost = false;
    let answer = move |_: &Came| std::mem::replace(&mut is_lost, true).then_some(0);
    scene.broker.answers(answer);
    scene.live(async |shared, here| {
        assert!(event(shared, here, 0, 7).await);
        rest(here, 60_000).await;
    });
    let came = scene.broker.came.take();
    let came: Vec<_> = came.iter().map(|it| (it.id(), it.connection)).collect();
    assert_eq!(came, [(&*alarm_id(1), 1), (&*alarm_id(1), 2)]);
}

/// What was committed over four lives with cut links, and the alarms in the order in which each came first.
fn through(seed: u64, is_refusing: bool) -> (Vec<u32>, Vec<u32>) {
    let mut scene = Scene::new(seed);
    scene.broker.cuts.set(15);
    let mut count = 0;
    scene.broker.answers(move |_| {
        count += 1;
        Some(if is_refusing && count % 7 == 0 {
            0x97
        } else {
            0
        })
    });
    let mut committed = Vec::new();
    for life in 0..4 {
        committed
            .extend(scene.live(async |shared, here| publish(shared, here, life * 1000, 20).await));
        scene.driver = scene.driver.power_on(seed);
    }
    scene.broker.cuts.set(0);
    scene.drain();
    let mut seen = BTreeSet::new();
    let came = scene.broker.came.take();
    let first = came.iter().filter(|it| seen.insert(it.id().to_owned()));
    let alarms = first.filter(|it| it.attributes["type"] == "pump.alarm");
    let number = |it: &Came| it.payload[5..it.payload.len() - 1].parse().unwrap();
    (committed, alarms.map(number).collect())
}

#[test]
fn what_is_committed_arrives_in_order_in_spite_of_cut_links_and_resets() {
    for seed in 0..12 {
        let (committed, came) = through(seed, false);
        assert_eq!(came, committed, "seed {seed}");
    }
}

#[test]
fn what_is_committed_arrives_in_spite_of_refusals() {
    for seed in 0..12 {
        let (committed, mut came) = through(seed, true);
        came.sort_unstable();
        assert_eq!(came, committed, "seed {seed}");
    }
}

#[test]
fn an_event_too_large_for_the_broker_stays_and_holds_up_no_other_stream() {
    let scene = Scene::new(1);
    // Of the alarm seven bytes more are sent than of the reading, which are 189.
    scene.broker.properties.replace(vec![0x27, 0, 0, 0, 190]);
    scene.live(async |shared, here| {
        assert!(event(shared, here, 0, u32::MAX).await);
        assert!(event(shared, here, 1, 7).await);
        rest(here, 30_000).await;
    });
    assert_eq!(scene.broker.ids(), ["0000000500000001-1-1"]);
    assert_eq!(scene.broker.connections.get(), 1);
    scene.broker.came.take();
    scene.broker.properties.take();
    scene.drain();
    assert_eq!(scene.broker.ids()[0], alarm_id(1));
}

#[test]
fn an_object_of_json_has_the_whole_event() {
    let mut scene = Scene::new(1);
    scene.encoding = Encoding::Structured;
    scene.live(async |shared, here| {
        assert!(event(shared, here, 0, 7).await);
        rest(here, 1_000).await;
    });
    let came = scene.broker.came.take();
    let content_type = &came[0].attributes["content-type"];
    assert_eq!(content_type, "application/cloudevents+json; charset=utf-8");
    let expected = concat!(
        r#"{"specversion":"1.0","id":"0000000500000001-0-1","source":"urn:edge-device:pump-7","type":"pump.alarm","#,
        r#""subject":"pump-7","timequality":"unsynced","datacontenttype":"application/json","data":{"n":7}}"#
    );
    assert_eq!(came[0].payload, expected);
}

#[test]
fn only_what_happened_in_this_boot_within_an_hour_of_the_time_has_a_time_to_rely_on() {
    let scene = Scene::new(1);
    scene.world.is_up.set(false);
    scene.live(async |shared, here| {
        rest(here, 300).await;
        assert!(event(shared, here, 0, 1).await);
        rest(here, 700).await;
    });
    scene.world.is_up.set(true);
    scene.live(async |shared, here| {
        let booted_ms = here.uptime_ms();
        shared.set_time(1_795_000_000_000, booted_ms);
        rest(here, 3_600_000).await;
        assert!(event(shared, here, 0, 2).await);
        rest(here, 1).await;
        assert!(event(shared, here, 0, 3).await);
        rest(here, 1_000).await;
    });
    let came = scene.broker.came.take();
    let quality = |it: &Came| it.attributes.get("timequality").cloned();
    let qualities: Vec<_> = came.iter().map(quality).collect();
    let unsynced = Some("unsynced".to_owned());
    assert_eq!(qualities, [unsynced.clone(), None, unsynced]);
    // Not after the boot: how long before it is not known.
    assert_eq!(came[0].attributes["time"], "2026-11-18T11:06:39.000Z");
    assert_eq!(came[1].attributes["time"], "2026-11-18T12:06:40.000Z");
}
