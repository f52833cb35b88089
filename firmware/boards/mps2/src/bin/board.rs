//! The application on this board: a simulated sensor, a reading every second, to the node of the configuration block.

#![no_std]
#![no_main]

use app::{Link, LinkBuffers, Outbox, Pace, Region, Simulated, measure};
use configuration::{COPY_BYTES, Kept};
use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_time::Duration;
use mps2::{
    exit,
    flash::{self, BoardFlash},
    network, psram,
};
use static_cell::ConstStaticCell;

const PERIOD: Duration = Duration::from_secs(1);

const OUTBOX: Region = Region {
    start: 0,
    pages: flash::OUTBOX_PAGES as u32,
};

type BoardOutbox = Outbox<BoardFlash>;

#[entry]
fn main() -> ! {
    mps2::start(|spawner| spawner.spawn(run(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn run(spawner: Spawner) {
    static KEPT: ConstStaticCell<Option<BoardOutbox>> = ConstStaticCell::new(None);
    static BLOCK: ConstStaticCell<[u8; COPY_BYTES]> = ConstStaticCell::new([0; COPY_BYTES]);
    static PACE: ConstStaticCell<Pace> = ConstStaticCell::new(Pace::every(PERIOD));
    static BUFFERS: ConstStaticCell<LinkBuffers> = ConstStaticCell::new(LinkBuffers::new());
    let seed = psram::random(psram::count_boot());
    // The halves of one random number: the outbox's and the stack's need not be independent.
    let random = (seed >> 32) as u32;
    let mut flash = flash::power_on(seed).expect("it is taken once");
    let kept = match Kept::open(&mut flash, flash::BLOCK, BLOCK.take()).await {
        Ok(kept) => kept,
        Err(error) => exit::failure(format_args!("{error}")),
    };
    let pace = PACE.take();
    let outbox = match app::open(KEPT.take(), flash, OUTBOX, random, pace).await {
        Ok(outbox) => outbox,
        Err(error) => exit::failure(format_args!("the outbox cannot be opened: {error:?}")),
    };
    let stack = network::start(spawner, seed);
    spawner.spawn(sense(outbox, random, pace).expect("it is started once"));
    let link = Link::new(stack, kept, pace, SCB::sys_reset, random);
    let error = link.run(outbox, BUFFERS.take()).await;
    exit::failure(format_args!("the flash fails: {error:?}"))
}

#[embassy_executor::task]
async fn sense(outbox: &'static BoardOutbox, seed: u32, pace: &'static Pace) {
    measure(Simulated::new(seed), outbox, pace).await;
}
