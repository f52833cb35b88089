use core::{cell::Cell, convert::Infallible, future::pending};

use configuration::{Kept, Standing};
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::{Duration, Instant, Timer};
use embedded_storage_async::nor_flash::NorFlash;
use firmware::{
    client::{Client, Clock, Identity},
    link::Manners,
};
use wire::topic::{DeviceId, Prefix};

use crate::{
    Outbox, Pace,
    orders::Orders,
    socket::{Dialer, LinkBuffers, Socket},
};

/// The longest wait before an attempt: a node that is back has all its devices within half a minute.
const MANNERS: Manners = Manners {
    backoff_most_ms: 32_000,
    ..Manners::DEFAULT
};

/// How long a configuration from the node may take until the node welcomes the board under it: a network that is joined slowly,
/// and several attempts to connect.
pub const TRIAL: Duration = Duration::from_secs(60);

/// The link to the node: the project's own client of MQTT 5 over the board's network.
///
/// Each reading arrives as a CloudEvent of `type` `edge.reading.v1` and `source` `urn:edge-device:<id>`, where the node's
/// configuration has the section `[devices]`.
pub struct Link<'a> {
    stack: Stack<'a>,
    kept: Kept<'a>,
    pace: &'a Pace,
    restart: fn() -> !,
    random: u32,
}

impl<'a> Link<'a> {
    /// A link to the node of the settings that are `kept`. `random` differs from boot to boot and from device to device;
    /// `restart` starts the board anew, as its button does.
    #[must_use]
    pub fn new(
        stack: Stack<'a>,
        kept: Kept<'a>,
        pace: &'a Pace,
        restart: fn() -> !,
        random: u32,
    ) -> Link<'a> {
        Link {
            stack,
            kept,
            pace,
            restart,
            random,
        }
    }

    /// Connects, sends what is in `outbox`, and connects again whenever the link is lost: after a random wait of at most
    /// 1 s, and of at most twice as long after each attempt that brought nothing, up to 32 s. Does what the node orders
    /// meanwhile. Returns the error of a flash that fails, after which nothing more is promised.
    pub async fn run<S: NorFlash>(
        &self,
        outbox: &Outbox<S>,
        buffers: &mut LinkBuffers,
    ) -> S::Error {
        let settings = self.kept.settings;
        let socket = Socket::new(self.stack, buffers);
        let dialer = Dialer {
            stack: self.stack,
            settings,
            socket: &socket,
        };
        let identity = Identity {
            device: DeviceId::new(settings.id).expect("a configuration has no other id"),
            prefix: Prefix::NONE,
            firmware: env!("CARGO_PKG_VERSION"),
            configuration: self.kept.version(),
            login: settings
                .credentials
                .map(|given| (given.user, given.password)),
        };
        let is_trial = Cell::new(self.kept.standing() == Standing::Trial);
        let orders = Orders {
            kept: self.kept,
            pace: self.pace,
            is_trial: &is_trial,
            restart: self.restart,
        };
        let outside = (dialer, Uptime, orders);
        let mut client = Client::new(outbox, identity, outside, MANNERS, self.random);
        match select(client.run(), self.end_trial(&is_trial)).await {
            Either::First(Err(error)) => error,
            Either::First(Ok(never)) | Either::Second(never) => match never {},
        }
    }

    /// Starts anew where the configuration is still on trial when its time is over: the block says that it was undone.
    async fn end_trial(&self, is_trial: &Cell<bool>) -> Infallible {
        Timer::at(Instant::MIN.saturating_add(TRIAL)).await;
        if is_trial.get() {
            say!(
                "configuration {} is undone: no word from the node",
                self.kept.version()
            );
            (self.restart)();
        }
        pending().await
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
