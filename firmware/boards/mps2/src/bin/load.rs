//! The device client as fast as it goes, to compare with `bare`: the first event, then events one in a message, then
//! twenty in a message, 8 messages in flight. Prints each step with its time since the start, and ends QEMU: status 0 once
//! the node has acknowledged all. Events wait in memory, from which those that are acknowledged never reach flash.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Instant, Timer};
use firmware::{
    Commit, Layout, Outbox, WhenFull,
    client::{Client, NoCommands, Shared},
    link::Manners,
};
use mps2::{
    client::{self, Once, STREAM, Uptime},
    console::print,
    exit,
    flash::{self, BoardFlash},
    network, psram,
};
use static_cell::ConstStaticCell;
use wire::kind::{Field, Kind, Scalar, Shape};

/// How many are published one in a message: as many as `bare` publishes.
const SINGLES: u32 = 2_000;
/// How many are published by batches.
const BATCHED: u32 = BATCH * 300;
const BATCH: u32 = 20;
/// Memory for those that are not acknowledged, which comes in one word for all of 20 ms, and how many fit into it: the board
/// must not stand still for what the node has already.
const RING: usize = 64 * 1024;
const MOST_WAITING: usize = 3_000;

/// There is one connection, and nothing is to be sent twice, however slow the machine.
const MANNERS: Manners = Manners {
    patience_ms: 120_000,
    keep_alive_s: 120,
    ..Manners::DEFAULT
};

const READING: Kind<'static> = Kind {
    event_type: "edge.reading.v1",
    version: 1,
    fields: &[field("temperature"), field("humidity")],
};
/// A message holds events of one kind: where it changes, the next message begins.
const OTHER: Kind<'static> = Kind {
    event_type: "edge.reading.other",
    ..READING
};

const fn field(name: &'static str) -> Field<'static> {
    Field {
        name,
        scalar: Scalar::F32,
        shape: Shape::One,
    }
}

const LAYOUT: Layout<1> = client::layout(8, WhenFull::Refuse, Commit::AfterMs(u32::MAX));

type Events = Shared<NoopRawMutex, BoardFlash, 1, RING>;

#[entry]
fn main() -> ! {
    mps2::start(|spawner| spawner.spawn(run(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn run(spawner: Spawner) {
    static KEPT: ConstStaticCell<Option<Events>> = ConstStaticCell::new(None);
    static RECEIVED: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
    static SENT: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);
    let settings = client::settings();
    let seed = psram::random(psram::count_boot());
    let stack = network::start(spawner, seed);
    let flash = flash::power_on(seed).expect("it is taken once");
    let kinds = [READING, OTHER];
    let events = match Outbox::open(flash, &LAYOUT, &kinds, seed as u32).await {
        Ok(outbox) => KEPT.take().insert(Shared::new(outbox)),
        Err(error) => exit::failure(format_args!("the outbox cannot be opened: {error:?}")),
    };
    let socket = TcpSocket::new(stack, RECEIVED.take(), SENT.take());
    let once = Once::new(stack, socket, settings, lost);
    let identity = client::identity(settings, "load");
    let outside = (once, Uptime, NoCommands);
    let mut client = Client::new(&*events, identity, outside, MANNERS, seed as u32);
    match select(client.run(), publish(events)).await {
        Either::First(_) => exit::failure(format_args!("the flash fails")),
        Either::Second(()) => exit::success(),
    }
}

fn lost() -> ! {
    exit::failure(format_args!("the connection was lost, or nobody answers"))
}

async fn publish(events: &Events) {
    take(events, 1, 1).await;
    let micros = Instant::now().as_micros();
    print(format_args!("first acknowledgement after {micros} us"));
    for (count, batch, what) in [
        (SINGLES, 1, "one in a message"),
        (BATCHED, BATCH, "twenty in a message"),
    ] {
        let began = Instant::now();
        take(events, count, batch).await;
        let micros = began.elapsed().as_micros().max(1);
        let rate = u64::from(count) * 1_000_000 / micros;
        print(format_args!(
            "events acknowledged: {rate} per second, {what}"
        ));
    }
}

/// Publishes events, so many in a message, and waits until the node has all.
async fn take(events: &Events, count: u32, batch: u32) {
    for number in 0..count {
        if number.is_multiple_of(batch) {
            while events.waiting(STREAM).await > MOST_WAITING {
                Timer::after_micros(200).await;
            }
        }
        let kind = match (number / batch).is_multiple_of(2) {
            true => READING,
            false => OTHER,
        };
        let uptime_ms = Instant::now().as_millis();
        let taken = events
            .publish(STREAM, kind.id(), uptime_ms, &[0x5a; 8])
            .await;
        if let Err(error) = taken {
            exit::failure(format_args!("an event is not taken: {error:?}"));
        }
    }
    while events.waiting(STREAM).await > 0 {
        Timer::after_micros(200).await;
    }
}
