//! The least there is of the device client: one class of events in flash, the compact encoding and the link to a node, without
//! commands, configurations or a sensor. It counts, five times a second.

#![no_std]
#![no_main]

use core::net::Ipv4Addr;

use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_net::{Stack, tcp::TcpSocket};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Duration, Instant, Timer};
use firmware::{
    Class, Commit, Layout, Region, WhenFull,
    client::{Client, Clock, Identity, Network, NoCommands, Shared},
    link::Manners,
};
use mps2::{
    exit,
    flash::{self, BoardFlash, OUTBOX_PAGES, PAGE},
    network::{self, Unflushed},
    psram,
};
use static_cell::ConstStaticCell;
use wire::{
    Stream,
    kind::{Field, Kind, Scalar, Shape},
    topic::{DeviceId, Prefix},
};

const EVERY: Duration = Duration::from_millis(200);
const STREAM: Stream = Stream::new(0).expect("0 is a stream");
const COUNT: Kind<'static> = Kind {
    event_type: "edge.count.v1",
    version: 1,
    fields: &[Field {
        name: "count",
        scalar: Scalar::U8,
        shape: Shape::One,
    }],
};
const STORE_PAGES: u32 = 2;
const LAYOUT: Layout<1> = Layout {
    store: Region {
        start: 0,
        pages: STORE_PAGES,
    },
    classes: [Class {
        stream: STREAM,
        region: Region {
            start: STORE_PAGES * PAGE as u32,
            pages: OUTBOX_PAGES as u32 - STORE_PAGES,
        },
        when_full: WhenFull::DropOldest,
        commit: Commit::Always,
    }],
};

type Events = Shared<NoopRawMutex, BoardFlash, 1, 128>;

#[entry]
fn main() -> ! {
    mps2::start(|spawner| spawner.spawn(run(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn run(spawner: Spawner) {
    static KEPT: ConstStaticCell<Option<Events>> = ConstStaticCell::new(None);
    static RECEIVED: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
    static SENT: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
    let [first, second] = psram::configuration();
    let settings = match configuration::read(first, second) {
        Ok(configuration) => configuration.settings,
        Err(error) => exit::failure(format_args!("{error}")),
    };
    let seed = psram::random(psram::count_boot());
    let flash = flash::power_on(seed).expect("it is taken once");
    let random = seed as u32;
    let events = match Events::open(KEPT.take(), flash, &LAYOUT, &[COUNT], random).await {
        Ok(events) => &*events,
        Err(error) => exit::failure(format_args!("the outbox cannot be opened: {error:?}")),
    };
    let stack = network::start(spawner, seed);
    let mut socket = TcpSocket::new(stack, RECEIVED.take(), SENT.take());
    socket.set_nagle_enabled(false);
    let once = Once {
        stack,
        socket: Some(socket),
        settings,
    };
    let identity = Identity {
        device: DeviceId::new(settings.id).expect("a configuration has no other id"),
        prefix: Prefix::NONE,
        firmware: "least",
        configuration: 0,
        login: None,
    };
    let outside = (once, Uptime, NoCommands);
    let mut client = Client::new(events, identity, outside, Manners::DEFAULT, random);
    match select(client.run(), count(events)).await {
        Either::First(_) | Either::Second(()) => exit::failure(format_args!("the flash fails")),
    }
}

/// Publishes numbers, until the flash fails.
async fn count(events: &Events) {
    for count in (0..=u8::MAX).cycle() {
        let uptime_ms = Instant::now().as_millis();
        let taken = events
            .publish(STREAM, COUNT.id(), uptime_ms, &[count])
            .await;
        if taken.is_err() {
            return;
        }
        Timer::after(EVERY).await;
    }
}

struct Uptime;

impl Clock for Uptime {
    fn uptime_ms(&self) -> u64 {
        Instant::now().as_millis()
    }

    async fn wait_until(&self, uptime_ms: u64) {
        Timer::at(Instant::try_from_millis(uptime_ms).unwrap_or(Instant::MAX)).await;
    }
}

/// The one connection there will be: a board begins anew where it breaks, which costs no event.
struct Once<'a> {
    stack: Stack<'a>,
    socket: Option<TcpSocket<'a>>,
    settings: configuration::Settings<'a>,
}

impl<'a> Network for Once<'a> {
    type Connection = Unflushed<'a>;

    async fn connect(&mut self) -> Option<Unflushed<'a>> {
        let Some(mut socket) = self.socket.take() else {
            SCB::sys_reset();
        };
        self.stack.wait_config_up().await;
        let host: Ipv4Addr = self.settings.host.parse().ok()?;
        let connected = socket.connect((host, self.settings.port)).await;
        connected.is_ok().then_some(Unflushed(socket))
    }
}
