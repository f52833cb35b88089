//! What the application is measured against: DHCP, TCP, MQTT 5 CONNECT and QoS 1 publishes with plain minimq. Prints
//! each step with its time since the start and ends QEMU: status 0 once all are acknowledged.

#![no_std]
#![no_main]

use core::net::Ipv4Addr;

use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::{Stack, tcp::TcpSocket};
use embassy_time::Instant;
use minimq::{Buffers, ConfigBuilder, Connection, Publication, QoS, Session};
use mps2::{
    client,
    console::print,
    exit,
    network::{self, Unflushed},
    psram,
};

/// How many are published, and how many of them at once: as many as minimq can hold.
const PUBLISHES: u32 = 2_000;
const IN_FLIGHT: usize = 8;
/// Of one reading in the compact encoding.
const PAYLOAD: &[u8] = &[0x5a; 27];

#[entry]
fn main() -> ! {
    mps2::start(|spawner| spawner.spawn(run(spawner).expect("it is started once")))
}

#[embassy_executor::task]
async fn run(spawner: Spawner) {
    let settings = client::settings();
    let stack = network::start(spawner, psram::random(psram::count_boot()));
    stack.wait_config_up().await;
    step("address");
    match publish(stack, settings).await {
        Ok(()) => exit::success(),
        Err(why) => exit::failure(format_args!("{why}")),
    }
}

async fn publish(
    stack: Stack<'static>,
    settings: configuration::Settings<'static>,
) -> Result<(), &'static str> {
    let (mut received, mut sent) = ([0; 1024], [0; 2048]);
    let mut socket = TcpSocket::new(stack, &mut received, &mut sent);
    socket.set_nagle_enabled(false);
    let host: Ipv4Addr = settings
        .host
        .parse()
        .map_err(|_| "the node is no address")?;
    let connected = socket.connect((host, settings.port)).await;
    connected.map_err(|_| "nobody answers at the node's address")?;
    let (mut received, mut sent) = ([0; 256], [0; 1024]);
    let config = ConfigBuilder::new(Buffers::new(&mut received, &mut sent))
        .client_id(settings.id)
        .map_err(|_| "the id is too long")?;
    let mut session = Session::new(config);
    let connection = session.connect(Unflushed(socket)).await;
    let mut connection = connection.map_err(|_| "no CONNACK")?;
    step("connected");
    let mut acknowledged = Acknowledged {
        sent: 0,
        pending: [const { None }; IN_FLIGHT],
    };
    acknowledged.publish(&mut connection, 1).await?;
    step("first acknowledgement");
    let began = Instant::now();
    acknowledged.publish(&mut connection, PUBLISHES).await?;
    let micros = began.elapsed().as_micros();
    let rate = u64::from(PUBLISHES - 1) * 1_000_000 / micros.max(1);
    print(format_args!(
        "{PUBLISHES} publishes acknowledged, {rate} per second with {IN_FLIGHT} in flight"
    ));
    Ok(())
}

struct Acknowledged {
    sent: u32,
    pending: [Option<minimq::Op>; IN_FLIGHT],
}

impl Acknowledged {
    /// Publishes until `total` are acknowledged.
    async fn publish(
        &mut self,
        connection: &mut Connection<'_, '_, Unflushed<'_>>,
        total: u32,
    ) -> Result<(), &'static str> {
        loop {
            for slot in &mut self.pending {
                if slot
                    .as_ref()
                    .is_some_and(|sent| connection.is_complete(sent))
                {
                    *slot = None;
                }
                if slot.is_none() && self.sent < total && connection.can_publish(QoS::AtLeastOnce) {
                    let publication = Publication::bytes("bare/a", PAYLOAD).qos(QoS::AtLeastOnce);
                    *slot = connection
                        .publish(publication)
                        .await
                        .map_err(|_| "no publish")?;
                    self.sent += 1;
                }
            }
            if self.sent == total && self.pending.iter().all(Option::is_none) {
                return Ok(());
            }
            connection
                .poll()
                .await
                .map_err(|_| "the connection was lost")?;
        }
    }
}

fn step(what: &str) {
    print(format_args!(
        "{what} after {} us",
        Instant::now().as_micros()
    ));
}
