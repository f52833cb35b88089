//! What comes down to the device: commands and configurations.

use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_storage_async::nor_flash::NorFlash;
use wire::{
    EncodeError,
    birth::{encode_configured, encode_result},
    command::{Command, CommandId, Configured, Outcome},
};

use super::{
    Clock, Network, Plan, Serve,
    conversation::{Conversation, Stop},
};
use crate::{mqtt, outbox::MAX_MESSAGE};

/// The longest answer of a command, in bytes.
pub(super) const MOST_ANSWERED: usize = MAX_MESSAGE - 32;

/// What came down and ended.
pub(super) enum Ended {
    /// A command, with an answer of so many bytes.
    Command(CommandId, Outcome, usize),
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

impl<M, S, N, C, V, const CLASSES: usize, const RING: usize>
    Conversation<'_, M, S, N, C, V, CLASSES, RING>
where
    M: RawMutex,
    S: NorFlash,
    N: Network,
    C: Clock,
    V: Serve,
{
    /// Follows what came down: how it ended, and what a command answered.
    pub(super) async fn command(
        &mut self,
        payload: &[u8],
        id: Option<u16>,
        answer: &mut [u8],
    ) -> Result<Option<Ended>, Stop<S::Error>> {
        if let Some(id) = id {
            let mut packet = [0; 16];
            let packet = mqtt::encode_puback(id, &mut packet).map_err(|_| Stop::Broken)?;
            self.write(packet).await?;
        }
        match Command::decode(payload) {
            Ok(Command::Run { id, name, data }) => self.run(id, name, data, answer).await,
            Ok(Command::Configure { version, data }) => {
                let configured = self.configure(version, data).await?;
                Ok(Some(Ended::Configuration(version, configured)))
            }
            Err(_) => Ok(None),
        }
    }

    /// Runs a command, unless it was run before.
    async fn run(
        &mut self,
        id: CommandId,
        name: &str,
        data: &[u8],
        answer: &mut [u8],
    ) -> Result<Option<Ended>, Stop<S::Error>> {
        let mut outbox = self.shared.outbox.lock().await;
        let before = outbox.command_before(id, answer).await;
        let (outcome, len) = match (before.map_err(Stop::flash)?, self.serve.plan(name, data)) {
            (Some(ended), _) => ended,
            (None, Plan::Refuse(outcome)) => (outcome, 0),
            (None, Plan::Set(setting)) => match outbox.set(id, &setting).await {
                Err(error) => return Err(Stop::Flash(error)),
                Ok(false) => (Outcome::Failed, 0),
                Ok(true) => {
                    self.serve.set(&setting);
                    (Outcome::Done, 0)
                }
            },
            (None, Plan::Run) => match outbox.begin_command(id).await {
                Err(error) => return Err(Stop::Flash(error)),
                Ok(false) => (Outcome::Failed, 0),
                Ok(true) => {
                    drop(outbox);
                    let (outcome, len) = self.serve.run(name, data, answer).await;
                    let said = answer.get(..len).unwrap_or_default();
                    outbox = self.shared.outbox.lock().await;
                    let ended = outbox.end_command(id, outcome, said).await;
                    ended.map_err(Stop::flash)?;
                    (outcome, len)
                }
            },
        };
        Ok(Some(Ended::Command(id, outcome, len)))
    }

    /// Has a configuration tried, which begins with a start of the device, or says why it is not.
    async fn configure(&mut self, version: u32, data: &[u8]) -> Result<Configured, Stop<S::Error>> {
        let mut outbox = self.shared.outbox.lock().await;
        outbox.commit_all().await.map_err(Stop::flash)?;
        let said = self.serve.configure(outbox.flash(), version, data).await;
        said.map_err(Stop::flash)
    }
}
