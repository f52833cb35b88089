//! What comes down to the device: commands and configurations.

use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_storage_async::nor_flash::NorFlash;
use wire::{
    EncodeError,
    birth::{encode_configured, encode_result},
    command::{Command, CommandId, Configured, Outcome},
};

use super::{Plan, Serve, Shared};
use crate::outbox::MAX_MESSAGE;

/// The longest answer of a command, in bytes.
pub(super) const MOST_ANSWERED: usize = MAX_MESSAGE - 32;

/// What came down and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A command, with an answer of so many bytes.
    Command(CommandId, Outcome, usize),
    /// A configuration of this version.
    Configuration(u32, Configured),
}

impl Ended {
    pub(super) fn encode<'b>(
        &self,
        answer: &[u8],
        into: &'b mut [u8],
    ) -> Result<&'b [u8], EncodeError> {
        match *self {
            Ended::Command(id, outcome, len) => {
                encode_result(id, outcome, answer.get(..len).unwrap_or_default(), into)
            }
            Ended::Configuration(version, configured) => {
                encode_configured(version, configured, into)
            }
        }
    }
}

/// Has a command run, unless it was run before, or a configuration tried, which begins with a start of the device: how that
/// ended, with what the command answered in `answer`.
pub(super) async fn follow<V, M, S, const CLASSES: usize, const RING: usize>(
    serve: &mut V,
    shared: &Shared<M, S, CLASSES, RING>,
    command: Command<'_>,
    answer: &mut [u8],
) -> Result<Ended, S::Error>
where
    V: Serve,
    M: RawMutex,
    S: NorFlash,
{
    let mut outbox = shared.outbox.lock().await;
    let (id, name, data) = match command {
        Command::Run { id, name, data } => (id, name, data),
        Command::Configure { version, data } => {
            outbox.commit_all().await?;
            let configured = serve.configure(outbox.flash(), version, data).await?;
            return Ok(Ended::Configuration(version, configured));
        }
    };
    let before = outbox.command_before(id, answer).await?;
    let (outcome, len) = match (before, serve.plan(name, data)) {
        (Some(ended), _) => ended,
        (None, Plan::Refuse(outcome)) => (outcome, 0),
        (None, Plan::Set(setting)) => match outbox.set(id, &setting).await? {
            false => (Outcome::Failed, 0),
            true => {
                serve.set(&setting);
                (Outcome::Done, 0)
            }
        },
        (None, Plan::Run) => match outbox.begin_command(id).await? {
            false => (Outcome::Failed, 0),
            true => {
                drop(outbox);
                let (outcome, len) = serve.run(name, data, answer).await;
                let said = answer.get(..len).unwrap_or_default();
                outbox = shared.outbox.lock().await;
                outbox.end_command(id, outcome, said).await?;
                (outcome, len)
            }
        },
    };
    Ok(Ended::Command(id, outcome, len))
}
