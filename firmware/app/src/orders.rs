use core::cell::Cell;

use configuration::{Given, Kept, Standing};
use embassy_time::Duration;
use embedded_storage_async::nor_flash::NorFlash;
use firmware::{
    client::{Plan, Serve},
    outbox::Setting,
};
use wire::command::{Configured, Outcome};

use crate::Pace;

/// The shortest period of readings, in milliseconds: a flash of 16 pages lasts for some years under it.
const LEAST_PERIOD_MS: u32 = 100;
/// The longest: a day.
const MOST_PERIOD_MS: u32 = 86_400_000;

/// What the node may have a board do.
///
/// | command | with | does |
/// |---|---|---|
/// | `echo` | at most 480 bytes | answers with them; at most once |
/// | `period` | milliseconds between readings, as JSON: 100 to 86400000 | keeps to it, over resets as well; exactly once |
pub(crate) struct Orders<'a> {
    pub(crate) kept: Kept<'a>,
    pub(crate) pace: &'a Pace,
    /// Whether the configuration the board works with is on trial.
    pub(crate) is_trial: &'a Cell<bool>,
    pub(crate) restart: fn() -> !,
}

impl Serve for Orders<'_> {
    fn plan(&self, name: &str, data: &[u8]) -> Plan {
        match name {
            "echo" => Plan::Run,
            "period" => match period_ms(data) {
                Some(period_ms) => Plan::Set(period_ms.to_le_bytes().into_iter().collect()),
                None => Plan::Refuse(Outcome::Malformed),
            },
            _ => Plan::Refuse(Outcome::Unknown),
        }
    }

    async fn run(&mut self, _: &str, data: &[u8], answer: &mut [u8]) -> (Outcome, usize) {
        match answer.get_mut(..data.len()) {
            None => (Outcome::Malformed, 0),
            Some(answer) => {
                answer.copy_from_slice(data);
                say!("an echo of {} bytes", data.len());
                (Outcome::Done, data.len())
            }
        }
    }

    fn set(&mut self, setting: &Setting) {
        apply(setting, self.pace);
    }

    async fn configure<S: NorFlash>(
        &mut self,
        flash: &mut S,
        version: u32,
        data: &[u8],
    ) -> Result<Configured, S::Error> {
        Ok(match self.kept.give(flash, version, data).await? {
            Given::Held => Configured::Applied,
            Given::Undone => Configured::Undone,
            Given::Malformed => Configured::Malformed,
            Given::Stored => {
                say!("configuration {} is to be tried", version);
                (self.restart)()
            }
        })
    }

    async fn welcomed<S: NorFlash>(
        &mut self,
        flash: &mut S,
    ) -> Result<Option<(u32, Configured)>, S::Error> {
        if self.is_trial.get() {
            self.kept.confirm(flash).await?;
            self.is_trial.set(false);
            say!("configuration {} holds", self.kept.version());
        }
        Ok(match (self.kept.standing(), self.kept.version()) {
            (Standing::Undid(version), _) => Some((version, Configured::Undone)),
            (_, 0) => None,
            (_, version) => Some((version, Configured::Applied)),
        })
    }
}

/// Works as the last command said that set something.
pub(crate) fn apply(setting: &Setting, pace: &Pace) {
    if let Some(period_ms) = setting.first_chunk() {
        let period_ms = u32::from_le_bytes(*period_ms);
        pace.set(Duration::from_millis(period_ms.into()));
    }
}

fn period_ms(data: &[u8]) -> Option<u32> {
    let mut period_ms: u32 = 0;
    for digit in data {
        let digit = digit.is_ascii_digit().then(|| digit & 0x0f)?;
        period_ms = period_ms.checked_mul(10)?.checked_add(digit.into())?;
    }
    (LEAST_PERIOD_MS..=MOST_PERIOD_MS)
        .contains(&period_ms)
        .then_some(period_ms)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{vec, vec::Vec};

    use configuration::{COPY_BYTES, Settings, encode};
    use embassy_futures::block_on;
    use flash_model::{Flash, Geometry};

    use super::*;

    type Chip = Flash<Vec<u8>, 1024, 4>;

    const OLD: Settings<'static> = Settings {
        id: "pump-7",
        host: "10.0.2.2",
        port: 1883,
        wifi: None,
        credentials: None,
    };

    /// A start of the board, in which the node gives it settings of this version, if any, and welcomes it so often: what
    /// the node is told each time. Where it stays away nothing is.
    fn start(chip: &mut Chip, version: Option<u32>, welcomes: usize) -> Vec<(u32, Configured)> {
        let mut bytes = [0; COPY_BYTES];
        let kept = block_on(Kept::open(chip, 0, &mut bytes)).unwrap();
        let mut orders = Orders {
            is_trial: &Cell::new(kept.standing() == Standing::Trial),
            kept,
            pace: &Pace::every(Duration::from_secs(1)),
            restart: || panic!("it starts anew"),
        };
        let told = (0..welcomes).filter_map(|_| block_on(orders.welcomed(chip)).unwrap());
        let told = told.collect();
        if let Some(version) = version {
            let mut copy = [0; COPY_BYTES];
            encode(&Settings { port: 8883, ..OLD }, 2, &mut copy).unwrap();
            block_on(orders.kept.give(chip, version, &copy)).unwrap();
        }
        told
    }

    /// A node that knows nothing of the device counts its versions from the highest it hears of.
    #[test]
    fn a_configuration_that_was_undone_is_said_at_each_welcome_while_the_board_refuses_its_number()
    {
        let mut chip = Chip::format(vec![0; Geometry::<1024, 4>::memory_len(2)]);
        let mut copy = [0; COPY_BYTES];
        encode(&OLD, 2, &mut copy).unwrap();
        for at in [0, 1024] {
            block_on(embedded_storage_async::nor_flash::NorFlash::write(
                &mut chip, at, &copy,
            ))
            .unwrap();
        }
        assert_eq!(start(&mut chip, Some(3), 1), []);
        assert_eq!(
            start(&mut chip, None, 0),
            [],
            "it is tried, and nobody is reached"
        );
        let undone = (3, Configured::Undone);
        for _ in 0..2 {
            assert_eq!(start(&mut chip, None, 2), [undone; 2]);
        }
        assert_eq!(start(&mut chip, Some(4), 1), [undone]);
        let applied = (4, Configured::Applied);
        assert_eq!(
            start(&mut chip, None, 2),
            [applied; 2],
            "it is tried, and holds"
        );
        assert_eq!(start(&mut chip, None, 1), [applied]);
    }
}
