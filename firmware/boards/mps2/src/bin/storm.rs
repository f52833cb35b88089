//! What power cuts are tried with: the application's outbox and link, and readings that are committed as fast as they can
//! be. Behind each commit the books in PSRAM say so, which a reset keeps.
//!
//! The outbox refuses what it has no room for, so whatever is committed must arrive.

#![no_std]
#![no_main]

use app::{Link, LinkBuffers, Outbox, Pace, Reading, Sensor as _, Simulated};
use configuration::{COPY_BYTES, Kept};
use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_time::{Duration, Instant, Timer};
use firmware::{Commit, Layout, Published, WhenFull, client::Shared, outbox::PublishError};
use flash_model::Operation;
use mps2::{
    client::{self, STREAM},
    exit,
    flash::{self, BoardFlash},
    network,
    psram::{self, Books},
};
use static_cell::{ConstStaticCell, StaticCell};
use wire::Event as _;

type BoardOutbox = Outbox<BoardFlash>;

const LAYOUT: Layout<1> = client::layout(client::PAGES, WhenFull::Refuse, Commit::Always);

/// The link has its turn between two readings, and always something to send.
const PAUSE: Duration = Duration::from_micros(100);
/// Until a full outbox is tried again.
const FULL: Duration = Duration::from_millis(20);

#[entry]
fn main() -> ! {
    mps2::start(|spawner| spawner.spawn(run(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn run(spawner: Spawner) {
    static KEPT: StaticCell<BoardOutbox> = StaticCell::new();
    static BUFFERS: StaticCell<LinkBuffers> = StaticCell::new();
    static COPY: ConstStaticCell<[u8; COPY_BYTES]> = ConstStaticCell::new([0; COPY_BYTES]);
    static PACE: ConstStaticCell<Pace> = ConstStaticCell::new(Pace::every(PAUSE));
    let seed = psram::random(psram::count_boot());
    let random = (seed >> 32) as u32;
    let mut flash = flash::power_on(seed).expect("it is taken once");
    flash.take_time(take_time);
    let kept = match Kept::open(&mut flash, flash::BLOCK, COPY.take()).await {
        Ok(kept) => kept,
        Err(error) => exit::failure(format_args!("{error}")),
    };
    let opened = firmware::Outbox::open(flash, &LAYOUT, &[Reading::KIND], random).await;
    let outbox = match opened {
        Ok(outbox) => outbox,
        Err(error) => exit::failure(format_args!("the outbox cannot be opened: {error:?}")),
    };
    let books = Books::open(outbox.incarnation(), outbox.boot());
    let outbox: &BoardOutbox = KEPT.init(Shared::new(outbox));
    let stack = network::start(spawner, seed);
    spawner.spawn(commit(outbox, books, random).expect("it is started once"));
    let link = Link::new(stack, kept, PACE.take(), SCB::sys_reset, random);
    let error = link.run(outbox, BUFFERS.init(LinkBuffers::new())).await;
    exit::failure(format_args!("the flash fails: {error:?}"))
}

/// As much as a flash takes for it, so that resets meet operations as often as on a board.
fn take_time(operation: Operation) {
    let micros = match operation {
        Operation::Write => 50,
        Operation::Erase => 20_000,
    };
    let end = Instant::now() + Duration::from_micros(micros);
    while Instant::now() < end {}
}

#[embassy_executor::task]
async fn commit(outbox: &'static BoardOutbox, mut books: Books, seed: u32) {
    let mut sensor = Simulated::new(seed);
    loop {
        let Ok(reading) = sensor.read().await else {
            continue; // a simulated sensor always reads
        };
        let mut data = [0; 8];
        let Ok(data) = reading.encode(&mut data) else {
            exit::failure(format_args!("a reading is two numbers of four bytes"))
        };
        let uptime_ms = Instant::now().as_millis();
        let published = outbox
            .publish(STREAM, Reading::KIND.id(), uptime_ms, data)
            .await;
        match published {
            Ok(Published::Committed) => {
                books.note_committed();
                Timer::after(PAUSE).await;
            }
            Err(PublishError::Full) => {
                books.note_refused();
                Timer::after(FULL).await;
            }
            other => exit::failure(format_args!("a reading is not committed: {other:?}")),
        }
    }
}
