//! What the flash of this board is tested with: the first boot, and every second one after it, erases and writes until it
//! is reset; the boots between leave what the reset left for a reader of PSRAM.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embedded_storage_async::nor_flash::NorFlash as _;
use mps2::{
    console::print,
    exit,
    flash::{self, BoardFlash, PAGE, PAGES, WORD},
    psram,
};

/// So much of each page that a reset meets a write as easily as an erase.
const WRITTEN: u32 = 1024;

#[entry]
fn main() -> ! {
    mps2::start(|spawner: Spawner| spawner.spawn(run().expect("it is started once")))
}

#[embassy_executor::task]
async fn run() {
    let boot = psram::count_boot();
    let seed = psram::random(boot);
    let mut flash = flash::power_on(seed).expect("it is asked for once");
    print(format_args!("boot {boot}, seed {seed}"));
    if boot.is_multiple_of(2) {
        return;
    }
    let mut round = u32::from(boot.to_le_bytes()[0]);
    loop {
        round = round.wrapping_add(1);
        for page in 0..PAGES as u32 {
            if let Err(error) = fill(&mut flash, page * PAGE as u32, round).await {
                exit::failure(format_args!("{error:?}"));
            }
        }
    }
}

/// Erases the page at `start` and writes its first words: numbers that differ from page to page and from round to round, and
/// every fourth is cleared by a second write, as what was acknowledged is.
async fn fill(flash: &mut BoardFlash, start: u32, round: u32) -> Result<(), flash_model::PowerCut> {
    flash.erase(start, start + PAGE as u32).await?;
    for at in (start..start + WRITTEN).step_by(WORD) {
        let word = (at ^ round.wrapping_mul(0x9e37_79b9)).to_le_bytes();
        flash.write(at, &word).await?;
        if at.is_multiple_of(4 * WORD as u32) {
            flash.write(at, &[0; WORD]).await?;
        }
    }
    Ok(())
}
