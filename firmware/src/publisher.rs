//! Empties an outbox into any broker of MQTT 5, as CloudEvents: for brokers that are no node.
//!
//! **This promises less than the [client](crate::client) of a node.** An event leaves the outbox when the broker acknowledges
//! its PUBLISH with the reason 0x00, whatever the broker has done with it by then. With any other reason it stays, 0x10
//! (nobody subscribes) among them, and its stream is sent again after [`Manners::patience_ms`]; so does one that is larger than
//! the broker takes. What a node adds is missing:
//!
//! - once in effect: events come again under the same `id` after a lost acknowledgement, and after a reset up to a page of
//!   each class that was taken before; whoever reads them drops repeats by `source` and `id`;
//! - order behind a refusal: what was sent behind a refused event may have been taken, and comes again behind it;
//! - losses: a range that was dropped shows as a gap in the sequences of the ids, and nowhere else;
//! - the time: it is what [`Shared::set_time`] was told, and an event of an earlier boot has the moment of this one. Without it
//!   there is no `time`; wherever it may be wrong by more than a second, `timequality` is `unsynced`;
//! - commands and configurations.
//!
//! A node takes the same events as those of any client, for `[devices]` or without; its 0x00 means stable storage.

mod flight;
mod message;

use core::convert::Infallible;

use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_storage_async::nor_flash::NorFlash;
use wire::{
    Stream,
    birth::decode_kinds,
    kind::Table,
    topic::{DeviceId, Prefix},
};

use crate::{
    client::{
        Clock, Network, Shared,
        inbox::{Inbox, LONGEST},
        line::{Broken, Line, Woken},
    },
    cloudevent::{CloudEvent, Encoding, MAX_HEAD, MAX_PAYLOAD},
    link::{Action, Link, Manners},
    mqtt::{self, Packet},
    outbox::{AckError, MAX_MESSAGE},
};
use flight::Flight;
use message::Message;

/// Who publishes, where to, and how.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// The device's name, which is its MQTT client id and the end of its events' `source`.
    pub device: DeviceId<'a>,
    /// Events go to the topic `<under>/<device>`.
    pub under: Prefix<'a>,
    /// How they are written.
    pub encoding: Encoding,
    /// Name and password, if the broker wants them.
    pub login: Option<(&'a str, &'a [u8])>,
}

/// Empties an outbox into a broker.
pub struct Publisher<'a, M: RawMutex, S, N: Network, C, const CLASSES: usize, const RING: usize> {
    shared: &'a Shared<M, S, CLASSES, RING>,
    to: Destination<'a>,
    line: Line<N, C>,
    link: Link,
    flight: Flight,
    message: Message,
    /// The largest packet the broker takes.
    maximum_packet: usize,
}

/// Why a step was not done.
enum Stop<E> {
    Broken,
    Flash(E),
}

impl<E> From<Broken> for Stop<E> {
    fn from(Broken: Broken) -> Self {
        Stop::Broken
    }
}

impl<'a, M, S, N, C, const CLASSES: usize, const RING: usize>
    Publisher<'a, M, S, N, C, CLASSES, RING>
