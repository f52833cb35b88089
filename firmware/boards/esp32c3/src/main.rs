//! An ESP32-C3: its pins, its memory and its Wi-Fi for the application, with an SHT31 on I2C.

#![no_std]
#![no_main]

use app::{ADDRESS, Blocking, Link, LinkBuffers, Outbox, Pace, Region, Sht31, measure};
use configuration::{COPY_BYTES, Kept, Wifi};
use embassy_executor::Spawner;
use embassy_net::{Config, Runner, StackResources};
use embassy_time::{Delay, Duration, Timer};
use esp_backtrace as _;
use esp_hal::{
    Async,
    i2c::master::{Config as I2cConfig, I2c},
    rng::Rng,
    system::software_reset,
    timer::timg::TimerGroup,
};
use esp_radio::wifi::{
    self, AuthenticationMethodConfig, Interface, WifiController, sta::StationConfig,
};
use esp_storage::FlashStorage;
use static_cell::{ConstStaticCell, StaticCell};

esp_bootloader_esp_idf::esp_app_desc!();

const PERIOD: Duration = Duration::from_secs(10);
const REJOIN: Duration = Duration::from_secs(5);

/// The configuration block, as in `partitions.csv`: two sectors.
const BLOCK: u32 = 0x003f_e000;
/// The outbox, as in `partitions.csv`, in sectors of 4 KiB.
const OUTBOX: Region = Region {
    start: 0x003e_0000,
    pages: 16,
};
/// For the radio; its driver asks for this much at least.
const HEAP_BYTES: usize = 72 * 1024;

type Sensor = Sht31<I2c<'static, Async>, Delay>;
type BoardOutbox = Outbox<Blocking<FlashStorage<'static>>>;

#[esp_rtos::main]
async fn main(spawner: Spawner) {
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();
    static BUFFERS: ConstStaticCell<LinkBuffers> = ConstStaticCell::new(LinkBuffers::new());
    static KEPT: ConstStaticCell<Option<BoardOutbox>> = ConstStaticCell::new(None);
    static COPY: ConstStaticCell<[u8; COPY_BYTES]> = ConstStaticCell::new([0; COPY_BYTES]);
    static PACE: ConstStaticCell<Pace> = ConstStaticCell::new(Pace::every(PERIOD));
    esp_println::logger::init_logger_from_env();
    let p = esp_hal::init(esp_hal::Config::default());
    esp_alloc::heap_allocator!(size: HEAP_BYTES);
    esp_rtos::start(TimerGroup::new(p.TIMG0).timer0, p.FROM_CPU_INTR0);

    let mut flash = Blocking(FlashStorage::new(p.FLASH));
    let kept = match Kept::open(&mut flash, BLOCK, COPY.take()).await {
        Ok(kept) => kept,
        Err(error) => panic!("{error}"),
    };
    let Some(network) = kept.settings.wifi else {
        panic!("the configuration block names no Wi-Fi: write one with `provision` for esp32c3");
    };

    // The generator is one of true random numbers once the radio is on.
    let controller = WifiController::new(p.WIFI, Default::default());
    let controller = controller.expect("the radio starts");
    let random = Rng::new();
    let seed = (u64::from(random.random()) << 32) | u64::from(random.random());
    let pace = PACE.take();
    let outbox = match app::open(KEPT.take(), flash, OUTBOX, random.random(), pace).await {
        Ok(outbox) => outbox,
        Err(error) => panic!("the outbox cannot be opened: {error:?}"),
    };

    let resources = RESOURCES.init(StackResources::new());
    let config = Config::dhcpv4(Default::default());
    let (stack, runner) = embassy_net::new(Interface::station(), config, resources, seed);
    let bus = I2c::new(p.I2C0, I2cConfig::default()).expect("the default is a sound one");
    let bus = bus.with_sda(p.GPIO5).with_scl(p.GPIO6).into_async();
    spawner.spawn(join(controller, network).expect("it is started once"));
    spawner.spawn(run(runner).expect("it is started once"));
    let sensor = Sht31::new(bus, Delay, ADDRESS);
    spawner.spawn(sense(sensor, outbox, pace).expect("it is started once"));
    let link = Link::new(stack, kept, pace, software_reset, random.random());
    let error = link.run(outbox, BUFFERS.take()).await;
    panic!("the flash fails: {error:?}");
}

/// Joins the network, and again whenever it is lost.
#[embassy_executor::task]
async fn join(mut controller: WifiController<'static>, network: Wifi<'static>) {
    let authentication = match network.passphrase {
        None => AuthenticationMethodConfig::Open,
        Some(passphrase) => AuthenticationMethodConfig::Wpa2Personal(
            passphrase.try_into().expect("a block has no longer one"),
        ),
    };
    let name = network.ssid.try_into().expect("a block has no longer one");
    let station = StationConfig::default()
        .with_ssid(name)
        .with_authentication(authentication);
    let config = wifi::Config::Station(station);
    controller
        .set_config(&config)
        .expect("a block has a network that can be joined");
    loop {
        match controller.connect_async().await {
            Ok(_) => {
                log::info!("joined {}", network.ssid);
                // An error says that it is lost already.
                let _ = controller.wait_for_disconnect_async().await;
                log::info!("lost {}", network.ssid);
            }
            Err(error) => log::info!("cannot join {}: {error:?}", network.ssid),
        }
        Timer::after(REJOIN).await;
    }
}

#[embassy_executor::task]
async fn run(mut runner: Runner<'static, Interface>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn sense(sensor: Sensor, outbox: &'static BoardOutbox, pace: &'static Pace) {
    measure(sensor, outbox, pace).await;
}
