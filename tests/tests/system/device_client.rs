//! The client of devices as firmware has it, on this machine: over TCP, with a flash in memory.

use std::net::SocketAddr;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use firmware::{
    Class, Commit, Layout, Outbox, Region, WhenFull,
    client::{Clock, Identity, Network, Shared},
    link::Manners,
};
use flash_model::{Flash, Geometry};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use wire::{
    Stream,
    kind::{Field, Kind, Scalar, Shape},
    topic::{DeviceId, Prefix},
};

mod fleet;
mod lost;
#[cfg(feature = "peers")]
mod mosquitto;
mod node;

const PAGE: usize = 1024;
const PAGES: usize = 6;
type Chip = Flash<Vec<u8>, PAGE, 4>;
type Events = Shared<NoopRawMutex, Chip, 1, 256>;

const MANNERS: Manners = Manners {
    backoff_least_ms: 50,
    backoff_most_ms: 500,
    ..Manners::DEFAULT
};

const fn field(name: &'static str, scalar: Scalar, shape: Shape) -> Field<'static> {
    Field {
        name,
        scalar,
        shape,
    }
}

const READING: Kind<'static> = Kind {
    event_type: "pump.reading",
    version: 1,
    fields: &[
        field("n", Scalar::U32, Shape::One),
        field("celsius", Scalar::F32, Shape::One),
        field("peaks", Scalar::I16, Shape::UpTo(4)),
        field("note", Scalar::Text, Shape::UpTo(8)),
    ],
};

/// `{"n": n, "celsius": 0.1, "peaks": [-1, 300], "note": "ö\""}` as its kind has it; `n` is below 128.
fn data(n: u8) -> Vec<u8> {
    let rest = b"\xcd\xcc\xcc\x3d\x02\x01\xd8\x04\x03\xc3\xb6\"";
    [&[n], &rest[..]].concat()
}

fn stream() -> Stream {
    Stream::new(0).expect("0 is a stream")
}

/// The outbox of a device that never ran before. Its incarnation is always the same.
async fn new_events() -> Events {
    let chip = Chip::format(vec![0; Geometry::<PAGE, 4>::memory_len(PAGES)]);
    events_in(chip, WhenFull::Refuse).await
}

/// What a flash holds, with a class that is as full as four pages.
async fn events_in(chip: Chip, when_full: WhenFull) -> Events {
    let region = |first: usize, pages| Region {
        start: (first * PAGE) as u32,
        pages,
    };
    let class = Class {
        stream: stream(),
        region: region(2, 4),
        when_full,
        commit: Commit::Always,
    };
    let layout = Layout {
        store: region(0, 2),
        classes: [class],
    };
    let outbox = Outbox::open(chip, &layout, &[READING], 0x00c0_ffee).await;
    Events::new(outbox.expect("the flash is sound"))
}

fn identity(device: &str) -> Identity<'_> {
    Identity {
        device: DeviceId::new(device).expect("an id"),
        prefix: Prefix::NONE,
        firmware: "1.0.0",
        configuration: 0,
        login: None,
    }
}

async fn publish(events: &Events, clock: Uptime, n: u8) {
    let data = data(n);
    let published = events.publish(stream(), READING.id(), clock.uptime_ms(), &data);
    published.await.expect("there is room");
}

/// Milliseconds since it was made.
#[derive(Clone, Copy)]
struct Uptime(Instant);

impl Uptime {
    fn new() -> Self {
        Uptime(Instant::now())
    }
}

impl Clock for Uptime {
    fn uptime_ms(&self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    async fn wait_until(&self, uptime_ms: u64) {
        let left_ms = uptime_ms.saturating_sub(self.uptime_ms());
        tokio::time::sleep(std::time::Duration::from_millis(left_ms)).await;
    }
}

struct Tcp(SocketAddr);

impl Network for Tcp {
    type Connection = Socket;

    async fn connect(&mut self) -> Option<Socket> {
        TcpStream::connect(self.0).await.ok().map(Socket)
    }
}

struct Socket(TcpStream);

impl ErrorType for Socket {
    type Error = ErrorKind;
}

impl Read for Socket {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(into).await.map_err(|_| ErrorKind::Other)
    }
}

impl Write for Socket {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(bytes).await.map_err(|_| ErrorKind::Other)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().await.map_err(|_| ErrorKind::Other)
    }
}
