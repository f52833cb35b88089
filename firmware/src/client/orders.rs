//! What comes down to the device: commands and configurations.

use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_storage_async::nor_flash::NorFlash;
use wire::{
    birth::{encode_configured, encode_result},
    command::{Command, CommandId, Configured, Outcome},
    topic::Channel,
};

use super::{
    Clock, Network, Plan, Serve,
    conversation::{Conversation, Stop},
};
use crate::{mqtt, outbox::MAX_MESSAGE};

impl<M, S, N, C, V, const CLASSES: usize, const RING: usize>
    Conversation<'_, M, S, N, C, V, CLASSES, RING>
where
    M: RawMutex,
    S: NorFlash,
    N: Network,
    C: Clock,
    V: Serve,
{
    /// Follows what came down, and says how it ended.
    pub(super) async fn command(
        &mut self,
        payload: &[u8],
        id: Option<u16>,
    ) -> Result<(), Stop<S::Error>> {
        if let Some(id) = id {
            let mut packet = [0; 16];
            let packet = mqtt::encode_puback(id, &mut packet).map_err(|_| Stop::Broken)?;
            self.write(packet).await?;
        }
        match Command::decode(payload) {
            Ok(Command::Run { id, name, data }) => self.run(id, name, data).await,
            Ok(Command::Configure { version, data }) => self.configure(version, data).await,
            Err(_) => Ok(()),
        }
    }

    /// Runs a command, unless it was run before.
    async fn run(&mut self, id: CommandId, name: &str, data: &[u8]) -> Result<(), Stop<S::Error>> {
        let mut answer = [0; MAX_MESSAGE - 32];
        let mut outbox = self.shared.outbox.lock().await;
        let before = outbox.command_before(id, &mut answer).await;
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
                    let (outcome, len) = self.serve.run(name, data, &mut answer).await;
                    let said = answer.get(..len).unwrap_or_default();
                    outbox = self.shared.outbox.lock().await;
                    let ended = outbox.end_command(id, outcome, said).await;
                    ended.map_err(Stop::flash)?;
                    (outcome, len)
                }
            },
        };
        drop(outbox);
        let mut result = [0; MAX_MESSAGE];
        let answer = answer.get(..len).unwrap_or_default();
        let result = encode_result(id, outcome, answer, &mut result).map_err(|_| Stop::Broken)?;
        let id = self.link.take_free_id();
        self.publish(Channel::Birth, id, result).await
    }

    /// Has a configuration tried, which begins with a start of the device, or says why it is not.
    async fn configure(&mut self, version: u32, data: &[u8]) -> Result<(), Stop<S::Error>> {
        let mut outbox = self.shared.outbox.lock().await;
        outbox.commit_all().await.map_err(Stop::flash)?;
        let said = self.serve.configure(outbox.flash(), version, data).await;
        drop(outbox);
        self.tell_configured(version, said.map_err(Stop::flash)?)
            .await
    }

    pub(super) async fn tell_configured(
        &mut self,
        version: u32,
        configured: Configured,
    ) -> Result<(), Stop<S::Error>> {
        let mut message = [0; 16];
        let message =
            encode_configured(version, configured, &mut message).map_err(|_| Stop::Broken)?;
        let id = self.link.take_free_id();
        self.publish(Channel::Birth, id, message).await
    }
}
