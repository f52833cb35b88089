//! Commands and configurations from the node, through repeats, resets and power cuts.

use std::{cell::RefCell, future::pending, rc::Rc};

use embassy_futures::{
    block_on,
    select::{Either3, select3},
};
use embedded_storage_async::nor_flash::NorFlash;
use firmware::{
    client::{Client, Clock, Plan, Serve},
    link::Manners,
    outbox::Setting,
};
use wire::command::{CommandId, Configured, Outcome};

use crate::{
    broker::Broker,
    client::{Outside, identity},
    device::{READING, open, stream},
    flash::Driver,
    world::{Here, World},
};

/// A machine, and what was done with it.
#[derive(Default)]
struct Machine {
    /// Commands in the middle of which it is reset.
    sticks: bool,
    done: RefCell<Vec<String>>,
    /// What is to be told at the welcome.
    tried: Option<(u32, Configured)>,
}

impl Serve for &Machine {
    fn plan(&self, name: &str, data: &[u8]) -> Plan {
        match name {
            "valve.open" => Plan::Run,
            "period" => Plan::Set(Setting::from_slice(data).unwrap()),
            _ => Plan::Refuse(Outcome::Unknown),
        }
    }

    async fn run(&mut self, name: &str, data: &[u8], answer: &mut [u8]) -> (Outcome, usize) {
        let data = String::from_utf8_lossy(data);
        self.done.borrow_mut().push(format!("{name} {data}"));
        if self.sticks {
            pending::<()>().await;
        }
        answer[..4].copy_from_slice(b"open");
        (Outcome::Done, 4)
    }

    fn set(&mut self, setting: &Setting) {
        let setting = String::from_utf8_lossy(setting);
        self.done.borrow_mut().push(format!("period {setting}"));
    }

    async fn configure<S: NorFlash>(
        &mut self,
        _: &mut S,
        version: u32,
        data: &[u8],
    ) -> Result<Configured, S::Error> {
        let data = String::from_utf8_lossy(data);
        self.done.borrow_mut().push(format!("try {version} {data}"));
        match &*data {
            "good" => pending().await, // it starts anew
            _ => Ok(Configured::Malformed),
        }
    }

    async fn welcomed<S: NorFlash>(
        &mut self,
        _: &mut S,
    ) -> Result<Option<(u32, Configured)>, S::Error> {
        Ok(self.tried)
    }
}

/// One boot of the machine, for a second: false if the power was cut.
fn life(world: &Rc<World>, broker: &Broker, driver: &Driver, machine: &Machine) -> bool {
    life_as(world, broker, driver, machine, 0)
}

fn life_as(
    world: &Rc<World>,
    broker: &Broker,
    driver: &Driver,
    machine: &Machine,
    configuration: u32,
) -> bool {
    let here = Here(world.clone());
    let Ok(outbox) = open(driver, 5) else {
        return false;
    };
    let shared = Outside::new(outbox);
    let mut identity = identity();
    identity.configuration = configuration;
    let outside = (here.clone(), here.clone(), machine);
    let mut client = Client::new(&shared, identity, outside, Manners::default(), 3);
    let end_ms = here.uptime_ms() + 1_000;
    let work = select3(client.run(), broker.serve(), here.wait_until(end_ms));
    let done = world.run(2_000, work);
    !matches!(done, Some(Either3::First(Err(_))))
}

fn order(broker: &Broker, seq: u64, name: &'static str) {
    broker
        .command
        .set(Some((CommandId { origin: 9, seq }, name)));
}

#[test]
fn a_command_is_run_and_answered() {
    let world = World::new();
    let broker = Broker::new(&world, 1);
    let machine = Machine::default();
    order(&broker, 1, "valve.open");
    assert!(life(&world, &broker, &Driver::new(), &machine));
    assert_eq!(*machine.done.borrow(), ["valve.open now"]);
    assert_eq!(
        *broker.results.borrow(),
        [(Outcome::Done, b"open".to_vec())]
    );
}

#[test]
fn a_command_is_run_once_in_spite_of_repeats_and_resets() {
    let world = World::new();
    let broker = Broker::new(&world, 1);
    let driver = Driver::new();
    let mut machine = Machine::default();
    for (seq, sticks) in [(1, false), (1, false), (2, true), (2, false), (1, false)] {
        order(&broker, seq, "valve.open");
        machine.sticks = sticks;
        life(&world, &broker, &driver, &machine);
    }
    assert_eq!(machine.done.borrow().len(), 2, "each once");
    let done = (Outcome::Done, b"open".to_vec());
    let lost = |outcome| (outcome, Vec::new());
    assert_eq!(
        broker.results.take(),
        [
            done.clone(),
            done,
            lost(Outcome::Interrupted),
            lost(Outcome::Forgotten)
        ]
    );
}

