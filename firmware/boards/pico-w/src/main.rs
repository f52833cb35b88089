//! Raspberry Pi Pico W: its pins, its memory and its Wi-Fi for the application, with an SHT31 on I2C.

#![no_std]
#![no_main]

use app::{ADDRESS, Blocking, Link, LinkBuffers, Outbox, Pace, Region, Sht31, measure};
use configuration::{COPY_BYTES, Kept, Wifi};
use cortex_m::peripheral::SCB;
use cyw43::{A4, Aligned, Control, JoinOptions, NetDriver, SpiBus, State};
use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::{Config, Stack, StackResources};
use embassy_rp::{
    bind_interrupts,
    clocks::RoscRng,
    dma::{self, Channel},
    flash::{self, Flash},
    gpio::{Level, Output},
    i2c::{self, I2c},
    peripherals::{DMA_CH0, FLASH, I2C0, PIO0},
    pio::{self, Pio},
};
use embassy_time::{Delay, Duration, Timer};
use panic_probe as _;
use static_cell::{ConstStaticCell, StaticCell};

const PERIOD: Duration = Duration::from_secs(10);
const REJOIN: Duration = Duration::from_secs(5);

/// The configuration block is in the last two sectors of the flash; `memory.x` keeps the program out of them.
const BLOCK: u32 = 0x001f_e000;

const FLASH_BYTES: usize = 2 * 1024 * 1024;
/// The sectors before them, of 4 KiB each.
const OUTBOX: Region = Region {
    start: 0x001e_e000,
    pages: 16,
};

/// What `fetch-radio` fetched.
struct Radio {
    firmware: &'static Aligned<A4, [u8]>,
    nvram: &'static Aligned<A4, [u8]>,
    clm: &'static [u8],
}

static RADIO: Option<Radio> = include!(concat!(env!("OUT_DIR"), "/radio.rs"));

bind_interrupts!(struct Interrupts {
    PIO0_IRQ_0 => pio::InterruptHandler<PIO0>;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>;
    I2C0_IRQ => i2c::InterruptHandler<I2C0>;
});

type Bus = SpiBus<Output<'static>, PioSpi<'static, PIO0, 0>>;
type BoardOutbox = Outbox<Blocking<Flash<'static, FLASH, flash::Blocking, FLASH_BYTES>>>;
type Sensor = Sht31<I2c<'static, I2C0, i2c::Async>, Delay>;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static STATE: StaticCell<State> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();
    static BUFFERS: ConstStaticCell<LinkBuffers> = ConstStaticCell::new(LinkBuffers::new());
    static KEPT: ConstStaticCell<Option<BoardOutbox>> = ConstStaticCell::new(None);
    static COPY: ConstStaticCell<[u8; COPY_BYTES]> = ConstStaticCell::new([0; COPY_BYTES]);
    static PACE: ConstStaticCell<Pace> = ConstStaticCell::new(Pace::every(PERIOD));
    let p = embassy_rp::init(Default::default());
    // Linked whole even without the radio's firmware, so that the size it prints is the program's.
    let Some(radio) = core::hint::black_box(&RADIO) else {
        defmt::panic!(
            "this image was built without the radio's firmware: run ./fetch-radio and build again"
        );
    };
    let mut flash = Blocking(Flash::new_blocking(p.FLASH));
    let kept = match Kept::open(&mut flash, BLOCK, COPY.take()).await {
        Ok(kept) => kept,
        Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
    };
    let Some(network) = kept.settings.wifi else {
        defmt::panic!(
            "the configuration block names no Wi-Fi: write one with `provision` for pico-w"
        );
    };

    let pace = PACE.take();
    let outbox = match app::open(KEPT.take(), flash, OUTBOX, random() as u32, pace).await {
        Ok(outbox) => outbox,
        Err(error) => defmt::panic!(
            "the outbox cannot be opened: {}",
            defmt::Debug2Format(&error)
        ),
    };

    let power = Output::new(p.PIN_23, Level::Low);
    let select = Output::new(p.PIN_25, Level::High);
    let mut pio = Pio::new(p.PIO0, Interrupts);
    let spi = PioSpi::new(
        &mut pio.common,
        pio.sm0,
        DEFAULT_CLOCK_DIVIDER,
        pio.irq0,
        select,
        p.PIN_24,
        p.PIN_29,
        Channel::new(p.DMA_CH0, Interrupts),
    );
    let state = STATE.init(State::new());
    let (device, mut control, runner) =
        cyw43::new(state, power, spi, radio.firmware, radio.nvram).await;
    spawner.spawn(run_radio(runner).expect("it is started once"));
    control.init(radio.clm).await;

    let resources = RESOURCES.init(StackResources::new());
    let (stack, runner) = embassy_net::new(
        device,
        Config::dhcpv4(Default::default()),
        resources,
        random(),
    );
    let bus = I2c::new_async(p.I2C0, p.PIN_5, p.PIN_4, Interrupts, i2c::Config::default());
    spawner.spawn(run_network(runner).expect("it is started once"));
    spawner.spawn(join(control, stack, network).expect("it is started once"));
    let sensor = Sht31::new(bus, Delay, ADDRESS);
    spawner.spawn(sense(sensor, outbox, pace).expect("it is started once"));
    let link = Link::new(stack, kept, pace, SCB::sys_reset, random() as u32);
    let error = link.run(outbox, BUFFERS.take()).await;
    defmt::panic!("the flash fails: {}", defmt::Debug2Format(&error));
}

/// Joins the network, and again whenever the link goes down.
#[embassy_executor::task]
async fn join(mut control: Control<'static>, stack: Stack<'static>, network: Wifi<'static>) {
    loop {
        let options = match network.passphrase {
            None => JoinOptions::new_open(),
            Some(passphrase) => JoinOptions::new(passphrase.as_bytes()),
        };
        if control.join(network.ssid, options).await.is_ok() {
            defmt::info!("joined {}", network.ssid);
            stack.wait_link_up().await;
            stack.wait_link_down().await;
            defmt::info!("lost {}", network.ssid);
        } else {
            defmt::info!("cannot join {}", network.ssid);
        }
        Timer::after(REJOIN).await;
    }
}

#[embassy_executor::task]
async fn run_radio(runner: cyw43::Runner<'static, Bus>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn run_network(mut runner: embassy_net::Runner<'static, NetDriver<'static>>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn sense(sensor: Sensor, outbox: &'static BoardOutbox, pace: &'static Pace) {
    measure(sensor, outbox, pace).await;
}

/// From the jitter of the ring oscillator: enough to tell boots apart, not enough for keys.
fn random() -> u64 {
    u64::from_le_bytes(core::array::from_fn(|_| RoscRng::next_u8()))
}
