//! The driver against a model of the chip, written from its data sheet.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "these are tests"
)]

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
};

use embassy_net_driver::{Driver, HardwareAddress, LinkState, RxToken, TxToken};
use lan9118::{FRAME_BYTES, Frames, Interrupt, Lan9118, Registers, StartError};

#[test]
fn it_starts_with_the_address_of_the_eeprom() {
    let (chip, interrupt) = (Chip::default(), Interrupt::new());
    let driver = Lan9118::start(&chip, &interrupt, frames()).unwrap();
    assert_eq!(
        driver.hardware_address(),
        HardwareAddress::Ethernet([0x52, 0x54, 0, 1, 2, 3])
    );
    assert_eq!(
        chip.irq_config.get(),
        0x111,
        "the line is active high before anybody unmasks it"
    );
    assert_eq!(chip.interrupts.get(), 0, "nobody waits yet");
    assert_eq!(chip.mac[1].get() & 0b1100, 0b1100, "it sends and receives");
}

#[test]
fn what_is_no_such_chip_is_refused() {
    let interrupt = Interrupt::new();
    let refused = |chip: &Chip| {
        Lan9118::start(chip, &interrupt, frames())
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(
        refused(&Chip {
            id: 0xffff_ffff,
            ..Chip::default()
        }),
        StartError::Foreign(0xffff_ffff)
    );
    assert_eq!(
        refused(&Chip {
            dead: true,
            ..Chip::default()
        }),
        StartError::Dead
    );
    let blank = Chip::default();
    blank.mac[2].set(0xffff);
    blank.mac[3].set(0xffff_ffff);
    assert_eq!(refused(&blank), StartError::Address([0xff; 6]));
}

#[test]
fn frames_come_in_order_and_whole() {
    let chip = Chip::default();
    let interrupt = Interrupt::new();
    let mut driver = Lan9118::start(&chip, &interrupt, frames()).unwrap();
    for length in [60, 61, 62, 63, FRAME_BYTES] {
        chip.receive(&frame(length), false);
    }
    for length in [60, 61, 62, 63, FRAME_BYTES] {
        assert_eq!(receive(&mut driver), Some(frame(length)));
    }
    assert_eq!(receive(&mut driver), None);
}

#[test]
fn damaged_and_overlong_frames_are_dropped_and_the_next_is_whole() {
    let chip = Chip::default();
    let interrupt = Interrupt::new();
    let mut driver = Lan9118::start(&chip, &interrupt, frames()).unwrap();
    chip.receive(&frame(100), true);
    chip.receive(&frame(FRAME_BYTES + 1), false);
    chip.receive(&frame(1900), false);
    chip.receive(&frame(77), false);
    assert_eq!(receive(&mut driver), Some(frame(77)));
    assert_eq!(receive(&mut driver), None);
}

#[test]
fn a_frame_is_sent_with_its_two_commands() {
    let chip = Chip::default();
    let interrupt = Interrupt::new();
    let mut driver = Lan9118::start(&chip, &interrupt, frames()).unwrap();
    for length in [60, 61, FRAME_BYTES] {
        send(&mut driver, &frame(length)).unwrap();
        assert_eq!(chip.take_sent(), frame(length));
    }
}

#[test]
fn a_waiter_is_woken_by_a_frame_and_the_chip_is_silent_until_the_next_wait() {
    let chip = Chip::default();
    let interrupt = Interrupt::new();
    let mut driver = Lan9118::start(&chip, &interrupt, frames()).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);

    assert!(driver.receive(&mut cx).is_none());
    assert!(!chip.line(), "nothing waits");
    chip.receive(&frame(60), false);
    assert!(chip.line());
    interrupt.handle(&chip);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(!chip.line(), "the handler silences the chip");
    assert_eq!(receive(&mut driver), Some(frame(60)));
    assert!(driver.receive(&mut cx).is_none());
    assert!(!chip.line(), "the frame that was taken is forgotten");
    chip.receive(&frame(61), false);
    assert!(chip.line());
}

#[test]
fn a_frame_that_comes_while_the_wait_begins_is_not_slept_through() {
    let chip = Chip::default();
    let interrupt = Interrupt::new();
    let mut driver = Lan9118::start(&chip, &interrupt, frames()).unwrap();
    chip.receive_on_status_clear.replace(Some(frame(64)));
    assert_eq!(receive(&mut driver), Some(frame(64)));
}

#[test]
fn without_room_it_waits_for_room() {
    let chip = Chip::default();
    let interrupt = Interrupt::new();
    let mut driver = Lan9118::start(&chip, &interrupt, frames()).unwrap();
    chip.room.set(1523);
    chip.receive(&frame(60), false);
    assert_eq!(
        receive(&mut driver),
        None,
        "a frame is taken only with room for its answer"
    );
    chip.free(1700);
    assert!(chip.line(), "room wakes who waits to take a frame");
    interrupt.handle(&chip);

    chip.room.set(1523);
    assert!(send(&mut driver, &frame(60)).is_none());
    chip.free(1700);
    assert!(chip.line(), "room wakes who waits to send");
    interrupt.handle(&chip);
    assert_eq!(receive(&mut driver), Some(frame(60)));
}

#[test]
fn the_link_is_what_the_phy_last_said() {
    let chip = Chip::default();
    let interrupt = Interrupt::new();
    let mut driver = Lan9118::start(&chip, &interrupt, frames()).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(driver.link_state(&mut cx) == LinkState::Down);
    for (up, state) in [(true, LinkState::Up), (false, LinkState::Down)] {
        chip.set_link(up);
        assert!(driver.link_state(&mut cx) == state);
    }
    assert!(driver.receive(&mut cx).is_none());
    chip.set_link(true);
    assert!(chip.line(), "a change wakes who waits");
}

