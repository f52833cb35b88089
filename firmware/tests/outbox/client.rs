//! The whole client against a node behind MQTT, with links that break and resets, in simulated time.

use std::cell::RefCell;

use embassy_futures::{
    block_on,
    select::{Either, Either3, select, select3},
};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use firmware::{
    Published,
    client::{Client, Clock, Identity, NoCommands, Shared},
    link::Manners,
};
use flash_model::Random;
use wire::topic::{DeviceId, Prefix};

use crate::{
    broker::{Broker, Trouble},
    device::{ALARM, READING, open, stream},
    flash::Driver,
    world::{Here, World},
};

pub(crate) fn identity() -> Identity<'static> {
    let device = DeviceId::new("pump-7").unwrap();
    Identity {
        device,
        prefix: Prefix::NONE,
        firmware: "1.0.0",
        configuration: 0,
        login: None,
    }
}

pub(crate) type Outside = Shared<NoopRawMutex, Driver, 3, 256>;

/// Publishes `count` alarms numbered from `first`, one in 50 ms: those that were committed.
pub(crate) async fn publish(shared: &Outside, clock: &Here, first: u32, count: u32) -> Vec<u32> {
    let mut committed = Vec::new();
    for number in first..first + count {
        clock.wait_until(clock.uptime_ms() + 50).await;
        let published = shared
            .publish(
                stream(0),
                ALARM.id(),
                clock.uptime_ms(),
                &number.to_le_bytes(),
            )
            .await;
        if published == Ok(Published::Committed) {
            committed.push(number);
        }
        let reading = shared
            .publish(
                stream(1),
                READING.id(),
                clock.uptime_ms(),
                &number.to_le_bytes(),
            )
            .await;
        assert!(reading.is_ok());
    }
    committed
}

pub(crate) fn numbers(broker: &Broker, class: u8) -> Vec<u32> {
    let node = broker.node.borrow();
    let of_class = node
        .events
        .iter()
        .filter(|((_, _, stream, _), _)| *stream == class);
    of_class
        .map(|(_, data)| u32::from_le_bytes(data[..].try_into().unwrap()))
        .collect()
}

#[test]
fn what_is_published_arrives_in_order() {
    let world = World::new();
    let here = Here(world.clone());
    let broker = Broker::new(&world, 1);
    let shared = Outside::new(open(&Driver::new(), 5).unwrap());
    let mut client = Client::new(
        &shared,
        identity(),
        (here.clone(), here.clone(), NoCommands),
        Manners::default(),
        3,
    );
    let work = async {
        let committed = publish(&shared, &here, 0, 40).await;
        here.wait_until(here.uptime_ms() + 100).await;
        committed
    };
    let done = world
        .run(60_000, select3(client.run(), broker.serve(), work))
        .unwrap();
    let Either3::Third(committed) = done else {
        panic!("the client ended")
    };
    assert_eq!(committed, (0..40).collect::<Vec<_>>());
    assert_eq!(numbers(&broker, 0), committed);
    assert_eq!(numbers(&broker, 1), committed);
    let told = shared.time_ms(here.uptime_ms()).unwrap();
    assert!((1_795_000_000_000..1_795_000_003_000).contains(&told));
}

/// Lives with resets between, under trouble, and a last one without.
fn through(trouble: Trouble, seed: u64) -> (Broker, Vec<u32>) {
    let world = World::new();
    let here = Here(world.clone());
    let broker = Broker::new(&world, seed);
    broker.trouble.set(trouble);
    let random = RefCell::new(Random::new(seed));
    let mut driver = Driver::new();
    let mut committed = Vec::new();
    for life in 0..4 {
        let shared = Outside::new(open(&driver, 5).unwrap());
        let manners = Manners {
            backoff_least_ms: 50,
            backoff_most_ms: 400,
            ..Manners::default()
        };
        let mut client = Client::new(
            &shared,
            identity(),
            (here.clone(), here.clone(), NoCommands),
            manners,
            3,
        );
        let work = async {
            let first = life * 1000;
            committed.extend(publish(&shared, &here, first, 30).await);
            let rest_ms = random.borrow_mut().below(300);
            here.wait_until(here.uptime_ms() + rest_ms).await;
            if life == 3 {
                broker.trouble.set(Trouble::default());
                here.wait_until(here.uptime_ms() + 40_000).await;
            }
        };
        let done = world.run(600_000, select3(client.run(), broker.serve(), work));
        assert!(matches!(done, Some(Either3::Third(()))), "seed {seed}");
        drop(client);
        drop(shared);
        driver = driver.power_on(seed);
    }
    (broker, committed)
}

