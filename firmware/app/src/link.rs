use configuration::Settings;
use embassy_net::Stack;
use embassy_time::{Instant, Timer};
use embedded_storage_async::nor_flash::NorFlash;
use firmware::{
    client::{Client, Clock, Identity, NoCommands},
    link::Manners,
};
use wire::topic::{DeviceId, Prefix};

use crate::{
    Outbox,
    socket::{Dialer, LinkBuffers, Socket},
};

/// The longest wait before an attempt: a node that is back has all its devices within half a minute.
const MANNERS: Manners = Manners {
    backoff_most_ms: 32_000,
    ..Manners::DEFAULT
};

/// The link to the node: the project's own client of MQTT 5 over the board's network.
///
/// Each reading arrives as a CloudEvent of `type` `edge.reading.v1` and `source` `urn:edge-device:<id>`, where the node's
/// configuration has the section `[devices]`.
pub struct Link<'a> {
    stack: Stack<'a>,
    settings: Settings<'a>,
    random: u32,
}

impl<'a> Link<'a> {
    /// A link to the node of `settings`. `random` differs from boot to boot and from device to device.
    #[must_use]
    pub fn new(stack: Stack<'a>, settings: Settings<'a>, random: u32) -> Link<'a> {
        Link {
            stack,
            settings,
            random,
        }
    }

    /// Connects, sends what is in `outbox`, and connects again whenever the link is lost: after a random wait of at most
    /// 1 s, and of at most twice as long after each attempt that brought nothing, up to 32 s. Returns the error of a
    /// flash that fails, after which nothing more is promised.
    pub async fn run<S: NorFlash>(
        &self,
        outbox: &Outbox<S>,
        buffers: &mut LinkBuffers,
    ) -> S::Error {
        let socket = Socket::new(self.stack, buffers);
        let dialer = Dialer {
            stack: self.stack,
            settings: self.settings,
            socket: &socket,
        };
        let identity = Identity {
            device: DeviceId::new(self.settings.id).expect("a configuration has no other id"),
            prefix: Prefix::NONE,
            firmware: env!("CARGO_PKG_VERSION"),
            login: self
                .settings
                .credentials
                .map(|given| (given.user, given.password)),
        };
        let outside = (dialer, Uptime, NoCommands);
        let mut client = Client::new(outbox, identity, outside, MANNERS, self.random);
        match client.run().await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }
}

/// The time since boot, as the board's timer counts it.
struct Uptime;

impl Clock for Uptime {
    fn uptime_ms(&self) -> u64 {
        Instant::now().as_millis()
    }

    async fn wait_until(&self, uptime_ms: u64) {
        Timer::at(Instant::try_from_millis(uptime_ms).unwrap_or(Instant::MAX)).await;
    }
}
