/// Access to the chip's registers. Each call is one access of 32 bits: most registers change by being read.
pub trait Registers {
    /// Reads the register at `offset` bytes from the chip's base.
    fn read(&self, offset: u32) -> u32;
    /// Writes it.
    fn write(&self, offset: u32, value: u32);
}

impl<R: Registers> Registers for &R {
    fn read(&self, offset: u32) -> u32 {
        R::read(self, offset)
    }

    fn write(&self, offset: u32, value: u32) {
        R::write(self, offset, value);
    }
}

pub(crate) const RX_DATA: u32 = 0x00;
pub(crate) const TX_DATA: u32 = 0x20;
pub(crate) const RX_STATUS: u32 = 0x40;
pub(crate) const ID_REV: u32 = 0x50;
pub(crate) const IRQ_CFG: u32 = 0x54;
pub(crate) const INT_STS: u32 = 0x58;
pub(crate) const INT_EN: u32 = 0x5c;
pub(crate) const FIFO_INT: u32 = 0x68;
pub(crate) const TX_CFG: u32 = 0x70;
pub(crate) const HW_CFG: u32 = 0x74;
pub(crate) const RX_FIFO_INF: u32 = 0x7c;
pub(crate) const TX_FIFO_INF: u32 = 0x80;
pub(crate) const MAC_CSR_CMD: u32 = 0xa4;
pub(crate) const MAC_CSR_DATA: u32 = 0xa8;

/// Interrupts, in INT_STS and INT_EN.
pub(crate) const RX_WAITS: u32 = 1 << 3;
pub(crate) const TX_ROOM: u32 = 1 << 9;
pub(crate) const PHY: u32 = 1 << 18;

/// Registers of the MAC, behind MAC_CSR.
pub(crate) const MAC_CR: u32 = 1;
pub(crate) const ADDRESS_HIGH: u32 = 2;
pub(crate) const ADDRESS_LOW: u32 = 3;
const MII_ACCESS: u32 = 6;
const MII_DATA: u32 = 7;

/// Reads of a busy flag before the chip counts as dead; a sound one answers within a few.
pub(crate) const PATIENCE: usize = 10_000;

/// The chip did not finish what it was told within [`PATIENCE`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

pub(crate) fn wait(mut done: impl FnMut() -> bool) -> Result<(), Busy> {
    if (0..PATIENCE).any(|_| done()) {
        Ok(())
    } else {
        Err(Busy)
    }
}

const CSR_BUSY: u32 = 1 << 31;
const CSR_READ: u32 = 1 << 30;

pub(crate) fn read_mac(chip: &impl Registers, register: u32) -> Result<u32, Busy> {
    chip.write(MAC_CSR_CMD, CSR_BUSY | CSR_READ | register);
    wait(|| chip.read(MAC_CSR_CMD) & CSR_BUSY == 0)?;
    Ok(chip.read(MAC_CSR_DATA))
}

pub(crate) fn write_mac(chip: &impl Registers, register: u32, value: u32) -> Result<(), Busy> {
    chip.write(MAC_CSR_DATA, value);
    chip.write(MAC_CSR_CMD, CSR_BUSY | register);
    wait(|| chip.read(MAC_CSR_CMD) & CSR_BUSY == 0)
}

/// The PHY inside the chip has address 1.
const MII_PHY: u32 = 1 << 11;
const MII_WRITE: u32 = 1 << 1;
const MII_BUSY: u32 = 1 << 0;

pub(crate) fn read_phy(chip: &impl Registers, register: u32) -> Result<u32, Busy> {
    write_mac(chip, MII_ACCESS, MII_PHY | (register << 6) | MII_BUSY)?;
    wait_for_phy(chip)?;
    read_mac(chip, MII_DATA)
}

pub(crate) fn write_phy(chip: &impl Registers, register: u32, value: u32) -> Result<(), Busy> {
    write_mac(chip, MII_DATA, value)?;
    write_mac(
        chip,
        MII_ACCESS,
        MII_PHY | (register << 6) | MII_WRITE | MII_BUSY,
    )?;
    wait_for_phy(chip)
}

fn wait_for_phy(chip: &impl Registers) -> Result<(), Busy> {
    wait(|| read_mac(chip, MII_ACCESS).is_ok_and(|access| access & MII_BUSY == 0))
}