#[test]
fn what_is_committed_arrives_once_in_spite_of_cut_links_lost_answers_and_resets() {
    let trouble = Trouble {
        cuts: 12,
        lost_answers: 4,
        forgotten_births: 15,
    };
    let mut cuts = 0;
    for seed in 0..24 {
        let (broker, committed) = through(trouble, seed);
        let came = numbers(&broker, 0);
        assert!(came.is_sorted(), "seed {seed}: {came:?}");
        assert_eq!(came, committed, "seed {seed}");
        cuts += broker.cuts.get();
    }
    assert!(cuts > 300, "{cuts}");
}

/// Two lives with the same counter and the same random number: the second one's flash knows nothing of the first.
#[test]
fn events_under_ids_that_the_node_has_already_arrive_under_others() {
    let world = World::new();
    let here = Here(world.clone());
    let broker = Broker::new(&world, 1);
    for life in 0..2 {
        let shared = Outside::new(open(&Driver::new(), 5).unwrap());
        let mut client = Client::new(
            &shared,
            identity(),
            (here.clone(), here.clone(), NoCommands),
            Manners::default(),
            3,
        );
        world.is_up.set(false);
        let work = async {
            let committed = publish(&shared, &here, life * 1000, 20).await;
            assert_eq!(committed.len(), 20);
            world.is_up.set(true);
            here.wait_until(here.uptime_ms() + 120_000).await;
        };
        let done = world.run(1_000_000, select3(client.run(), broker.serve(), work));
        assert!(matches!(done, Some(Either3::Third(()))));
    }
    let expected: Vec<u32> = (0..20).chain(1000..1020).collect();
    assert_eq!(numbers(&broker, 0), expected);
    assert_eq!(numbers(&broker, 1), expected);
}

#[test]
fn a_node_without_room_is_asked_again_when_it_said_and_other_streams_go_on_over_one_connection() {
    let world = World::new();
    let here = Here(world.clone());
    let broker = Broker::new(&world, 1);
    let shared = Outside::new(open(&Driver::new(), 5).unwrap());
    let outside = (here.clone(), here.clone(), NoCommands);
    let mut client = Client::new(&shared, identity(), outside, Manners::default(), 3);
    broker.no_room_for.set(Some((0, 60_000)));
    let work = async {
        let committed = publish(&shared, &here, 0, 20).await;
        here.wait_until(here.uptime_ms() + 150_000).await;
        assert_eq!(numbers(&broker, 1).len(), 20);
        assert!(numbers(&broker, 0).is_empty());
        // At most a window of them each minute.
        let refusals = broker.refusals.replace(0);
        assert!((3..=24).contains(&refusals), "{refusals}");
        broker.no_room_for.set(None);
        here.wait_until(here.uptime_ms() + 60_000).await;
        committed
    };
    let done = world.run(1_000_000, select3(client.run(), broker.serve(), work));
    let Some(Either3::Third(committed)) = done else {
        panic!("the client ended")
    };
    assert_eq!(numbers(&broker, 0), committed);
    assert_eq!(broker.works_with.borrow().len(), 1, "births");
}

#[test]
fn without_a_link_nothing_is_lost_and_attempts_go_on() {
    let world = World::new();
    let here = Here(world.clone());
    let broker = Broker::new(&world, 1);
    let shared = Outside::new(open(&Driver::new(), 5).unwrap());
    let mut client = Client::new(
        &shared,
        identity(),
        (here.clone(), here.clone(), NoCommands),
        Manners::default(),
        3,
    );
    world.is_up.set(false);
    let work = async {
        let committed = publish(&shared, &here, 0, 20).await;
        here.wait_until(here.uptime_ms() + 3_600_000).await;
        assert!(numbers(&broker, 0).is_empty());
        world.is_up.set(true);
        here.wait_until(here.uptime_ms() + 70_000).await;
        committed
    };
    let done = world
        .run(4_000_000, select3(client.run(), broker.serve(), work))
        .unwrap();
    let Either3::Third(committed) = done else {
        panic!("the client ended")
    };
    assert_eq!(numbers(&broker, 0), committed);
    assert_eq!(numbers(&broker, 1).len(), 20);
}

#[test]
fn a_client_that_is_left_waiting_keeps_the_connection() {
    let world = World::new();
    let here = Here(world.clone());
    let broker = Broker::new(&world, 1);
    let shared = Outside::new(open(&Driver::new(), 5).unwrap());
    let mut client = Client::new(
        &shared,
        identity(),
        (here.clone(), here.clone(), NoCommands),
        Manners::default(),
        3,
    );
    let work = async {
        here.wait_until(600_000).await;
        world.is_up.set(false); // whoever dials again finds nobody
        here.wait_until(1_200_000).await;
        block_on(shared.publish(stream(0), ALARM.id(), 0, &7u32.to_le_bytes())).unwrap();
        here.wait_until(1_230_000).await;
    };
    let done = world.run(
        2_000_000,
        select(select(client.run(), broker.serve()), work),
    );
    assert!(matches!(done, Some(Either::Second(()))));
    assert_eq!(numbers(&broker, 0), [7]);
}