where
    M: RawMutex,
    S: NorFlash,
    N: Network,
    C: Clock,
{
    /// `random` is a number of the hardware's generator.
    pub fn new(
        shared: &'a Shared<M, S, CLASSES, RING>,
        to: Destination<'a>,
        (network, clock): (N, C),
        manners: Manners,
        random: u32,
    ) -> Self {
        Publisher {
            shared,
            to,
            line: Line::new(network, clock),
            link: Link::new(manners, random),
            flight: Flight::default(),
            message: Message::NONE,
            maximum_packet: usize::MAX,
        }
    }

    /// Runs until the flash fails. It may be abandoned at any time: what the broker has not acknowledged stays.
    ///
    /// # Errors
    ///
    /// The flash failed; nothing more is promised.
    pub async fn run(&mut self) -> Result<Infallible, S::Error> {
        let mut inbox = Inbox::new();
        loop {
            let action = self.link.poll(self.line.now_ms());
            match self.act(action, &mut inbox).await {
                Ok(()) => {}
                Err(Stop::Broken) => {
                    self.link.lost(self.line.now_ms());
                    self.hang_up().await?;
                }
                Err(Stop::Flash(error)) => return Err(error),
            }
        }
    }

    async fn act(&mut self, action: Action, inbox: &mut Inbox) -> Result<(), Stop<S::Error>> {
        match action {
            Action::Dial => {
                let until_ms = self.link.deadline_ms().unwrap_or(u64::MAX);
                let is_there = self.line.dial(until_ms).await;
                inbox.clear();
                self.link.dialed(self.line.now_ms(), is_there);
            }
            Action::Connect => self.connect().await?,
            Action::Event { id } => self.send(id).await?,
            Action::Ping => self.write(&mqtt::PING).await?,
            // What was sent and is not acknowledged may be sent again on another connection only.
            Action::Rewind => return Err(Stop::Broken),
            Action::Close => self.hang_up().await.map_err(Stop::Flash)?,
            Action::Wait => self.wait(inbox).await?,
            // Nothing is said to a broker but events.
            Action::Subscribe { .. } | Action::Table { .. } | Action::Report { .. } => {}
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), Stop<S::Error>> {
        let connect = mqtt::Connect {
            client_id: self.to.device.as_str(),
            keep_alive_s: self.link.keep_alive_s(),
            will: None,
            login: self.to.login,
            receive_maximum: 1,
            maximum_packet: u32::try_from(LONGEST).unwrap_or(u32::MAX),
        };
        let mut packet = [0; MAX_MESSAGE];
        let packet = connect.encode(&mut packet).map_err(|_| Stop::Broken)?;
        self.write(packet).await
    }

    async fn hang_up(&mut self) -> Result<(), S::Error> {
        self.line.hang_up();
        self.flight.clear();
        self.message.clear();
        self.shared.outbox.lock().await.link_changed(false).await
    }

    /// Sends the next event, if there is one.
    async fn send(&mut self, packet_id: u16) -> Result<(), Stop<S::Error>> {
        let now_ms = self.line.now_ms();
        let mut outbox = self.shared.outbox.lock().await;
        let own = (outbox.incarnation(), outbox.boot());
        if !self.message.find(&mut outbox, &self.flight, now_ms).await? {
            self.link.nothing_to_send(packet_id);
            return Ok(());
        }
        let Some((kind, event)) = self.message.next(own.0) else {
            return Err(Stop::Broken); // one was found
        };
        let mut table = [0; MAX_MESSAGE];
        let table = outbox.table_of(kind, &mut table).await;
        let table = table.map_err(Stop::Flash)?.and_then(first_table);
        drop(outbox);
        let shown = CloudEvent {
            id: event.id,
            device: self.to.device,
            time: self.shared.time_of(&event, own),
            table: table.as_ref(),
            data: event.data,
        };
        let (mut head, mut payload) = ([0; MAX_HEAD], [0; MAX_PAYLOAD]);
        let place = (self.to.under, packet_id);
        let packet = shown.encode(place, self.to.encoding, &mut head, &mut payload);
        let packet = packet.map_err(|_| Stop::Broken)?; // the buffers hold the longest
        let len = packet.head.len().saturating_add(packet.payload.len());
        let id = event.id;
        if len > self.maximum_packet {
            self.link.nothing_to_send(packet_id);
            return self.wait_with(id.stream).await;
        }
        self.flight.push(packet_id, id);
        self.message.left = self.message.left.saturating_add(1);
        self.write(packet.head).await?;
        self.write(packet.payload).await?;
        self.link.sent(now_ms);
        Ok(())
    }

    /// Sends nothing of a stream for a while, and then again what was not taken.
    async fn wait_with(&mut self, stream: Stream) -> Result<(), Stop<S::Error>> {
        let until_ms = self.line.now_ms().saturating_add(self.link.patience_ms());
        self.message.forget(stream);
        self.flight.forget(stream);
        self.shared.outbox.lock().await.stop(stream, until_ms);
        self.link.wake(false);
        Ok(())
    }

    async fn wait(&mut self, inbox: &mut Inbox) -> Result<(), Stop<S::Error>> {
        let outbox_ms = self.shared.outbox.lock().await.deadline_ms();
        let until_ms = self.link.deadline_ms().into_iter().chain(outbox_ms).min();
        let until_ms = until_ms.unwrap_or(u64::MAX);
        match self.line.wait(inbox, &self.shared.wake, until_ms).await? {
            Woken::Bytes => {
                while let Some((packet, len)) = inbox.packet().map_err(|_| Stop::Broken)? {
                    self.follow(packet).await?;
                    inbox.remove(len);
                }
            }
            Woken::Signal => self.link.wake(false),
            Woken::Time => {
                let now_ms = self.line.now_ms();
                let mut outbox = self.shared.outbox.lock().await;
                outbox.commit_due(now_ms).await.map_err(Stop::Flash)?;
                self.link.wake(false);
            }
        }
        Ok(())
    }

    async fn follow(&mut self, packet: Packet<'_>) -> Result<(), Stop<S::Error>> {
        let now_ms = self.line.now_ms();
        // Nothing was subscribed to, so nothing that was heard is of use but these two.
        self.link.handle_packet(now_ms, packet, |_| false);
        match packet {
            Packet::Connack {
                reason: 0,
                maximum_packet,
                ..
            } => {
                self.maximum_packet = usize::try_from(maximum_packet).unwrap_or(usize::MAX);
                self.link.go_live();
                let mut outbox = self.shared.outbox.lock().await;
                outbox.link_changed(true).await.map_err(Stop::Flash)?;
            }
            Packet::Puback { id, reason } => {
                self.link.answered(now_ms);
                self.follow_answer(id, reason).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Forgets what the broker has: what it answered with 0x00, once that is true of all before it in its stream.
    async fn follow_answer(&mut self, packet_id: u16, reason: u8) -> Result<(), Stop<S::Error>> {
        if reason != 0 {
            return match self.flight.stream_of(packet_id) {
                Some(stream) => self.wait_with(stream).await,
                None => Ok(()),
            };
        }
        let Some(stream) = self.flight.note_taken(packet_id) else {
            return Ok(());
        };
        let mut outbox = self.shared.outbox.lock().await;
        while let Some(event) = self.flight.pop_taken(stream) {
            match outbox.ack(event.incarnation, stream, event.mark()).await {
                // A broker has no marks that could be above what was sent.
                Ok(()) | Err(AckError::Reused) => {}
                Err(AckError::Flash(error)) => return Err(Stop::Flash(error)),
            }
        }
        Ok(())
    }

    async fn write(&mut self, packet: &[u8]) -> Result<(), Stop<S::Error>> {
        self.line.write(packet, self.link.patience_ms()).await?;
        Ok(())
    }
}

/// The table in the announcement of a kind.
fn first_table(announcement: &[u8]) -> Option<Table<'_>> {
    decode_kinds(announcement).ok()?.iter().next()
}
