use embedded_storage_async::nor_flash::NorFlash;
use heapless::Vec;
use wire::command::{CommandId, Outcome};

use super::{Outbox, flash_error};
use crate::store::Key;

/// How many origins of commands are told apart. One more takes the place of another, whose next repeat would run again.
const ORIGINS: u8 = 4;

/// The longest answer that is kept for repeats, in bytes.
const KEPT: usize = 64;

/// The longest setting, in bytes.
pub const MAX_SETTING: usize = 32;

/// What a command makes the device work with, in an encoding of the application.
pub type Setting = Vec<u8, MAX_SETTING>;

const ID: usize = 12;

/// The last command of an origin, as it is stored.
#[derive(Debug, PartialEq)]
struct Kept {
    id: CommandId,
    outcome: Outcome,
    answer: Vec<u8, KEPT>,
}

const OUTCOMES: [Outcome; 6] = [
    Outcome::Done,
    Outcome::Failed,
    Outcome::Unknown,
    Outcome::Malformed,
    Outcome::Forgotten,
    Outcome::Interrupted,
];

impl Kept {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = take_id(bytes)?;
        let (outcome, answer) = rest.split_first()?;
        let outcome = *OUTCOMES.get(usize::from(*outcome))?;
        Some(Kept {
            id,
            outcome,
            answer: Vec::from_slice(answer).ok()?,
        })
    }
}

/// A command's number, and what is kept with it.
fn with_id(id: CommandId, rest: &[&[u8]]) -> Vec<u8, { ID + 1 + KEPT }> {
    let mut bytes = Vec::new();
    let number = [&id.origin.to_le_bytes()[..], &id.seq.to_le_bytes()];
    for part in number.iter().chain(rest) {
        // There is room for the longest answer, and a setting is shorter.
        let _ = bytes.extend_from_slice(part);
    }
    bytes
}

fn take_id(bytes: &[u8]) -> Option<(CommandId, &[u8])> {
    let (origin, rest) = bytes.split_first_chunk::<4>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let id = CommandId {
        origin: u32::from_le_bytes(*origin),
        seq: u64::from_le_bytes(*seq),
    };
    Some((id, rest))
}

/// A command that acts on the world is noted as interrupted before it runs and with its end after, so that it runs at most
/// once, whatever happens meanwhile. One that sets something is stored together with what it sets, so that it takes effect
/// exactly once.
impl<S: NorFlash, const CLASSES: usize, const RING: usize> Outbox<S, CLASSES, RING> {
    /// How a command ended that was begun before, and how many bytes of its answer are in `answer`; `None` for one that
    /// was not.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn command_before(
        &mut self,
        id: CommandId,
        answer: &mut [u8],
    ) -> Result<Option<(Outcome, usize)>, S::Error> {
        let mut is_past = false;
        for place in 0..ORIGINS {
            let Some(kept) = self.kept(place).await? else {
                continue;
            };
            if kept.id == id {
                let place = answer.get_mut(..kept.answer.len());
                let len = place.map_or(0, |place| {
                    place.copy_from_slice(&kept.answer);
                    place.len()
                });
                return Ok(Some((kept.outcome, len)));
            }
            is_past |= kept.id.origin == id.origin && kept.id.seq > id.seq;
        }
        if let Some((set_by, _)) = self.set_by().await? {
            if set_by == id {
                return Ok(Some((Outcome::Done, 0)));
            }
            is_past |= set_by.origin == id.origin && set_by.seq > id.seq;
        }
        Ok(is_past.then_some((Outcome::Forgotten, 0)))
    }

    /// A command that acts on the world is about to run. When this returns true, that is in flash, and its end is to be
    /// told to [`Outbox::end_command`]; when false, there is no room to note it, and it must not run.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn begin_command(&mut self, id: CommandId) -> Result<bool, S::Error> {
        let mut place = id
            .origin
            .to_le_bytes()
            .into_iter()
            .fold(0, core::ops::BitXor::bitxor)
            % ORIGINS;
        for other in 0..ORIGINS {
            let kept = self.kept(other).await?;
            if kept.is_some_and(|kept| kept.id.origin == id.origin) {
                place = other;
            }
        }
        let begun = with_id(id, &[&[Outcome::Interrupted as u8]]);
        self.keep(Key::Command(place), &begun).await
    }

    /// A command that was begun has ended. Of an answer above 64 bytes repeats get nothing.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn end_command(
        &mut self,
        id: CommandId,
        outcome: Outcome,
        answer: &[u8],
    ) -> Result<(), S::Error> {
        for place in 0..ORIGINS {
            if self.kept(place).await?.is_some_and(|kept| kept.id == id) {
                let answer = Some(answer).filter(|answer| answer.len() <= KEPT);
                let ended = with_id(id, &[&[outcome as u8], answer.unwrap_or_default()]);
                self.keep(Key::Command(place), &ended).await?;
            }
        }
        Ok(())
    }

    /// A command sets what the device works with, in place of all that was set before. When this returns true, both that
    /// it was done and what it set are in flash; when false, there is no room for them, and nothing was set.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn set(&mut self, id: CommandId, setting: &Setting) -> Result<bool, S::Error> {
        self.keep(Key::Setting, &with_id(id, &[setting])).await
    }

    /// What a command set last; `None` if none ever did.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn setting(&mut self) -> Result<Option<Setting>, S::Error> {
        Ok(self.set_by().await?.map(|(_, setting)| setting))
    }

    async fn set_by(&mut self) -> Result<Option<(CommandId, Setting)>, S::Error> {
        let value = self.value(Key::Setting).await?;
        Ok(value.and_then(|bytes| {
            let (id, setting) = take_id(bytes)?;
            Some((id, Vec::from_slice(setting).ok()?))
        }))
    }

    async fn kept(&mut self, place: u8) -> Result<Option<Kept>, S::Error> {
        let value = self.value(Key::Command(place)).await?;
        Ok(value.and_then(Kept::decode))
    }

    async fn value(&mut self, key: Key) -> Result<Option<&[u8]>, S::Error> {
        let value = self
            .store
            .value(&mut self.flash, key, &mut self.scratch)
            .await;
        Ok(flash_error(value)?.flatten())
    }

    async fn keep(&mut self, key: Key, value: &[u8]) -> Result<bool, S::Error> {
        let set = self
            .store
            .set(&mut self.flash, key, value, &mut self.scratch)
            .await;
        Ok(flash_error(set)?.is_some())
    }
}
