//! The flash model, and the ways in which a driver may lie.

use std::{cell::RefCell, rc::Rc};

use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use flash_model::{Flash, Geometry, PowerCut};

pub(crate) const PAGE: usize = 1024;
pub(crate) const PAGES: usize = 12;
pub(crate) type Chip = Flash<Vec<u8>, PAGE, 4>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// A write returns before it was done; it is done with the next operation.
    WritesLate,
    /// What is written below this address is lost: the boot counter is not stored.
    ForgetsBelow(u32),
}

struct Inner {
    chip: Chip,
    fault: Fault,
    late: Option<(u32, Vec<u8>)>,
    written: usize,
}

impl Inner {
    fn catch_up(&mut self) -> Result<(), PowerCut> {
        match self.late.take() {
            Some((at, bytes)) => block_on(self.chip.write(at, &bytes)),
            None => Ok(()),
        }
    }
}

/// A handle on a chip, so that a test keeps it while an outbox has it.
#[derive(Clone)]
pub(crate) struct Driver(Rc<RefCell<Inner>>);

impl Driver {
    pub(crate) fn new() -> Self {
        Self::over(
            Chip::format(vec![0; Geometry::<PAGE, 4>::memory_len(PAGES)]),
            Fault::None,
        )
    }

    pub(crate) fn begin(&self, fault: Fault) {
        self.0.borrow_mut().fault = fault;
    }

    fn over(chip: Chip, fault: Fault) -> Self {
        Driver(Rc::new(RefCell::new(Inner {
            chip,
            fault,
            late: None,
            written: 0,
        })))
    }

    /// The power comes back; what was late is lost.
    pub(crate) fn power_on(self, seed: u64) -> Self {
        let inner = Rc::into_inner(self.0)
            .expect("nobody else has it")
            .into_inner();
        Self::over(Chip::power_on(inner.chip.into_memory(), seed), inner.fault)
    }

    pub(crate) fn cut_at(&self, operation: u64) {
        self.0.borrow_mut().chip.cut_at(operation);
    }

    pub(crate) fn operations(&self) -> u64 {
        self.0.borrow().chip.operations()
    }

    /// How many bytes were written.
    pub(crate) fn written(&self) -> usize {
        self.0.borrow().written
    }

    /// What a word holds.
    pub(crate) fn word(&self, address: u32) -> [u8; 4] {
        let mut word = [0; 4];
        block_on(self.0.borrow_mut().chip.read(address, &mut word)).unwrap();
        word
    }

    /// Clears the bits of a word, as age does.
    pub(crate) fn rot(&self, address: u32) {
        block_on(self.0.borrow_mut().chip.write(address, &[0; 4])).unwrap();
    }

    pub(crate) fn erases(&self) -> Vec<u32> {
        self.0.borrow().chip.erases().collect()
    }
}

impl ErrorType for Driver {
    type Error = PowerCut;
}

impl ReadNorFlash for Driver {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerCut> {
        let mut inner = self.0.borrow_mut();
        inner.catch_up()?;
        block_on(inner.chip.read(offset, bytes))
    }

    fn capacity(&self) -> usize {
        self.0.borrow().chip.capacity()
    }
}

impl NorFlash for Driver {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerCut> {
        let mut inner = self.0.borrow_mut();
        inner.catch_up()?;
        block_on(inner.chip.erase(from, to))
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerCut> {
        let mut inner = self.0.borrow_mut();
        inner.catch_up()?;
        inner.written += bytes.len();
        match inner.fault {
            Fault::WritesLate => inner.late = Some((offset, bytes.to_vec())),
            Fault::ForgetsBelow(end) if offset < end => {}
            Fault::None | Fault::ForgetsBelow(_) => block_on(inner.chip.write(offset, bytes))?,
        }
        Ok(())
    }
}
