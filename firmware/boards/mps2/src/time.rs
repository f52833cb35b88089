use core::{cell::RefCell, task::Waker};

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use lan9118::Registers;

use crate::{
    interrupts::{Interrupt, unmask},
    mmio::{TIMER0, TIMER1},
};

/// Registers of a CMSDK timer, which counts down.
const CONTROL: u32 = 0x0;
const VALUE: u32 = 0x4;
const RELOAD: u32 = 0x8;
const PENDING: u32 = 0xc;

const RUNNING: u32 = (1 << 3) | (1 << 0);
const COUNTS_PER_TICK: u64 = 25;
/// The furthest an alarm is set; it is set again from there.
const LONGEST_TICKS: u64 = 1 << 26;

/// embassy-time on two timers at 25 MHz: the first runs free and its wraps are counted, the second wakes.
struct Timers {
    state: Mutex<RefCell<State>>,
}

struct State {
    /// How often the first timer came round.
    wraps: u64,
    queue: Queue,
}

embassy_time_driver::time_driver_impl!(static TIMERS: Timers = Timers {
    state: Mutex::new(RefCell::new(State { wraps: 0, queue: Queue::new() })),
});

pub(crate) fn start() {
    TIMER0.write(RELOAD, u32::MAX);
    TIMER0.write(VALUE, u32::MAX);
    TIMER0.write(CONTROL, RUNNING);
    unmask(Interrupt::Timer0);
    unmask(Interrupt::Timer1);
}

impl Driver for Timers {
    #[inline(never)]
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.ticks(cs))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let changed = self.state.borrow_ref_mut(cs).queue.schedule_wake(at, waker);
            if changed {
                self.set_alarm(cs);
            }
        });
    }
}

impl Timers {
    fn ticks(&self, cs: CriticalSection<'_>) -> u64 {
        let mut wraps = self.state.borrow_ref(cs).wraps;
        let mut left = TIMER0.read(VALUE);
        if TIMER0.read(PENDING) != 0 {
            // It came round and the handler could not count that yet; `left` may be from before.
            wraps += 1;
            left = TIMER0.read(VALUE);
        }
        ((wraps << 32) + u64::from(u32::MAX - left)) / COUNTS_PER_TICK
    }

    /// Wakes whoever is due, and has the second timer ring for the next.
    fn set_alarm(&self, cs: CriticalSection<'_>) {
        TIMER1.write(CONTROL, 0);
        TIMER1.write(PENDING, 1);
        loop {
            let now = self.ticks(cs);
            let next = self.state.borrow_ref_mut(cs).queue.next_expiration(now);
            if next == u64::MAX {
                return;
            }
            // One that became due meanwhile is woken in the next round.
            let Some(ticks) = next.checked_sub(self.ticks(cs)).filter(|ticks| *ticks > 0) else {
                continue;
            };
            let counts = ticks.min(LONGEST_TICKS) * COUNTS_PER_TICK;
            let counts = u32::try_from(counts).unwrap_or(u32::MAX);
            TIMER1.write(RELOAD, counts);
            TIMER1.write(VALUE, counts);
            TIMER1.write(CONTROL, RUNNING);
            return;
        }
    }
}

pub(crate) extern "C" fn handle_overflow() {
    critical_section::with(|cs| {
        TIMER0.write(PENDING, 1);
        TIMERS.state.borrow_ref_mut(cs).wraps += 1;
    });
}

pub(crate) extern "C" fn handle_alarm() {
    critical_section::with(|cs| TIMERS.set_alarm(cs));
}
