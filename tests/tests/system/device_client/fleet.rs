//! Many devices at once, over links that fail.

use std::{cell::Cell, collections::BTreeMap, ops::ControlFlow, rc::Rc};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use firmware::client::{Client, Network, NoCommands};
use serde_json::Value;
use tests::{TestCloud, TestNode, wait_for_progress};
use tokio::{net::TcpStream, task::LocalSet};

use super::{MANNERS, Socket, Tcp, Uptime, identity, new_events, publish};

/// How many there are, unless `FLEET_DEVICES` says so.
const DEVICES: u64 = 30;
/// How many events each has.
const EVENTS: u8 = 20;
/// How often the link of each fails, at most.
const FAULTS: u32 = 5;
/// A faulty connection carries fewer bytes, in both directions: it may break before the birth, between events, and never.
const MOST_BYTES: usize = 2_000;

/// A network that fails by a seed: nobody answers, or the connection breaks, often in the middle of a packet.
struct Faulty {
    to: Tcp,
    random: fastrand::Rng,
    faults: u32,
    broken: Rc<Cell<u64>>,
}

/// A connection that carries so many bytes and breaks.
struct Fragile {
    socket: Socket,
    left: usize,
    broken: Rc<Cell<u64>>,
}

impl Network for Faulty {
    type Connection = Fragile;

    async fn connect(&mut self) -> Option<Fragile> {
        let is_faulty = self.faults > 0;
        self.faults = self.faults.saturating_sub(1);
        if is_faulty && self.random.u8(0..4) == 0 {
            return None;
        }
        let socket = TcpStream::connect(self.to.0).await.ok()?;
        Some(Fragile {
            socket: Socket(socket),
            left: match is_faulty {
                true => self.random.usize(0..MOST_BYTES),
                false => usize::MAX,
            },
            broken: Rc::clone(&self.broken),
        })
    }
}

impl Fragile {
    /// How many of so many bytes it still carries.
    fn carry(&mut self, bytes: usize) -> Result<usize, ErrorKind> {
        if self.left == 0 {
            self.broken.set(self.broken.get() + 1);
            return Err(ErrorKind::ConnectionReset);
        }
        Ok(bytes.min(self.left))
    }
}

impl ErrorType for Fragile {
    type Error = ErrorKind;
}

impl Read for Fragile {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        let most = self.carry(into.len())?;
        let read = self.socket.read(&mut into[..most]).await?;
        self.left -= read;
        Ok(read)
    }
}

impl Write for Fragile {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let most = self.carry(bytes.len())?;
        let written = self.socket.write(&bytes[..most]).await?;
        self.left -= written;
        Ok(written)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.socket.flush().await
    }
}

#[tokio::test]
async fn of_a_fleet_over_failing_links_every_event_arrives_once_and_in_its_order() {
    let said = std::env::var("FLEET_DEVICES").ok();
    let devices = said.map_or(DEVICES, |said| said.parse().expect("a number of devices"));
    let events = devices * u64::from(EVENTS);
    let cloud = TestCloud::start().await;
    let node = TestNode::builder().config("[devices]\n");
    let node = node.uplink(&cloud).start().await;
    let broken = Rc::default();
    let fleet = LocalSet::new();
    for number in 0..devices {
        let network = Faulty {
            to: Tcp(node.mqtt()),
            random: fastrand::Rng::with_seed(number),
            faults: FAULTS,
            broken: Rc::clone(&broken),
        };
        fleet.spawn_local(run_device(number, network));
    }
    let stored = async || {
        let status = node.status().await;
        match status["devices"]["events"].as_u64() {
            Some(stored) if stored >= events => ControlFlow::Break(()),
            stored => ControlFlow::Continue(stored),
        }
    };
    let all_stored = wait_for_progress("the node has every event", stored);
    fleet.run_until(all_stored).await;
    drop(fleet);
    node.wait_until_drained("cloud").await;

    assert!(broken.get() > 0, "no link broke");
    let devices_status = &node.status().await["devices"];
    let counted = ["known", "events", "missing", "lost", "invalid"];
    let counted = counted.map(|it| devices_status[it].as_u64());
    let expected = [devices, events, 0, 0, 0].map(Some);
    assert_eq!(counted, expected, "{devices_status}");
    let mut arrived: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
    for event in cloud.received() {
        let data: Value = serde_json::from_slice(&event.data).expect("JSON");
        let of_device = arrived.entry(event.attribute("source").to_owned());
        let seen = (event.attribute("id").to_owned(), data["n"].clone());
        of_device.or_default().push(seen);
    }
    let sent = (0..EVENTS).map(|n| (format!("00c0ffee00000001-0-{}", n + 1), n.into()));
    let sent: Vec<_> = sent.collect();
    assert_eq!(arrived.len() as u64, devices);
    for (device, seen) in arrived {
        assert_eq!(seen, sent, "{device}");
    }
}

/// A device that has all its events from the start, and sends them until it is dropped.
async fn run_device(number: u64, network: Faulty) {
    let (events, clock) = (new_events().await, Uptime::new());
    for n in 0..EVENTS {
        publish(&events, clock, n).await;
    }
    let name = format!("pump-{number}");
    let seed = u32::try_from(number).expect("fewer devices");
    let outside = (network, clock, NoCommands);
    let ended = Client::new(&events, identity(&name), outside, MANNERS, seed)
        .run()
        .await;
    panic!("the client ended: {ended:?}");
}
