//! The application on this board: a simulated sensor, a reading every second, to the node of the configuration block.

#![no_std]
#![no_main]

use app::{Link, LinkBuffers, Queue, Simulated, measure};
use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_time::Duration;
use mps2::{exit, network, psram};
use static_cell::StaticCell;

const PERIOD: Duration = Duration::from_secs(1);

static QUEUE: Queue = Queue::new();

#[entry]
fn main() -> ! {
    mps2::start(|spawner| spawner.spawn(run(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn run(spawner: Spawner) {
    static BUFFERS: StaticCell<LinkBuffers> = StaticCell::new();
    let [first, second] = psram::configuration();
    let configuration = match configuration::read(first, second) {
        Ok(configuration) => configuration,
        Err(error) => exit::failure(format_args!("{error}")),
    };
    let random = psram::random(psram::count_boot());
    // The halves of one random number: the application's and the stack's need not be independent.
    let incarnation = (random >> 32) as u32;
    let stack = network::start(spawner, random);
    spawner.spawn(sense(incarnation).expect("it is started once"));
    let link = Link::new(stack, configuration.settings, incarnation);
    link.run(&QUEUE, BUFFERS.init(LinkBuffers::new())).await;
}

#[embassy_executor::task]
async fn sense(seed: u32) {
    measure(Simulated::new(seed), &QUEUE, PERIOD).await;
}
