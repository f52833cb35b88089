//! Time that passes when everybody waits, and wires that are cut.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use firmware::client::{Clock, Network};
use flash_model::Random;

#[derive(Default)]
pub(crate) struct World {
    now_ms: Cell<u64>,
    deadlines: RefCell<Vec<u64>>,
    moved: Cell<bool>,
    /// Wires on which the device has dialled and nobody has answered.
    pub(crate) dialled: RefCell<VecDeque<Wire>>,
    /// Whether the device can dial.
    pub(crate) is_up: Cell<bool>,
}

impl World {
    pub(crate) fn new() -> Rc<Self> {
        let world = World::default();
        world.is_up.set(true);
        Rc::new(world)
    }

    /// Runs until the work is done or `limit_ms` has passed; `None` then.
    pub(crate) fn run<T>(&self, limit_ms: u64, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let limit_ms = self.now_ms.get() + limit_ms;
        while self.now_ms.get() < limit_ms {
            self.deadlines.borrow_mut().clear();
            self.moved.set(false);
            if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Some(done);
            }
            if !self.moved.get() {
                let next_ms = self
                    .deadlines
                    .borrow()
                    .iter()
                    .copied()
                    .min()
                    .expect("somebody waits for a time");
                self.now_ms.set(next_ms.max(self.now_ms.get() + 1));
            }
        }
        None
    }
}

/// Shares one world among its clock and its network.
#[derive(Clone)]
pub(crate) struct Here(pub(crate) Rc<World>);

impl Clock for Here {
    fn uptime_ms(&self) -> u64 {
        self.0.now_ms.get()
    }

    async fn wait_until(&self, uptime_ms: u64) {
        poll_fn(|_| {
            if self.0.now_ms.get() >= uptime_ms {
                return Poll::Ready(());
            }
            self.0.deadlines.borrow_mut().push(uptime_ms);
            Poll::Pending
        })
        .await;
    }
}

impl Network for Here {
    type Connection = Wire;

    async fn connect(&mut self) -> Option<Wire> {
        if !self.0.is_up.get() {
            return None;
        }
        let pipes: Rc<RefCell<[VecDeque<u8>; 2]>> = Rc::default();
        let is_open = Rc::new(Cell::new(true));
        let end = |side| Wire {
            world: self.0.clone(),
            pipes: pipes.clone(),
            is_open: is_open.clone(),
            side,
        };
        self.0.dialled.borrow_mut().push_back(end(1));
        self.0.moved.set(true);
        Some(end(0))
    }
}

/// One end of a connection. Both are dead once one is dropped or cut.
pub(crate) struct Wire {
    world: Rc<World>,
    pipes: Rc<RefCell<[VecDeque<u8>; 2]>>,
    is_open: Rc<Cell<bool>>,
    side: usize,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.is_open.set(false);
        self.world.moved.set(true);
    }
}

impl ErrorType for Wire {
    type Error = ErrorKind;
}

impl Read for Wire {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| {
            let pipe = &mut self.pipes.borrow_mut()[self.side];
            if pipe.is_empty() {
                return if self.is_open.get() {
                    Poll::Pending
                } else {
                    Poll::Ready(Ok(0))
                };
            }
            self.world.moved.set(true);
            // Small pieces, so that packets arrive in parts.
            let len = pipe.len().min(into.len()).min(7);
            for (place, byte) in into.iter_mut().zip(pipe.drain(..len)) {
                *place = byte;
            }
            Poll::Ready(Ok(len))
        })
        .await
    }
}

impl Write for Wire {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        if !self.is_open.get() {
            return Err(ErrorKind::BrokenPipe);
        }
        self.world.moved.set(true);
        self.pipes.borrow_mut()[1 - self.side].extend(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Whether a thing that happens once in so many times happens.
pub(crate) fn chance(random: &RefCell<Random>, once_in: u64) -> bool {
    once_in > 0 && random.borrow_mut().below(once_in) == 0
}