#[test]
fn a_command_that_nobody_knows_is_refused_and_leaves_nothing() {
    let world = World::new();
    let broker = Broker::new(&world, 1);
    let (driver, machine) = (Driver::new(), Machine::default());
    order(&broker, 7, "valve.shut");
    for _ in 0..2 {
        life(&world, &broker, &driver, &machine);
    }
    order(&broker, 6, "valve.open");
    life(&world, &broker, &driver, &machine);
    assert_eq!(*machine.done.borrow(), ["valve.open now"]);
    let outcomes = broker
        .results
        .take()
        .into_iter()
        .map(|(outcome, _)| outcome);
    assert_eq!(
        outcomes.collect::<Vec<_>>(),
        [Outcome::Unknown, Outcome::Unknown, Outcome::Done]
    );
}

/// The power is cut at each operation of the life in which the command comes.
#[test]
fn what_a_command_sets_is_in_flash_with_its_number_or_not_at_all() {
    let mut cuts = 0;
    for cut_at in 0.. {
        let world = World::new();
        let broker = Broker::new(&world, 1);
        let machine = Machine::default();
        let mut driver = Driver::new();
        life(&world, &broker, &driver, &machine);
        order(&broker, 3, "period");
        driver.cut_at(cut_at);
        let is_cut = !life(&world, &broker, &driver, &machine);
        cuts += u32::from(is_cut);
        driver = driver.power_on(cut_at);
        let is_set = setting(&driver).is_some();
        let told = broker.results.take();
        assert!(
            is_set || told.is_empty(),
            "told done, and not kept: {cut_at}"
        );

        life(&world, &broker, &driver, &machine);
        assert_eq!(setting(&driver).as_deref(), Some(&b"now"[..]));
        let told = broker.results.take();
        assert_eq!(told, [(Outcome::Done, Vec::new())]);
        let times = machine.done.borrow().len();
        let after = usize::from(!is_set);
        assert!(
            (after..=1).contains(&times),
            "{times} times, cut at {cut_at}"
        );

        order(&broker, 2, "period");
        life(&world, &broker, &driver, &machine);
        let told = broker.results.take();
        assert_eq!(told, [(Outcome::Forgotten, Vec::new())], "an earlier one");
        if !is_cut {
            break;
        }
    }
    assert!(cuts > 10, "{cuts}");
}

fn setting(driver: &Driver) -> Option<Setting> {
    block_on(open(driver, 5).unwrap().setting()).unwrap()
}

#[test]
fn a_configuration_is_tried_by_another_start_and_the_node_is_told_what_became_of_it() {
    let world = World::new();
    let broker = Broker::new(&world, 1);
    let driver = Driver::new();
    let mut machine = Machine::default();
    broker.configuration.set(Some((1, "bad")));
    life(&world, &broker, &driver, &machine);
    broker.configuration.set(Some((2, "good")));
    life(&world, &broker, &driver, &machine);
    broker.configuration.set(None);
    machine.tried = Some((2, Configured::Applied));
    life_as(&world, &broker, &driver, &machine, 2);
    assert_eq!(*machine.done.borrow(), ["try 1 bad", "try 2 good"]);
    assert_eq!(*broker.works_with.borrow(), [0, 0, 2]);
    assert_eq!(
        *broker.configured.borrow(),
        [(1, Configured::Malformed), (2, Configured::Applied)]
    );
}

#[test]
fn what_is_only_in_memory_is_committed_before_a_configuration_is_tried() {
    let world = World::new();
    let broker = Broker::new(&world, 1);
    let here = Here(world.clone());
    let (driver, machine) = (Driver::new(), Machine::default());
    let shared = Outside::new(open(&driver, 5).unwrap());
    let outside = (here.clone(), here.clone(), &machine);
    let mut client = Client::new(&shared, identity(), outside, Manners::default(), 3);
    let reading = READING.id();
    let number = 7u32.to_le_bytes();
    block_on(shared.publish(stream(1), reading, 0, &number)).unwrap();
    broker.configuration.set(Some((1, "good")));
    let until_tried = async {
        while machine.done.borrow().is_empty() {
            here.wait_until(here.uptime_ms() + 1).await;
        }
    };
    let _ = world.run(10_000, select3(client.run(), broker.serve(), until_tried));
    drop(client);
    let outbox = shared.into_outbox();
    assert_eq!(outbox.uncommitted(stream(1)), 0);
}
