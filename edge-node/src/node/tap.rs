//! A look at what passes: publishes as they were judged, for whoever asks, at the cost of a copy and never of a wait.
//!
//! ```text
//!  judged, taken in ─▶ Taps::show ─ bounded, what finds no place is counted ─▶ TapReader ─▶ filter, text ─▶ a connection
//! ```

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use filters::decode::View;
use serde::{Deserialize, Serialize};
use spool::Seq;
use tokio::sync::mpsc;

/// Taps that may be open at once.
pub const MAX_TAPS: usize = 4;
/// Publishes that wait for one reader.
const MAX_WAITING: usize = 1024;
/// Bytes of these.
const MAX_WAITING_BYTES: usize = 2 << 20;

/// The open taps.
#[derive(Debug, Default)]
pub struct Taps {
    open: Vec<Tap>,
}

#[derive(Debug)]
struct Tap {
    sender: mpsc::Sender<Arc<Passed>>,
    fill: Arc<Fill>,
}

/// What both ends of a tap know.
#[derive(Debug, Default)]
struct Fill {
    /// Bytes that wait.
    bytes: AtomicUsize,
    /// Publishes that found no place, since the reader last asked.
    missed: AtomicU64,
}

/// The reading end of a tap. Dropping it closes the tap.
#[derive(Debug)]
pub struct TapReader {
    receiver: mpsc::Receiver<Arc<Passed>>,
    fill: Arc<Fill>,
}

/// A publish that was taken in.
#[derive(Debug, Default)]
pub struct Passed {
    /// Where it stands in the log, if it does.
    pub position: Option<Seq>,
    /// Its record, without what was settled.
    pub record: Vec<u8>,
    /// Its payload as decoders show it.
    pub view: View,
    /// What rules made of it.
    pub verdict: Verdict,
}

/// What rules made of an event, in the words of `rules test`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rules that matched, in the order in which they applied.
    pub matched: Vec<String>,
    /// The steps that failed.
    pub errors: Vec<VerdictError>,
    /// The rule, with its stage, because of which no uplink is owed it.
    pub dropped: Option<String>,
    /// Why it is a dead letter of the uplinks it is owed to.
    pub dead: Option<String>,
    /// The lane it is kept in.
    pub lane: Option<String>,
    /// The uplinks that rules name; `None` is every uplink that takes it.
    pub sinks: Option<Vec<String>>,
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictError {
    /// Its rule.
    pub rule: String,
    /// A word for it.
    pub class: String,
    /// For people.
    pub message: String,
}

/// What a reader of a tap meets next.
#[derive(Debug)]
pub enum Tapped {
    /// A publish.
    Passed(Arc<Passed>),
    /// So many found no place since the last time this was told.
    Missed(u64),
}

impl Taps {
    /// Opens one; `None` if as many are open as may be.
    pub fn open(&mut self) -> Option<TapReader> {
        self.forget_closed();
        if self.open.len() >= MAX_TAPS {
            return None;
        }
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let fill = Arc::<Fill>::default();
        self.open.push(Tap {
            sender,
            fill: Arc::clone(&fill),
        });
        Some(TapReader { receiver, fill })
    }

    /// Shows a publish to every reader that has a place for it. Nothing is made where there is none.
    pub fn show(&mut self, make: impl Fn() -> Passed) {
        if self.open.is_empty() {
            return;
        }
        self.forget_closed();
        let mut made = None;
        for Tap { sender, fill } in &self.open {
            let place = sender.try_reserve().ok();
            let place = place.filter(|_| fill.bytes.load(Relaxed) < MAX_WAITING_BYTES);
            let Some(place) = place else {
                fill.missed.fetch_add(1, Relaxed);
                continue;
            };
            let passed = made.get_or_insert_with(|| Arc::new(make()));
            fill.bytes.fetch_add(passed.bytes(), Relaxed);
            place.send(Arc::clone(passed));
        }
    }

    /// Closes all: their readers come to an end.
    pub fn close(&mut self) {
        self.open.clear();
    }

    fn forget_closed(&mut self) {
        self.open.retain(|it| !it.sender.is_closed());
    }
}

impl TapReader {
    /// What comes next; `None` once the node stops.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Tapped>> {
        // Told first, though what waits here came before it: a reader that never catches up is told too.
        let missed = self.fill.missed.swap(0, Relaxed);
        if missed > 0 {
            return Poll::Ready(Some(Tapped::Missed(missed)));
        }
        let next = std::task::ready!(self.receiver.poll_recv(context));
        Poll::Ready(next.map(|passed| {
            self.fill.bytes.fetch_sub(passed.bytes(), Relaxed);
            Tapped::Passed(passed)
        }))
    }
}

impl Passed {
    fn bytes(&self) -> usize {
        let decoded = match &self.view {
            View::Decoded(decoded) => decoded.json().len(),
            View::Plain | View::Opaque(_) => 0,
        };
        self.record.len() + decoded
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn of_bytes(bytes: usize) -> Passed {
        Passed {
            record: vec![0; bytes],
            ..Passed::default()
        }
    }

    /// How many come until no more does, and how many are told to be missed.
    fn read(reader: &mut TapReader) -> (usize, u64) {
        let (mut passed, mut missed) = (0, 0);
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(tapped)) = reader.poll_next(&mut context) {
            match tapped {
                Tapped::Passed(_) => passed += 1,
                Tapped::Missed(count) => missed += count,
            }
        }
        (passed, missed)
    }

    #[test]
    fn a_reader_that_does_not_read_misses_what_is_beyond_its_bound_and_is_told_how_much() {
        let mut taps = Taps::default();
        let (mut slow, mut quick) = (taps.open().unwrap(), taps.open().unwrap());
        for _ in 0..MAX_WAITING + 7 {
            taps.show(|| of_bytes(10));
            assert_eq!(read(&mut quick), (1, 0));
        }
        assert_eq!(read(&mut slow), (MAX_WAITING, 7));
        let half = MAX_WAITING_BYTES / 2;
        for _ in 0..5 {
            taps.show(|| of_bytes(half));
        }
        assert_eq!(read(&mut slow), (2, 3));
        taps.show(|| of_bytes(half));
        assert_eq!(read(&mut slow), (1, 0), "all bytes were given back");
    }

    #[test]
    fn nothing_is_made_for_nobody() {
        let mut taps = Taps::default();
        taps.show(|| panic!("nobody looks"));
        drop(taps.open().unwrap());
        taps.show(|| panic!("nobody looks any more"));
    }

    #[test]
    fn so_many_taps_are_open_at_once_and_end_with_the_node() {
        let mut taps = Taps::default();
        let mut open: Vec<TapReader> = (0..MAX_TAPS).map(|_| taps.open().unwrap()).collect();
        assert!(taps.open().is_none());
        drop(open.pop());
        let mut last = taps.open().unwrap();
        taps.close();
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(last.poll_next(&mut context), Poll::Ready(None)));
    }
}
