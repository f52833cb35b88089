//! The shell: carries bytes between the node, the link that decides and the outbox that keeps.
//!
//! ```text
//!  tasks ── publish ──▶ Shared { outbox } ◀── Client::run ── bytes ──▶ Network ──▶ node
//!                            └── wake ──────────▲  └── Link (decides), Clock
//! ```

mod conversation;
pub(crate) mod inbox;
pub(crate) mod line;
mod orders;
mod shared;

use core::{
    convert::Infallible,
    pin::{Pin, pin},
};

use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_io_async::{Read, Write};
use embedded_storage_async::nor_flash::NorFlash;
use wire::{
    command::{Command, Configured, Outcome},
    topic::{DeviceId, Prefix},
};

use crate::{
    link::{Link, Manners},
    outbox::Setting,
};
use conversation::{Conversation, Stop};
use inbox::Inbox;
use line::Line;
pub use orders::Ended;
pub use shared::Shared;

/// A way to the node.
#[expect(async_fn_in_trait, reason = "a device has one executor")]
pub trait Network {
    /// A connection. Its read may be abandoned while it waits and loses nothing then; dropping it closes it.
    type Connection: Read + Write;

    /// Opens a connection to the node; `None` if it cannot be had now.
    async fn connect(&mut self) -> Option<Self::Connection>;
}

/// The time since the device booted.
#[expect(async_fn_in_trait, reason = "a device has one executor")]
pub trait Clock {
    /// Milliseconds since boot.
    fn uptime_ms(&self) -> u64;

    /// Returns at that time, or later.
    async fn wait_until(&self, uptime_ms: u64);
}

/// What a command comes down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It acts on the world, at most once: [`Serve::run`].
    Run,
    /// It makes the device work with this, exactly once: [`Serve::set`].
    Set(Setting),
    /// Nothing: it is unknown or malformed, or cannot be done now.
    Refuse(Outcome),
}

/// What the node may have the device do.
#[expect(async_fn_in_trait, reason = "a device has one executor")]
pub trait Serve {
    /// What a command comes down to. Nothing is done yet.
    fn plan(&self, name: &str, data: &[u8]) -> Plan;

    /// Runs a command, and writes what it answers: how it ended, and how many bytes were written. It is called at most
    /// once for each command; if the device stops before it returns, the node is told that it was interrupted.
    /// Nothing is sent or heard meanwhile, so what takes long is only begun here.
    async fn run(&mut self, name: &str, data: &[u8], answer: &mut [u8]) -> (Outcome, usize);

    /// Works with this from here on. It is in flash, together with the number of the command that set it; after a reset
    /// [`Outbox::setting`](crate::Outbox::setting) has it.
    fn set(&mut self, setting: &Setting);

    /// Stores a configuration beside the one that holds and has the device start anew to try it, or says why not. All
    /// events are in flash by then.
    ///
    /// # Errors
    ///
    /// The flash failed.
    async fn configure<S: NorFlash>(
        &mut self,
        flash: &mut S,
        version: u32,
        data: &[u8],
    ) -> Result<Configured, S::Error>;

    /// The node has welcomed the device: a configuration that was on trial holds from here on. What is to be told of one
    /// that was tried, and its version.
    ///
    /// # Errors
    ///
    /// The flash failed.
    async fn welcomed<S: NorFlash>(
        &mut self,
        flash: &mut S,
    ) -> Result<Option<(u32, Configured)>, S::Error>;

    /// Follows what came down, by all of the above: how it ended, with what a command answered in `answer`. Nothing is to be
    /// gained by another way, but for who serves nothing.
    ///
    /// # Errors
    ///
    /// The flash failed.
    async fn follow<M: RawMutex, S: NorFlash, const CLASSES: usize, const RING: usize>(
        &mut self,
        shared: &Shared<M, S, CLASSES, RING>,
        command: Command<'_>,
        answer: &mut [u8],
    ) -> Result<Ended, S::Error>
    where
        Self: Sized,
    {
        orders::follow(self, shared, command, answer).await
    }
}

