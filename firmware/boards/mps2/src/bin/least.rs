//! The least there is of the device client: one class of events in flash, the compact encoding and the link to a node, without
//! commands, configurations or a sensor. It counts, five times a second, and begins anew where its connection breaks, which
//! costs no event.

#![no_std]
#![no_main]

use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Duration, Instant, Timer};
use firmware::{
    Commit, Layout, WhenFull,
    client::{Client, NoCommands, Shared},
    link::Manners,
};
use mps2::{
    client::{self, Once, STREAM, Uptime},
    exit,
    flash::{self, BoardFlash},
    network, psram,
};
use static_cell::ConstStaticCell;
use wire::kind::{Field, Kind, Scalar, Shape};

const EVERY: Duration = Duration::from_millis(200);
/// Patient, since the board begins anew where it gives a connection up.
const MANNERS: Manners = Manners {
    patience_ms: 60_000,
    keep_alive_s: 60,
    ..Manners::DEFAULT
};
const COUNT: Kind<'static> = Kind {
    event_type: "edge.count.v1",
    version: 1,
    fields: &[Field {
        name: "count",
        scalar: Scalar::U8,
        shape: Shape::One,
    }],
};
const LAYOUT: Layout<1> = client::layout(client::PAGES, WhenFull::DropOldest, Commit::Always);

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
    let settings = client::settings();
    let seed = psram::random(psram::count_boot());
    let flash = flash::power_on(seed).expect("it is taken once");
    let random = seed as u32;
    let events = match Events::open(KEPT.take(), flash, &LAYOUT, &[COUNT], random).await {
        Ok(events) => &*events,
        Err(error) => exit::failure(format_args!("the outbox cannot be opened: {error:?}")),
    };
    let stack = network::start(spawner, seed);
    let socket = TcpSocket::new(stack, RECEIVED.take(), SENT.take());
    let once = Once::new(stack, socket, settings, SCB::sys_reset);
    let identity = client::identity(settings, "least");
    let outside = (once, Uptime, NoCommands);
    let mut client = Client::new(events, identity, outside, MANNERS, random);
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
