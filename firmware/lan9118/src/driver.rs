use core::task::{Context, Waker};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};

use crate::{
    FRAME_BYTES, Interrupt, Registers,
    link::Link,
    registers::{RX_DATA, RX_FIFO_INF, RX_STATUS, TX_DATA, TX_FIFO_INF},
};

/// A frame in whole words.
const BUFFER_BYTES: usize = FRAME_BYTES.next_multiple_of(4);
/// What the longest frame takes in the chip: its words and two of command.
const ROOM_BYTES: u32 = 1524;
/// The check sequence that the chip leaves behind a received frame.
const CHECK_BYTES: usize = 4;

/// The memory of a driver, given once for its whole life: a frame each way.
pub struct Frames {
    received: [u8; BUFFER_BYTES],
    sent: [u8; BUFFER_BYTES],
}

impl Default for Frames {
    fn default() -> Self {
        Frames::new()
    }
}

impl Frames {
    /// About 3 KiB, so that it is best made where it stays.
    #[must_use]
    pub const fn new() -> Self {
        Frames {
            received: [0; BUFFER_BYTES],
            sent: [0; BUFFER_BYTES],
        }
    }
}

/// The driver: one chip, one frame at a time each way.
pub struct Lan9118<'i, R> {
    chip: R,
    interrupt: &'i Interrupt,
    address: [u8; 6],
    link: Link,
    frames: &'i mut Frames,
}

impl<'i, R: Registers> Lan9118<'i, R> {
    pub(crate) fn new(
        chip: R,
        interrupt: &'i Interrupt,
        frames: &'i mut Frames,
        address: [u8; 6],
        link: Link,
    ) -> Self {
        Lan9118 {
            chip,
            interrupt,
            address,
            link,
            frames,
        }
    }

    /// The chip's MAC address.
    #[must_use]
    pub fn address(&self) -> [u8; 6] {
        self.address
    }

    /// Waits for what is not there yet; whether it came meanwhile.
    fn wait(&self, waker: &Waker) -> bool {
        self.interrupt.register(&self.chip, waker);
        if self.frames() > 0 && self.has_room() {
            return true;
        }
        Interrupt::enable(&self.chip, !self.has_room());
        false
    }

    fn frames(&self) -> u32 {
        (self.chip.read(RX_FIFO_INF) >> 16) & 0xff
    }

    fn has_room(&self) -> bool {
        self.chip.read(TX_FIFO_INF) & 0xffff >= ROOM_BYTES
    }

    /// Takes the next frame off the chip; its length, or `None` if it was dropped.
    fn take_frame(&mut self) -> Option<usize> {
        let status = self.chip.read(RX_STATUS);
        let damaged = status & (1 << 15) != 0;
        let bytes = usize::try_from((status >> 16) & 0x3fff).unwrap_or(0);
        let mut words = self.frames.received.chunks_exact_mut(4);
        for _ in 0..bytes.div_ceil(4) {
            // Words behind the buffer are the check sequence, or of a frame that is dropped.
            let word = self.chip.read(RX_DATA).to_le_bytes();
            if let Some(slot) = words.next() {
                slot.copy_from_slice(&word);
            }
        }
        let length = bytes.checked_sub(CHECK_BYTES)?;
        (!damaged && length <= FRAME_BYTES).then_some(length)
    }
}

impl<R: Registers> Driver for Lan9118<'_, R> {
    type RxToken<'a>
        = Receive<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Transmit<'a, R>
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Receive<'_>, Transmit<'_, R>)> {
        loop {
            if (self.frames() == 0 || !self.has_room()) && !self.wait(cx.waker()) {
                return None;
            }
            if let Some(length) = self.take_frame() {
                let frame = self.frames.received.get_mut(..length)?;
                let chip = &self.chip;
                let buffer = &mut self.frames.sent;
                return Some((Receive { frame }, Transmit { chip, buffer }));
            }
        }
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Transmit<'_, R>> {
        if !self.has_room() {
            self.interrupt.register(&self.chip, cx.waker());
            if !self.has_room() {
                Interrupt::enable(&self.chip, true);
                return None;
            }
        }
        let chip = &self.chip;
        let buffer = &mut self.frames.sent;
        Some(Transmit { chip, buffer })
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        // `receive`, which the stack calls in the same turn, has the waker woken when it changes.
        self.link.state(&self.chip)
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A received frame.
pub struct Receive<'a> {
    frame: &'a mut [u8],
}

impl RxToken for Receive<'_> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, f: F) -> T {
        f(self.frame)
    }
}

/// Room for one frame in the chip.
pub struct Transmit<'a, R> {
    chip: &'a R,
    buffer: &'a mut [u8; BUFFER_BYTES],
}

impl<R: Registers> TxToken for Transmit<'_, R> {
    /// Has `f` write a frame of `length` bytes, at most [`FRAME_BYTES`], and sends it.
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, length: usize, f: F) -> T {
        let length = length.min(FRAME_BYTES);
        let (frame, _) = self.buffer.split_at_mut(length);
        let answer = f(frame);
        // At most FRAME_BYTES, which fits the eleven bits of both commands.
        let size = u32::try_from(length).unwrap_or(0);
        self.chip.write(TX_DATA, FIRST_AND_LAST | size);
        self.chip.write(TX_DATA, size);
        let (words, _) = self.buffer.as_chunks::<4>();
        for word in words.iter().take(length.div_ceil(4)) {
            self.chip.write(TX_DATA, u32::from_le_bytes(*word));
        }
        answer
    }
}

const FIRST_AND_LAST: u32 = (1 << 13) | (1 << 12);
