//! Commands to devices: each waits for its device, is sent until the device says how it ended, and ends by that or by its time.
//!
//! ```text
//!  Waiting ──▶ Sent ──▶ Ended      the device said how
//!     └────┬────┘ └──▶ Expired     it did not in time; after Sent it may have run
//!                         └──▶ EndedLate   it said how after all
//! ```
//!
//! A device runs the commands of one origin in the order of their numbers and none twice ([`wire::command::CommandId`]). So one
//! at a time is under way to a device, and none after a later one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spool::NodeTime;
use wire::command::Outcome;

use super::{Asker, Askers};

/// Commands that may wait for one device.
pub(crate) const MOST_OPEN: usize = 64;
/// What one costs beside its name, device and data: itself and its place in the map.
const COMMAND_BYTES: usize = 192;

/// All commands that are kept, by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commands {
    /// The last number given; none is given twice.
    last: u64,
    all: BTreeMap<u64, Command>,
    /// In a checkpoint behind what there was before them.
    #[serde(skip)]
    askers: Askers,
}

/// Something a device is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Which device.
    pub device: String,
    /// What to do.
    pub name: String,
    /// With what; dropped once it is over.
    pub data: Vec<u8>,
    /// When it was ordered.
    pub at: NodeTime,
    /// When it is given up.
    pub expires: NodeTime,
    /// How far it is.
    pub state: CommandState,
}

/// How far a command is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandState {
    /// It was not sent.
    Waiting,
    /// It was sent, or is about to be: it may have run.
    Sent,
    /// Its time was over before the device said how it ended.
    Expired {
        /// Whether it may have run.
        sent: bool,
    },
    /// It is over.
    Ended {
        /// How.
        outcome: CommandOutcome,
        /// What the device said to it, at most 1024 bytes.
        data: Vec<u8>,
    },
    /// It is over; its time was before the device said so.
    EndedLate {
        /// How.
        outcome: CommandOutcome,
        /// What the device said to it, at most 1024 bytes.
        data: Vec<u8>,
    },
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandOutcome {
    /// It was run, and did what it was to do.
    Done,
    /// It was run, and failed; the data says why.
    Failed,
    /// The device has no command of this name.
    Unknown,
    /// Its data is not what the command takes; it was not run.
    Malformed,
    /// It was run before; the device has not kept how it ended.
    Forgotten,
    /// It was begun, and the device stopped before it could keep that it ended: it may have taken effect.
    Interrupted,
    /// It is larger than what the device takes; it was not sent.
    TooLarge,
}

impl CommandOutcome {
    /// As JSON and tables call it.
    pub fn name(self) -> &'static str {
        match self {
            CommandOutcome::Done => "done",
            CommandOutcome::Failed => "failed",
            CommandOutcome::Unknown => "unknown",
            CommandOutcome::Malformed => "malformed",
            CommandOutcome::Forgotten => "forgotten",
            CommandOutcome::Interrupted => "interrupted",
            CommandOutcome::TooLarge => "too-large",
        }
    }
}

impl From<Outcome> for CommandOutcome {
    fn from(outcome: Outcome) -> CommandOutcome {
        match outcome {
            Outcome::Done => CommandOutcome::Done,
            Outcome::Failed => CommandOutcome::Failed,
            Outcome::Unknown => CommandOutcome::Unknown,
            Outcome::Malformed => CommandOutcome::Malformed,
            Outcome::Forgotten => CommandOutcome::Forgotten,
            Outcome::Interrupted => CommandOutcome::Interrupted,
        }
    }
}

/// One step of a command, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandStep {
    /// It was ordered; these that are over made room for it.
    Ordered {
        /// What.
        command: Command,
        /// Their numbers.
        gone: Vec<u64>,
    },
    /// It goes out.
    Sent,
    /// The device said how it ended, or it cannot be sent.
    Ended {
        /// How.
        outcome: CommandOutcome,
        /// What the device said to it.
        data: Vec<u8>,
    },
    /// Its time is over.
    Expired,
    /// It was ordered, as [`CommandStep::Ordered`] says, by somebody who may ask for it again.
    Asked {
        /// What.
        command: Command,
        /// Their numbers.
        gone: Vec<u64>,
        /// By whom.
        asker: Asker,
    },
    /// The event that asked for it has its reply.
    Answered,
}

impl Command {
    /// Whether it is still to be run, as far as the node knows.
    pub fn is_open(&self) -> bool {
        matches!(self.state, CommandState::Waiting | CommandState::Sent)
    }

    /// Whether the device may still say how it ended.
    pub fn may_end(&self) -> bool {
        matches!(
            self.state,
            CommandState::Sent | CommandState::Expired { sent: true }
        )
    }

