//! What the images around the client of [`firmware`] share: the settings QEMU's loader brought, an outbox of one class, the
//! time, and one connection.

use core::net::Ipv4Addr;

use configuration::Settings;
use embassy_net::{Stack, tcp::TcpSocket};
use embassy_time::{Instant, Timer};
use firmware::{
    Class, Commit, Layout, Region, WhenFull,
    client::{Clock, Identity, Network},
};
use wire::{
    Stream,
    topic::{DeviceId, Prefix},
};

use crate::{
    exit,
    flash::{OUTBOX_PAGES, PAGE},
    network::Unflushed,
    psram,
};

/// The stream of the one class.
pub const STREAM: Stream = Stream::new(0).expect("0 is a stream");

const STORE_PAGES: u32 = 2;
/// All pages that the class may have.
pub const PAGES: u32 = OUTBOX_PAGES as u32 - STORE_PAGES;

/// The settings of the configuration block; ends QEMU if there is none.
#[must_use]
pub fn settings() -> Settings<'static> {
    let [first, second] = psram::configuration();
    match configuration::read(first, second) {
        Ok(configuration) => configuration.settings,
        Err(error) => exit::failure(format_args!("{error}")),
    }
}

/// An outbox of one class, of at most [`PAGES`].
#[must_use]
pub const fn layout(pages: u32, when_full: WhenFull, commit: Commit) -> Layout<1> {
    Layout {
        store: Region {
            start: 0,
            pages: STORE_PAGES,
        },
        classes: [Class {
            stream: STREAM,
            region: Region {
                start: STORE_PAGES * PAGE as u32,
                pages,
            },
            when_full,
            commit,
        }],
    }
}

/// Who the image is, by its settings.
#[must_use]
pub fn identity(settings: Settings<'static>, firmware: &'static str) -> Identity<'static> {
    Identity {
        device: DeviceId::new(settings.id).expect("a configuration has no other id"),
        prefix: Prefix::NONE,
        firmware,
        configuration: 0,
        login: None,
    }
}

/// The time since boot.
pub struct Uptime;

impl Clock for Uptime {
    fn uptime_ms(&self) -> u64 {
        Instant::now().as_millis()
    }

    async fn wait_until(&self, uptime_ms: u64) {
        Timer::at(Instant::try_from_millis(uptime_ms).unwrap_or(Instant::MAX)).await;
    }
}

/// The one connection there will be.
pub struct Once<'a> {
    stack: Stack<'a>,
    socket: Option<TcpSocket<'a>>,
    settings: Settings<'a>,
    lost: fn() -> !,
}

impl<'a> Once<'a> {
    /// A connection to the node of the settings; `lost` is called where another one would be needed.
    #[must_use]
    pub fn new(
        stack: Stack<'a>,
        mut socket: TcpSocket<'a>,
        settings: Settings<'a>,
        lost: fn() -> !,
    ) -> Self {
        socket.set_nagle_enabled(false);
        Once {
            stack,
            socket: Some(socket),
            settings,
            lost,
        }
    }
}

impl<'a> Network for Once<'a> {
    type Connection = Unflushed<'a>;

    async fn connect(&mut self) -> Option<Unflushed<'a>> {
        let Some(mut socket) = self.socket.take() else {
            (self.lost)()
        };
        self.stack.wait_config_up().await;
        let host: Ipv4Addr = self.settings.host.parse().ok()?;
        let connected = socket.connect((host, self.settings.port)).await;
        connected.is_ok().then_some(Unflushed(socket))
    }
}
