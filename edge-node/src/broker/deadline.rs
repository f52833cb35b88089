//! What is due at a time.

use spool::NodeTime;

use super::{Broker, KnownSink, action::Reader, connection::ConnectionId, journal::Journal};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    KeepAlive(ConnectionId),
    Will(String),
    SessionEnd(String),
    Retained,
    EmptyGroups,
    ReadAgain(Reader),
    MissingSink(String, KnownSink),
    TellDevice(ConnectionId),
    CommandEnd(u64),
    SendDown(String),
}

impl Broker {
    /// When `handle_deadline` wants to be called.
    pub fn next_deadline(&self) -> Option<NodeTime> {
        let timer = self.timers.next();
        timer.into_iter().chain(self.next_closing()).min()
    }

    /// Does what is due.
    pub fn handle_deadline(&mut self, journal: &mut Journal<'_>) {
        self.close_due_keys(journal);
        while let Some(timer) = self.timers.take_due(journal.now) {
            match timer {
                Timer::KeepAlive(id) => self.check_silence(journal, id),
                Timer::Will(client) => self.will_is_due(journal, &client),
                Timer::SessionEnd(client) => self.session_is_due(journal, &client),
                Timer::ReadAgain(reader) => self.read_again(reader),
                Timer::Retained => self.expire_retained(journal),
                Timer::EmptyGroups => self.remove_empty_groups(journal),
                Timer::TellDevice(id) => self.tell_device(id, journal.now),
                Timer::CommandEnd(command) => self.command_is_due(journal, command),
                Timer::SendDown(device) => self.send_next_command(journal, &device),
                Timer::MissingSink(name, known) => self.handle_missing_sink(journal, &name, known),
            }
        }
    }
}