    /// Memory it takes.
    pub fn bytes(&self) -> usize {
        let said = match &self.state {
            CommandState::Ended { data, .. } | CommandState::EndedLate { data, .. } => data.len(),
            _ => 0,
        };
        COMMAND_BYTES + self.device.len() + self.name.len() + self.data.len() + said
    }
}

impl Commands {
    /// The one of this number.
    pub fn get(&self, seq: u64) -> Option<&Command> {
        self.all.get(&seq)
    }

    /// All of them, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Command)> {
        self.all.iter().map(|(seq, command)| (*seq, command))
    }

    /// Those of a device, by number.
    pub fn of<'a>(&'a self, device: &'a str) -> impl Iterator<Item = (u64, &'a Command)> {
        self.iter().filter(move |(_, it)| it.device == device)
    }

    /// The next number.
    pub(crate) fn next(&self) -> u64 {
        self.last.saturating_add(1)
    }

    /// The first of a device that is to be run.
    pub(crate) fn first_open(&self, device: &str) -> Option<(u64, &Command)> {
        let is_due = |it: &Command| it.device == device && it.is_open();
        self.iter().find(|(_, it)| is_due(it))
    }

    /// What this one asked a device for already.
    pub(crate) fn asked(&self, device: &str, asker: &Asker) -> Option<u64> {
        let mut asked = self.askers.asked(asker);
        asked.find(|seq| self.get(*seq).is_some_and(|it| it.device == device))
    }

    /// The first that is over and whose event has no reply: its number and that event's id.
    pub(crate) fn first_unanswered(&self) -> Option<(u64, &Command, &str)> {
        let (seq, event) = self.askers.first_unanswered()?;
        Some((seq, self.get(seq)?, event))
    }

    /// Who asked for them, for a checkpoint.
    pub(crate) fn askers(&self) -> &Askers {
        &self.askers
    }

    /// Takes them back from a checkpoint.
    pub(crate) fn restore_askers(&mut self, askers: Askers) {
        self.askers = askers;
    }

    /// Memory all of them take.
    pub(crate) fn bytes(&self) -> usize {
        let commands: usize = self.all.values().map(Command::bytes).sum();
        commands + self.askers.bytes()
    }

    /// Those that are over and have to go, from the oldest on, for `wanted` bytes of `bound`; `None` where all would not do.
    pub(crate) fn room_for(&self, wanted: usize, bound: usize) -> Option<Vec<u64>> {
        let mut bytes = self.bytes() + wanted;
        let mut gone = Vec::new();
        let is_over = |(seq, it): &(u64, &Command)| !it.is_open() && !self.askers.waits(*seq);
        let over = self.iter().filter(is_over);
        for (seq, command) in over {
            if bytes <= bound {
                break;
            }
            bytes -= command.bytes();
            gone.push(seq);
        }
        (bytes <= bound).then_some(gone)
    }

    /// Folds that these made room.
    pub(crate) fn drop_all(&mut self, gone: &[u64]) {
        for seq in gone {
            self.all.remove(seq);
            self.askers.forget(*seq);
        }
    }

    /// Folds a step of the command of this number.
    pub(crate) fn apply(&mut self, seq: u64, step: CommandStep) {
        let step = match step {
            CommandStep::Ordered { command, gone } => return self.insert(seq, command, &gone),
            CommandStep::Asked {
                command,
                gone,
                asker,
            } => {
                self.insert(seq, command, &gone);
                return self.askers.insert(seq, asker);
            }
            CommandStep::Answered => return self.askers.answer(seq),
            step => step,
        };
        let Some(command) = self.all.get_mut(&seq) else {
            return; // its device was removed since
        };
        let sent = command.state == CommandState::Sent;
        command.state = match step {
            CommandStep::Ended { outcome, data } if command.is_open() => {
                CommandState::Ended { outcome, data }
            }
            CommandStep::Ended { outcome, data } => CommandState::EndedLate { outcome, data },
            CommandStep::Expired => CommandState::Expired { sent },
            _ => CommandState::Sent,
        };
        if !command.is_open() {
            command.data = Vec::new();
            self.askers.end(seq);
        }
    }

    fn insert(&mut self, seq: u64, command: Command, gone: &[u64]) {
        self.drop_all(gone);
        self.last = self.last.max(seq);
        self.all.insert(seq, command);
    }

    /// Folds the removal of a device.
    pub(crate) fn forget(&mut self, device: &str) {
        self.all.retain(|_, command| command.device != device);
        let all = &self.all;
        self.askers.retain(|seq| all.contains_key(&seq));
    }
}
