//! What lies below a device client and is not counted as its own: executor, timer, flash, network stack, DHCP and one
//! TCP connection, and the configuration block that says where to. What it hears goes to flash and back.

#![no_std]
#![no_main]

use core::net::Ipv4Addr;

use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::{Stack, tcp::TcpSocket};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_storage_async::nor_flash::{NorFlash as _, ReadNorFlash as _};
use mps2::{
    client,
    flash::{self, BoardFlash, PAGE},
    network, psram,
};
use static_cell::ConstStaticCell;

const PATIENCE: Duration = Duration::from_secs(10);

#[entry]
fn main() -> ! {
    mps2::start(|spawner| spawner.spawn(run(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn run(spawner: Spawner) {
    static RECEIVED: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
    static SENT: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
    let settings = client::settings();
    let seed = psram::random(psram::count_boot());
    let mut flash = flash::power_on(seed).expect("it is taken once");
    let stack = network::start(spawner, seed);
    let mut socket = TcpSocket::new(stack, RECEIVED.take(), SENT.take());
    socket.set_timeout(Some(PATIENCE));
    socket.set_nagle_enabled(false);
    loop {
        let _ = echo(stack, &mut socket, settings, &mut flash).await; // it is tried again
        socket.abort();
        Timer::after(PATIENCE).await;
    }
}

/// Sends back what comes, by way of the flash, as long as the connection and the flash are well.
async fn echo(
    stack: Stack<'_>,
    socket: &mut TcpSocket<'_>,
    settings: configuration::Settings<'_>,
    flash: &mut BoardFlash,
) -> Option<()> {
    stack.wait_config_up().await;
    let host: Ipv4Addr = settings.host.parse().ok()?;
    socket.connect((host, settings.port)).await.ok()?;
    let mut bytes = [0; 64];
    loop {
        let heard = with_timeout(PATIENCE, socket.read(&mut bytes)).await.ok()?;
        let len = heard.ok().filter(|len| *len > 0)?;
        flash.erase(0, PAGE as u32).await.ok()?;
        flash.write(0, &bytes).await.ok()?;
        flash.read(0, &mut bytes).await.ok()?;
        let mut rest = bytes.get(..len)?;
        while !rest.is_empty() {
            let sent = socket.write(rest).await.ok()?;
            rest = rest.get(sent..)?;
        }
    }
}
