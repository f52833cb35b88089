//! ST NUCLEO-H753ZI: its pins, its memory and its Ethernet for the application, with an SHT31 on I2C.

#![no_std]
#![no_main]

use app::{ADDRESS, Blocking, Link, LinkBuffers, Outbox, Pace, Region, Sht31, measure};
use configuration::{COPY_BYTES, Kept};
use cortex_m::peripheral::SCB;
use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::{Config, Runner, StackResources};
use embassy_stm32::{
    bind_interrupts, dma,
    eth::{self, Ethernet, GenericPhy, PacketQueue, Sma},
    flash::{self, Flash},
    i2c::{self, I2c, Master},
    mode::Async,
    peripherals::{DMA1_CH0, DMA1_CH1, ETH, ETH_SMA, I2C1, RNG},
    rng::{self, Rng},
    uid,
};
use embassy_time::{Delay, Duration};
use panic_probe as _;
use static_cell::{ConstStaticCell, StaticCell};

const PERIOD: Duration = Duration::from_secs(10);

/// The configuration block is in the last two sectors of the flash; `memory.x` keeps the program out of them.
const BLOCK: u32 = 0x001c_0000;

/// The sectors of the second bank before them, of 128 KiB each.
const OUTBOX: Region = Region {
    start: 0x0010_0000,
    pages: 6,
};

bind_interrupts!(struct Interrupts {
    ETH => eth::InterruptHandler;
    I2C1_EV => i2c::EventInterruptHandler<I2C1>;
    I2C1_ER => i2c::ErrorInterruptHandler<I2C1>;
    DMA1_STREAM0 => dma::InterruptHandler<DMA1_CH0>;
    DMA1_STREAM1 => dma::InterruptHandler<DMA1_CH1>;
    HASH_RNG => rng::InterruptHandler<RNG>;
});

type Network = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;
type BoardOutbox = Outbox<Blocking<Flash<'static, flash::Blocking>>>;
type Sensor = Sht31<I2c<'static, Async, Master>, Delay>;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static PACKETS: StaticCell<PacketQueue<4, 4>> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();
    static BUFFERS: ConstStaticCell<LinkBuffers> = ConstStaticCell::new(LinkBuffers::new());
    static KEPT: ConstStaticCell<Option<BoardOutbox>> = ConstStaticCell::new(None);
    static COPY: ConstStaticCell<[u8; COPY_BYTES]> = ConstStaticCell::new([0; COPY_BYTES]);
    static PACE: ConstStaticCell<Pace> = ConstStaticCell::new(Pace::every(PERIOD));
    let p = embassy_stm32::init(clocks());
    let mut flash = Blocking(Flash::new_blocking(p.FLASH));
    let kept = match Kept::open(&mut flash, BLOCK, COPY.take()).await {
        Ok(kept) => kept,
        Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
    };

    let mut random = Rng::new(p.RNG, Interrupts);
    let seed = u64::from(random.next_u32()) << 32 | u64::from(random.next_u32());
    let pace = PACE.take();
    let outbox = match app::open(KEPT.take(), flash, OUTBOX, random.next_u32(), pace).await {
        Ok(outbox) => outbox,
        Err(error) => defmt::panic!(
            "the outbox cannot be opened: {}",
            defmt::Debug2Format(&error)
        ),
    };

    let ethernet = Ethernet::new(
        PACKETS.init(PacketQueue::new()),
        p.ETH,
        Interrupts,
        p.PA1,
        p.PA7,
        p.PC4,
        p.PC5,
        p.PG13,
        p.PB13,
        p.PG11,
        address(),
        p.ETH_SMA,
        p.PA2,
        p.PC1,
    );
    let resources = RESOURCES.init(StackResources::new());
    let (stack, runner) = embassy_net::new(
        ethernet,
        Config::dhcpv4(Default::default()),
        resources,
        seed,
    );
    let bus = I2c::new(
        p.I2C1,
        p.PB8,
        p.PB9,
        p.DMA1_CH0,
        p.DMA1_CH1,
        Interrupts,
        i2c::Config::default(),
    );
    spawner.spawn(network(runner).expect("it is started once"));
    let sensor = Sht31::new(bus, Delay, ADDRESS);
    spawner.spawn(sense(sensor, outbox, pace).expect("it is started once"));
    let link = Link::new(stack, kept, pace, SCB::sys_reset, random.next_u32());
    let error = link.run(outbox, BUFFERS.take()).await;
    defmt::panic!("the flash fails: {}", defmt::Debug2Format(&error));
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Network>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn sense(sensor: Sensor, outbox: &'static BoardOutbox, pace: &'static Pace) {
    measure(sensor, outbox, pace).await;
}

/// 400 MHz from the internal oscillator, and 48 MHz for the generator of random numbers.
fn clocks() -> embassy_stm32::Config {
    use embassy_stm32::rcc::{
        AHBPrescaler, APBPrescaler, HSIPrescaler, Hsi48Config, Pll, PllDiv, PllMul, PllPreDiv,
        PllSource, Sysclk, VoltageScale,
    };
    let mut config = embassy_stm32::Config::default();
    config.rcc.hsi = Some(HSIPrescaler::DIV1);
    config.rcc.hsi48 = Some(Hsi48Config::default());
    config.rcc.pll1 = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV4,
        mul: PllMul::MUL50,
        divp: Some(PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.ahb_pre = AHBPrescaler::DIV2;
    config.rcc.apb1_pre = APBPrescaler::DIV2;
    config.rcc.apb2_pre = APBPrescaler::DIV2;
    config.rcc.apb3_pre = APBPrescaler::DIV2;
    config.rcc.apb4_pre = APBPrescaler::DIV2;
    config.rcc.voltage_scale = VoltageScale::Scale1;
    config
}

/// A locally administered MAC address from the chip's unique number.
fn address() -> [u8; 6] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = uid::uid();
    [0x02, a ^ f, b ^ g ^ k, c ^ h ^ l, d ^ i, e ^ j]
}