fn frame(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + length) as u8).collect()
}

fn receive(driver: &mut Lan9118<'_, &Chip>) -> Option<Vec<u8>> {
    let mut cx = Context::from_waker(Waker::noop());
    let (received, _) = driver.receive(&mut cx)?;
    Some(received.consume(|frame| frame.to_vec()))
}

fn send(driver: &mut Lan9118<'_, &Chip>, frame: &[u8]) -> Option<()> {
    let mut cx = Context::from_waker(Waker::noop());
    let room = driver.transmit(&mut cx)?;
    room.consume(frame.len(), |buffer| buffer.copy_from_slice(frame));
    Some(())
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The chip: FIFOs of words, interrupts, and the MAC and PHY behind their windows.
struct Chip {
    id: u32,
    dead: bool,
    statuses: RefCell<VecDeque<u32>>,
    received: RefCell<VecDeque<u32>>,
    sent: RefCell<Vec<u32>>,
    room: Cell<u32>,
    interrupts: Cell<u32>,
    enabled: Cell<u32>,
    irq_config: Cell<u32>,
    mac: [Cell<u32>; 8],
    mac_data: Cell<u32>,
    link: Cell<bool>,
    /// A link that was lost since the status was last read.
    lost: Cell<bool>,
    receive_on_status_clear: RefCell<Option<Vec<u8>>>,
}

impl Default for Chip {
    fn default() -> Chip {
        let mac: [Cell<u32>; 8] = Default::default();
        mac[2].set(0x0302);
        mac[3].set(0x0100_5452);
        Chip {
            id: 0x0118_0001,
            dead: false,
            statuses: RefCell::default(),
            received: RefCell::default(),
            sent: RefCell::default(),
            room: Cell::new(4608),
            interrupts: Cell::new(0xff),
            enabled: Cell::new(0),
            irq_config: Cell::new(0),
            mac,
            mac_data: Cell::new(0),
            link: Cell::new(false),
            lost: Cell::new(false),
            receive_on_status_clear: RefCell::default(),
        }
    }
}

const RX_WAITS: u32 = 1 << 3;
const TX_ROOM: u32 = 1 << 9;
const PHY: u32 = 1 << 18;

impl Chip {
    fn receive(&self, frame: &[u8], damaged: bool) {
        let bytes = frame.len() + 4;
        let damaged = u32::from(damaged) << 15;
        self.statuses
            .borrow_mut()
            .push_back((bytes as u32) << 16 | damaged);
        let mut stored = frame.to_vec();
        stored.resize(bytes.next_multiple_of(4), 0xcc);
        let words = stored
            .as_chunks()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word));
        self.received.borrow_mut().extend(words);
        self.raise(RX_WAITS);
    }

    fn take_sent(&self) -> Vec<u8> {
        let words = self.sent.take();
        let length = words[1] as usize;
        assert_eq!(words[0], 0x3000 | words[1], "one segment, first and last");
        assert_eq!(words.len(), 2 + length.div_ceil(4));
        let bytes: Vec<u8> = words[2..]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        bytes[..length].to_vec()
    }

    fn free(&self, bytes: u32) {
        self.room.set(bytes);
        self.raise(TX_ROOM);
    }

    fn set_link(&self, up: bool) {
        self.link.set(up);
        self.lost.set(true);
        self.raise(PHY);
    }

    fn raise(&self, interrupt: u32) {
        self.interrupts.set(self.interrupts.get() | interrupt);
    }

    fn line(&self) -> bool {
        self.interrupts.get() & self.enabled.get() != 0
    }

    fn phy(&self, register: u32) -> u32 {
        match register {
            1 if self.lost.replace(false) => 0,
            1 => u32::from(self.link.get()) << 2,
            _ => 0,
        }
    }

    fn mac_command(&self, command: u32) {
        let register = (command & 0xff) as usize;
        if command & (1 << 30) != 0 {
            self.mac_data.set(self.mac[register].get());
            return;
        }
        let value = self.mac_data.get();
        self.mac[register].set(value);
        if register == 6 {
            assert_eq!(value >> 11, 1, "the PHY inside has address 1");
            if value & 2 == 0 {
                self.mac[7].set(self.phy((value >> 6) & 0x1f));
            }
            self.mac[6].set(value & !1);
        }
    }
}

impl Registers for Chip {
    fn read(&self, offset: u32) -> u32 {
        match offset {
            0x00 => self
                .received
                .borrow_mut()
                .pop_front()
                .expect("a word is there"),
            0x40 => self
                .statuses
                .borrow_mut()
                .pop_front()
                .expect("a status is there"),
            0x50 => self.id,
            0x58 => self.interrupts.get(),
            0x74 => u32::from(self.dead),
            0x7c => (self.statuses.borrow().len() as u32) << 16,
            0x80 => self.room.get(),
            0xa4 => 0,
            0xa8 => self.mac_data.get(),
            other => panic!("nothing is read at {other:#x}"),
        }
    }

    fn write(&self, offset: u32, value: u32) {
        match offset {
            0x20 => self.sent.borrow_mut().push(value),
            0x54 => self.irq_config.set(value),
            0x58 => {
                self.interrupts.set(self.interrupts.get() & !value);
                if value & RX_WAITS != 0
                    && value != u32::MAX
                    && let Some(frame) = self.receive_on_status_clear.take()
                {
                    self.receive(&frame, false);
                }
            }
            0x5c => self.enabled.set(value),
            0xa4 => self.mac_command(value),
            0xa8 => self.mac_data.set(value),
            0x68 | 0x70 | 0x74 => {}
            other => panic!("nothing is written at {other:#x}"),
        }
    }
}

fn frames() -> &'static mut Frames {
    Box::leak(Box::default())
}
