//! The LAN9118 and the network stack over it.

use embassy_executor::Spawner;
use embassy_net::{
    Config, Runner, Stack, StackResources,
    tcp::{Error, TcpSocket},
};
use embassy_time::{Duration, Timer};
use embedded_io_async::{ErrorType, Read, Write};
use lan9118::{Frames, Interrupt, Lan9118};
use static_cell::{ConstStaticCell, StaticCell};

use crate::{
    exit,
    interrupts::{self, unmask},
    mmio::{ETHERNET, Peripheral},
};

type Driver = Lan9118<'static, Peripheral>;

/// DHCP and one connection, and one more while the last one closes.
const SOCKETS: usize = 3;

static INTERRUPT: Interrupt = Interrupt::new();

pub(crate) extern "C" fn handle_interrupt() {
    INTERRUPT.handle(&ETHERNET);
}

/// Starts the chip and a stack that asks for its address by DHCP. Called once; ends QEMU if there is no chip.
pub fn start(spawner: Spawner, random: u64) -> Stack<'static> {
    static FRAMES: ConstStaticCell<Frames> = ConstStaticCell::new(Frames::new());
    static DRIVER: StaticCell<Driver> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let driver = match Lan9118::start(ETHERNET, &INTERRUPT, FRAMES.take()) {
        Ok(driver) => DRIVER.init(driver),
        Err(error) => exit::failure(format_args!("no network: {error}")),
    };
    unmask(interrupts::Interrupt::Ethernet);
    let config = Config::dhcpv4(Default::default());
    let resources = RESOURCES.init(StackResources::new());
    let (stack, runner) = embassy_net::new(driver, config, resources, random);
    spawner.spawn(run(runner).expect("it is started once"));
    spawner.spawn(stir().expect("it is started once"));
    stack
}

#[embassy_executor::task]
async fn run(mut runner: Runner<'static, &'static mut Driver>) -> ! {
    runner.run().await
}

/// Sending a frame does not wake QEMU's network loop, which then waits for its next poll; a timer that rings wakes it.
/// From boot to the first acknowledgement that is tens of milliseconds rather than a second.
#[embassy_executor::task]
async fn stir() -> ! {
    loop {
        Timer::after(Duration::from_millis(2)).await;
    }
}

/// A socket whose flush does nothing.
///
/// `TcpSocket::flush` waits until the other side has acknowledged every byte, and MQTT clients flush behind every
/// packet: with it one packet is in flight at a time. The stack sends what was written by itself.
pub struct Unflushed<'a>(pub TcpSocket<'a>);

impl ErrorType for Unflushed<'_> {
    type Error = Error;
}

impl Read for Unflushed<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.0.read(buffer).await
    }
}

impl Write for Unflushed<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
