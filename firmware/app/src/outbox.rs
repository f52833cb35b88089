use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Instant;
use embedded_storage_async::nor_flash::NorFlash;
use firmware::{
    Class, Commit, Layout, Published, Region, WhenFull, client::Shared, outbox::OpenError,
};
use wire::{Event, Stream};

use crate::{Pace, Publisher, Reading, orders};

/// The readings the node has not acknowledged, in the flash `S`. One [`crate::measure`] fills it, one [`crate::Link`]
/// empties it, on one executor.
pub type Outbox<S> = Shared<NoopRawMutex, S, 1, MEMORY_BYTES>;

/// Readings on their way to flash.
const MEMORY_BYTES: usize = 128;
const STREAM: Stream = Stream::new(0).expect("0 is a stream");

/// The pages of the boot counter and of the table of readings.
const STORE_PAGES: u32 = 2;
/// The fewest pages an outbox needs.
pub const LEAST_PAGES: u32 = STORE_PAGES + 2;

/// Opens the outbox that is in `region` of `flash`, or an empty one, and counts this boot; it is put into `place`, so that
/// it does not come over the stack. `random` is a number of the hardware's generator; `pace` is set as a command set it last.
///
/// # Errors
///
/// The flash fails, or holds what a later firmware wrote, or readings of this version with other fields.
///
/// # Panics
///
/// The region has fewer than [`LEAST_PAGES`].
pub async fn open<'p, S: NorFlash>(
    place: &'p mut Option<Outbox<S>>,
    flash: S,
    region: Region,
    random: u32,
    pace: &Pace,
) -> Result<&'p Outbox<S>, OpenError<S::Error>> {
    let layout = layout::<S>(region);
    let shared = Outbox::open(place, flash, &layout, &[Reading::KIND], random).await?;
    let outbox = shared.outbox();
    say!(
        "boot {} of incarnation {:08x}",
        outbox.boot(),
        outbox.incarnation()
    );
    if let Some(setting) = outbox.setting().await.map_err(OpenError::Flash)? {
        orders::apply(&setting, pace);
    }
    Ok(shared)
}

fn layout<S: NorFlash>(region: Region) -> Layout<1> {
    let Region { start, pages } = region;
    let store = Region {
        start,
        pages: STORE_PAGES,
    };
    let readings = Region {
        start: start.saturating_add(STORE_PAGES.saturating_mul(page_bytes::<S>())),
        pages: pages.saturating_sub(STORE_PAGES),
    };
    assert!(pages >= LEAST_PAGES, "an outbox needs more pages");
    let class = Class {
        stream: STREAM,
        region: readings,
        when_full: WhenFull::DropOldest,
        commit: Commit::Always,
    };
    Layout {
        store,
        classes: [class],
    }
}

fn page_bytes<S: NorFlash>() -> u32 {
    u32::try_from(S::ERASE_SIZE).unwrap_or(u32::MAX)
}

impl<S: NorFlash> Publisher for &Outbox<S> {
    async fn publish(&mut self, reading: Reading) {
        let mut data = [0; DATA_BYTES];
        let Ok(data) = reading.encode(&mut data) else {
            return; // a reading is never longer
        };
        let uptime_ms = Instant::now().as_millis();
        match Outbox::publish(self, STREAM, Reading::KIND.id(), uptime_ms, data).await {
            Ok(Published::Committed) => say!("a reading is in flash"),
            Ok(Published::Buffered) => say!("a reading waits for its place in flash"),
            Err(_) => say!("a reading is lost: the flash fails"),
        }
    }
}

/// Two numbers of four bytes.
const DATA_BYTES: usize = 8;
