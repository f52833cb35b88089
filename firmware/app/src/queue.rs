use core::cell::RefCell;

use embassy_sync::{
    blocking_mutex::{Mutex, raw::CriticalSectionRawMutex},
    signal::Signal,
};
use heapless::Deque;

use crate::{Publisher, Reading};

/// How many readings wait for the node in RAM.
pub const QUEUED: usize = 32;

/// The readings the node has not acknowledged, oldest first. One [`crate::measure`] fills it, one [`crate::Link`]
/// empties it.
pub struct Queue {
    /// Held for one push or pop, never over an await.
    waiting: Mutex<CriticalSectionRawMutex, RefCell<Waiting>>,
    filled: Signal<CriticalSectionRawMutex, ()>,
}

struct Waiting {
    readings: Deque<Reading, QUEUED>,
    /// The sequence of the oldest reading here, or of the next if there is none.
    oldest: u32,
    /// How many were pushed out, over the whole life of the queue.
    dropped: u32,
}

/// A reading and its place among all readings since the reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) sequence: u32,
    pub(crate) reading: Reading,
    /// How many readings were pushed out before it.
    pub(crate) dropped: u32,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue::new()
    }
}

impl Queue {
    /// An empty one; sequences begin at 1.
    #[must_use]
    pub const fn new() -> Queue {
        let waiting = Waiting {
            readings: Deque::new(),
            oldest: 1,
            dropped: 0,
        };
        Queue {
            waiting: Mutex::new(RefCell::new(waiting)),
            filled: Signal::new(),
        }
    }

    /// The oldest reading; waits for one.
    pub(crate) async fn oldest(&self) -> Numbered {
        loop {
            if let Some(oldest) = self.with(|waiting| waiting.front()) {
                return oldest;
            }
            self.filled.wait().await;
        }
    }

    /// Drops the reading with this sequence, which the node has; nothing if it was pushed out meanwhile.
    pub(crate) fn acknowledge(&self, sequence: u32) {
        self.with(|waiting| {
            if waiting.oldest == sequence && waiting.readings.pop_front().is_some() {
                waiting.oldest = sequence.wrapping_add(1);
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Waiting) -> T) -> T {
        self.waiting.lock(|waiting| act(&mut waiting.borrow_mut()))
    }
}

impl Waiting {
    fn front(&self) -> Option<Numbered> {
        Some(Numbered {
            sequence: self.oldest,
            reading: *self.readings.front()?,
            dropped: self.dropped,
        })
    }

    fn push(&mut self, reading: Reading) {
        if self.readings.is_full() && self.readings.pop_front().is_some() {
            self.oldest = self.oldest.wrapping_add(1);
            self.dropped = self.dropped.saturating_add(1);
        }
        // There is room: a full queue has just lost its oldest.
        let _ = self.readings.push_back(reading);
    }
}

impl Publisher for &Queue {
    async fn publish(&mut self, reading: Reading) {
        self.with(|waiting| waiting.push(reading));
        self.filled.signal(());
    }
}

#[cfg(test)]
mod tests {
    use core::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use embassy_futures::block_on;

    use super::*;

    #[test]
    fn a_reading_stays_until_it_is_acknowledged() {
        let queue = Queue::new();
        publish(&queue, 1..=2);
        assert_eq!(block_on(queue.oldest()), numbered(1, 0));
        assert_eq!(block_on(queue.oldest()), numbered(1, 0));
        queue.acknowledge(1);
        assert_eq!(block_on(queue.oldest()), numbered(2, 0));
        queue.acknowledge(1);
        assert_eq!(block_on(queue.oldest()), numbered(2, 0), "said twice");
    }

    #[test]
    fn the_oldest_goes_when_it_is_full_and_is_counted() {
        let queue = Queue::new();
        let bound = u32::try_from(QUEUED).unwrap();
        publish(&queue, 1..=bound);
        assert_eq!(block_on(queue.oldest()), numbered(1, 0));
        publish(&queue, bound + 1..=bound + 3);
        assert_eq!(block_on(queue.oldest()), numbered(4, 3));
        queue.acknowledge(1);
        assert_eq!(
            block_on(queue.oldest()),
            numbered(4, 3),
            "an answer to one that is gone takes no other"
        );
    }

    #[test]
    fn who_waits_for_a_reading_gets_it() {
        let queue = Queue::new();
        let mut waiting = pin!(queue.oldest());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        publish(&queue, 1..=1);
        assert_eq!(waiting.as_mut().poll(&mut cx), Poll::Ready(numbered(1, 0)));
    }

    fn publish(mut queue: &Queue, numbers: core::ops::RangeInclusive<u32>) {
        for number in numbers {
            block_on(queue.publish(numbered(number, 0).reading));
        }
    }

    fn numbered(sequence: u32, dropped: u32) -> Numbered {
        let reading = Reading {
            temperature_millis: 0,
            humidity_millis: sequence,
        };
        Numbered {
            sequence,
            reading,
            dropped,
        }
    }
}