/// A device without commands that keeps the configuration it has.
#[derive(Clone, Copy, Debug)]
pub struct NoCommands;

impl Serve for NoCommands {
    /// Without the default's way, nothing that commands need is in the image.
    async fn follow<M: RawMutex, S: NorFlash, const CLASSES: usize, const RING: usize>(
        &mut self,
        _: &Shared<M, S, CLASSES, RING>,
        command: Command<'_>,
        _: &mut [u8],
    ) -> Result<Ended, S::Error> {
        Ok(match command {
            Command::Run { id, .. } => Ended::Command(id, Outcome::Unknown, 0),
            Command::Configure { version, .. } => {
                Ended::Configuration(version, Configured::Malformed)
            }
        })
    }

    fn plan(&self, _: &str, _: &[u8]) -> Plan {
        Plan::Refuse(Outcome::Unknown)
    }

    async fn run(&mut self, _: &str, _: &[u8], _: &mut [u8]) -> (Outcome, usize) {
        (Outcome::Unknown, 0)
    }

    fn set(&mut self, _: &Setting) {}

    async fn configure<S: NorFlash>(
        &mut self,
        _: &mut S,
        _: u32,
        _: &[u8],
    ) -> Result<Configured, S::Error> {
        Ok(Configured::Malformed)
    }

    async fn welcomed<S: NorFlash>(
        &mut self,
        _: &mut S,
    ) -> Result<Option<(u32, Configured)>, S::Error> {
        Ok(None)
    }
}

/// Who the device is.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Its name, which is its MQTT client id.
    pub device: DeviceId<'a>,
    /// What stands in front of its topics.
    pub prefix: Prefix<'a>,
    /// The version of its firmware, at most 64 bytes.
    pub firmware: &'a str,
    /// The version of the configuration it works with; 0 for its own.
    pub configuration: u32,
    /// Name and password, if the node wants them.
    pub login: Option<(&'a str, &'a [u8])>,
}

/// Empties an outbox into a node.
pub struct Client<'a, M: RawMutex, S, N: Network, C, V, const CLASSES: usize, const RING: usize> {
    conversation: Conversation<'a, M, S, N, C, V, CLASSES, RING>,
    inbox: Inbox,
}

impl<'a, M, S, N, C, V, const CLASSES: usize, const RING: usize>
    Client<'a, M, S, N, C, V, CLASSES, RING>
where
    M: RawMutex,
    S: NorFlash,
    N: Network,
    C: Clock,
    V: Serve,
{
    /// `random` is a number of the hardware's generator.
    pub fn new(
        shared: &'a Shared<M, S, CLASSES, RING>,
        identity: Identity<'a>,
        outside: (N, C, V),
        manners: Manners,
        random: u32,
    ) -> Self {
        let (network, clock, serve) = outside;
        let conversation = Conversation {
            shared,
            identity,
            line: Line::new(network, clock),
            serve,
            link: Link::new(manners, random),
            random,
        };
        Client {
            conversation,
            inbox: Inbox::new(),
        }
    }

    /// Runs until the flash fails. It may be abandoned at any time: what the node has not acknowledged stays.
    ///
    /// # Errors
    ///
    /// The flash failed; nothing more is promised.
    pub async fn run(&mut self) -> Result<Infallible, S::Error> {
        let Client {
            conversation,
            inbox,
        } = self;
        loop {
            let action = conversation.link.poll(conversation.line.now_ms());
            // Called by its table: within the loop its steps would take the stack of all of them at once.
            let done = {
                let act: Pin<&mut dyn Future<Output = _>> = pin!(conversation.act(action, inbox));
                act.await
            };
            match done {
                Ok(()) => {}
                Err(Stop::Broken) => {
                    conversation.link.lost(conversation.line.now_ms());
                    conversation.hang_up().await?;
                }
                Err(Stop::Flash(error)) => return Err(error),
            }
        }
    }
}
