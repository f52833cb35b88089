use core::fmt;

use crate::{
    Frames, Interrupt, Lan9118, Registers,
    link::Link,
    registers::{
        ADDRESS_HIGH, ADDRESS_LOW, Busy, FIFO_INT, HW_CFG, ID_REV, INT_EN, INT_STS, IRQ_CFG,
        MAC_CR, TX_CFG, read_mac, wait, write_mac,
    },
};

/// The chip cannot be used; it is in an unknown state. The board has no network until it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// Something else answers at this address: its identity register.
    Foreign(u32),
    /// The chip does not come out of its reset, or its MAC or PHY does not answer.
    Dead,
    /// Its EEPROM gave it no address that a device may have.
    Address([u8; 6]),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Foreign(id) => write!(f, "no LAN9118 at this address: identity {id:#010x}"),
            StartError::Dead => f.write_str("the LAN9118 does not answer"),
            StartError::Address(address) => {
                write!(f, "the LAN9118 has no usable MAC address: {address:02x?}")
            }
        }
    }
}

impl core::error::Error for StartError {}

impl From<Busy> for StartError {
    fn from(_: Busy) -> Self {
        StartError::Dead
    }
}

const LAN9118: u32 = 0x0118;
/// What the MPS2 boards of silicon carry.
const LAN9220: u32 = 0x9220;
const RESET: u32 = 1;
/// Frames leave only when whole; 5 KiB for what is sent, the rest for what is received.
const STORE_AND_FORWARD: u32 = (1 << 20) | (5 << 16);
/// The output drives high while an interrupt waits.
const ACTIVE_HIGH: u32 = 0x111;
/// Interrupt with room for more than 26 × 64 bytes to send, and with more than 0 frames received.
const LEVELS: u32 = 26 << 24;
/// On, and not stopped by statuses that nobody reads.
const TX_ON: u32 = (1 << 2) | (1 << 1);
const MAC_ON: u32 = (1 << 20) | (1 << 3) | (1 << 2);

impl<'i, R: Registers> Lan9118<'i, R> {
    /// Resets the chip and turns it on, with the address its EEPROM gave it.
    ///
    /// Takes up to a few hundred register accesses; negotiating the link goes on behind it.
    ///
    /// # Errors
    ///
    /// [`StartError`]: there is no such chip, or it does not answer.
    pub fn start(
        chip: R,
        interrupt: &'i Interrupt,
        frames: &'i mut Frames,
    ) -> Result<Self, StartError> {
        let id = chip.read(ID_REV);
        if !matches!(id >> 16, LAN9118 | LAN9220) {
            return Err(StartError::Foreign(id));
        }
        chip.write(HW_CFG, RESET);
        wait(|| chip.read(HW_CFG) & RESET == 0)?;
        chip.write(HW_CFG, STORE_AND_FORWARD);
        chip.write(INT_EN, 0);
        chip.write(INT_STS, u32::MAX);
        chip.write(IRQ_CFG, ACTIVE_HIGH);
        chip.write(FIFO_INT, LEVELS);
        let address = address(&chip)?;
        let link = Link::start(&chip)?;
        chip.write(TX_CFG, TX_ON);
        write_mac(&chip, MAC_CR, MAC_ON)?;
        Ok(Lan9118::new(chip, interrupt, frames, address, link))
    }
}

fn address(chip: &impl Registers) -> Result<[u8; 6], StartError> {
    let [a, b, c, d] = read_mac(chip, ADDRESS_LOW)?.to_le_bytes();
    let [e, f, ..] = read_mac(chip, ADDRESS_HIGH)?.to_le_bytes();
    let address = [a, b, c, d, e, f];
    if a & 1 == 1 || address == [0; 6] {
        return Err(StartError::Address(address));
    }
    Ok(address)
}
