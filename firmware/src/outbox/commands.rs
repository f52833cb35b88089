use embedded_storage_async::nor_flash::NorFlash;
use heapless::Vec;
use wire::command::{CommandId, Outcome};

use super::{Outbox, flash_error};
use crate::store::Key;

/// How many origins of commands are told apart. One more takes the place of another, whose next repeat would run again.
const ORIGINS: u8 = 4;

/// The longest answer that is kept for repeats, in bytes.
const KEPT: usize = 64;

/// What is to be done with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// To be run, and its end to be told to [`Outbox::end_command`].
    Run,
    /// It was begun before: how it ended, and how many bytes of its answer are kept.
    Before(Outcome, usize),
}

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
    fn encode(&self) -> Vec<u8, { KEPT + 13 }> {
        let (origin, seq) = (self.id.origin.to_le_bytes(), self.id.seq.to_le_bytes());
        let head = origin
            .iter()
            .chain(&seq)
            .copied()
            .chain([self.outcome as u8]);
        head.chain(self.answer.iter().copied()).collect()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (origin, rest) = bytes.split_first_chunk::<4>()?;
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let (outcome, answer) = rest.split_first()?;
        let id = CommandId {
            origin: u32::from_le_bytes(*origin),
            seq: u64::from_le_bytes(*seq),
        };
        let outcome = *OUTCOMES.get(usize::from(*outcome))?;
        Some(Kept {
            id,
            outcome,
            answer: Vec::from_slice(answer).ok()?,
        })
    }
}

/// A command is noted as interrupted before it runs and with its end after, so that it runs at most once, whatever
/// happens meanwhile.
impl<S: NorFlash, const CLASSES: usize, const RING: usize> Outbox<S, CLASSES, RING> {
    /// Whether a command is to be run; the answer of one that was goes to `answer`. When this returns [`Begun::Run`], it
    /// is in flash that the command was begun.
    ///
    /// # Errors
    ///
    /// The flash failed.
    pub async fn begin_command(
        &mut self,
        id: CommandId,
        answer: &mut [u8],
    ) -> Result<Begun, S::Error> {
        let mut place = id
            .origin
            .to_le_bytes()
            .into_iter()
            .fold(0, core::ops::BitXor::bitxor)
            % ORIGINS;
        for other in 0..ORIGINS {
            let Some(kept) = self.kept(other).await? else {
                continue;
            };
            if kept.id.origin != id.origin {
                continue;
            }
            if kept.id.seq > id.seq {
                return Ok(Begun::Before(Outcome::Forgotten, 0));
            }
            if kept.id.seq == id.seq {
                let len = kept.answer.len().min(answer.len());
                for (place, byte) in answer.iter_mut().zip(&kept.answer) {
                    *place = *byte;
                }
                return Ok(Begun::Before(kept.outcome, len));
            }
            place = other;
        }
        self.keep(
            place,
            &Kept {
                id,
                outcome: Outcome::Interrupted,
                answer: Vec::new(),
            },
        )
        .await?;
        Ok(Begun::Run)
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
                let answer = Vec::from_slice(answer).unwrap_or_default();
                self.keep(
                    place,
                    &Kept {
                        id,
                        outcome,
                        answer,
                    },
                )
                .await?;
            }
        }
        Ok(())
    }

    async fn kept(&mut self, place: u8) -> Result<Option<Kept>, S::Error> {
        let value = self
            .store
            .value(&mut self.flash, Key::Command(place), &mut self.scratch)
            .await;
        Ok(flash_error(value)?.flatten().and_then(Kept::decode))
    }

    async fn keep(&mut self, place: u8, kept: &Kept) -> Result<(), S::Error> {
        let set = self
            .store
            .set(
                &mut self.flash,
                Key::Command(place),
                &kept.encode(),
                &mut self.scratch,
            )
            .await;
        flash_error(set).map(drop)
    }
}
