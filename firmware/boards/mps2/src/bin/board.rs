//! The application on this board: a simulated sensor, a reading every second, to the node of the configuration block.

#![no_std]
#![no_main]

use app::{Link, LinkBuffers, Outbox, Region, Simulated, measure};
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

/// The whole flash is the outbox.
const OUTBOX: Region = Region {
    start: 0,
    pages: flash::PAGES as u32,
};

type BoardOutbox = Outbox<BoardFlash>;

#[entry]
fn main() -> ! {
    mps2::start(|spawner| spawner.spawn(run(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn run(spawner: Spawner) {
    static KEPT: ConstStaticCell<Option<BoardOutbox>> = ConstStaticCell::new(None);
    static BUFFERS: ConstStaticCell<LinkBuffers> = ConstStaticCell::new(LinkBuffers::new());
    let [first, second] = psram::configuration();
    let settings = match configuration::read(first, second) {
        Ok(configuration) => configuration.settings,
        Err(error) => exit::failure(format_args!("{error}")),
    };
    let seed = psram::random(psram::count_boot());
    // The halves of one random number: the outbox's and the stack's need not be independent.
    let random = (seed >> 32) as u32;
    let flash = flash::power_on(seed).expect("it is taken once");
    let outbox = match app::open(KEPT.take(), flash, OUTBOX, random).await {
        Ok(outbox) => outbox,
        Err(error) => exit::failure(format_args!("the outbox cannot be opened: {error:?}")),
    };
    let stack = network::start(spawner, seed);
    spawner.spawn(sense(outbox, random).expect("it is started once"));
    let link = Link::new(stack, settings, random);
    let error = link.run(outbox, BUFFERS.take()).await;
    exit::failure(format_args!("the flash fails: {error:?}"))
}

#[embassy_executor::task]
async fn sense(outbox: &'static BoardOutbox, seed: u32) {
    measure(Simulated::new(seed), outbox, PERIOD).await;
}
