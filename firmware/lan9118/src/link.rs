use embassy_net_driver::LinkState;

use crate::{
    Registers,
    registers::{Busy, INT_STS, PHY, read_phy, write_phy},
};

const CONTROL: u32 = 0;
const STATUS: u32 = 1;
const INTERRUPT_SOURCE: u32 = 29;
const INTERRUPT_MASK: u32 = 30;

const NEGOTIATE: u32 = (1 << 12) | (1 << 9);
const LINK_UP: u32 = 1 << 2;
const NEGOTIATED: u32 = 1 << 6;
const LINK_DOWN: u32 = 1 << 4;

/// What the PHY last said. Asking it takes a dozen accesses, so it is asked only when it says that something changed.
pub(crate) struct Link {
    state: LinkState,
}

impl Link {
    pub(crate) fn start(chip: &impl Registers) -> Result<Link, Busy> {
        write_phy(chip, INTERRUPT_MASK, NEGOTIATED | LINK_DOWN)?;
        write_phy(chip, CONTROL, NEGOTIATE)?;
        let state = read(chip)?;
        Ok(Link { state })
    }

    pub(crate) fn state(&mut self, chip: &impl Registers) -> LinkState {
        if chip.read(INT_STS) & PHY != 0 {
            // Reading the source clears it; a PHY that does not answer has no link.
            self.state = read_phy(chip, INTERRUPT_SOURCE)
                .and_then(|_| read(chip))
                .unwrap_or(LinkState::Down);
            chip.write(INT_STS, PHY);
        }
        self.state
    }
}

fn read(chip: &impl Registers) -> Result<LinkState, Busy> {
    // A link that was lost stays noted until it is read once.
    read_phy(chip, STATUS)?;
    let up = read_phy(chip, STATUS)? & LINK_UP != 0;
    Ok(if up { LinkState::Up } else { LinkState::Down })
}
