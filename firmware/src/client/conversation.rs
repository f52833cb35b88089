use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_storage_async::nor_flash::NorFlash;
use wire::{
    List, Versions,
    answer::Stored,
    birth::{Device, StreamState, encode_birth, encode_offline, encode_report},
    command::Command,
    topic::{Channel, Topic},
};

use super::{
    Clock, Identity, Network, Serve, Shared,
    inbox::{Inbox, LONGEST},
    line::{Broken, Line, Woken},
    orders::{Ended, MOST_ANSWERED},
};
use crate::{
    link::{Action, Heard, Link},
    mqtt::{self, Packet},
    outbox::{AckError, MAX_MESSAGE, OpenError, Outbox},
};

/// The longest packet the device sends: a message, its topic and the packet's own bytes.
const SAID: usize = MAX_MESSAGE + Topic::MAX_LEN + 16;

/// Does what the link decides: all of a client but the bytes that came, from which packets are borrowed meanwhile.
pub(super) struct Conversation<
    'a,
    M: RawMutex,
    S,
    N: Network,
    C,
    V,
    const CLASSES: usize,
    const RING: usize,
> {
    pub(super) shared: &'a Shared<M, S, CLASSES, RING>,
    pub(super) identity: Identity<'a>,
    pub(super) line: Line<N, C>,
    pub(super) serve: V,
    pub(super) link: Link,
    pub(super) random: u32,
}

/// Why an action was not done.
pub(super) enum Stop<E> {
    /// The connection broke, or what came over it is no MQTT.
    Broken,
    /// The flash failed.
    Flash(E),
}

impl<E> From<Broken> for Stop<E> {
    fn from(Broken: Broken) -> Self {
        Stop::Broken
    }
}

impl<E> Stop<E> {
    pub(super) fn flash(error: E) -> Self {
        Stop::Flash(error)
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
    pub(super) async fn act(
        &mut self,
        action: Action,
        inbox: &mut Inbox,
    ) -> Result<(), Stop<S::Error>> {
        match action {
            Action::Dial => {
                let until_ms = self.link.deadline_ms().unwrap_or(u64::MAX);
                let is_there = self.line.dial(until_ms).await;
                inbox.clear();
                self.link.dialed(self.line.now_ms(), is_there);
            }
            Action::Connect => self.connect().await?,
            Action::Subscribe { id } => self.subscribe(id).await?,
            Action::Table { .. } | Action::Event { .. } | Action::Report { .. } => {
                self.say(action).await?;
            }
            Action::Rewind => {
                let mut outbox = self.shared.outbox.lock().await;
                outbox.link_changed(true).await.map_err(Stop::flash)?;
            }
            Action::Ping => self.write(&mqtt::PING).await?,
            Action::Close => return Err(Stop::Broken),
            Action::Wait => self.wait(inbox).await?,
        }
        Ok(())
    }

    pub(super) async fn hang_up(&mut self) -> Result<(), S::Error> {
        self.line.hang_up();
        self.shared.outbox.lock().await.link_changed(false).await
    }

    async fn connect(&mut self) -> Result<(), Stop<S::Error>> {
        let outbox = self.shared.outbox.lock().await;
        let (mut will, mut topic, mut packet) = ([0; 16], [0; Topic::MAX_LEN], [0; SAID]);
        let will = encode_offline(outbox.incarnation(), outbox.boot(), &mut will)
            .map_err(|_| Stop::Broken)?;
        drop(outbox);
        let connect = mqtt::Connect {
            client_id: self.identity.device.as_str(),
            keep_alive_s: self.link.keep_alive_s(),
            will: Some((self.topic(Channel::Birth, &mut topic)?, will)),
            login: self.identity.login,
            receive_maximum: 1,
            maximum_packet: u32::try_from(LONGEST).unwrap_or(u32::MAX),
        };
        let packet = connect.encode(&mut packet).map_err(|_| Stop::Broken)?;
        Ok(self.write(packet).await?)
    }

    async fn subscribe(&mut self, id: u16) -> Result<(), Stop<S::Error>> {
        let (mut answers, mut commands, mut packet) =
            ([0; Topic::MAX_LEN], [0; Topic::MAX_LEN], [0; SAID]);
        let filters = [
            (self.topic(Channel::Answer, &mut answers)?, 0),
            (self.topic(Channel::Command, &mut commands)?, 1),
        ];
        let packet = mqtt::encode_subscribe(id, &filters, &mut packet).map_err(|_| Stop::Broken)?;
        Ok(self.write(packet).await?)
    }

    /// Sends what the action asks for, if there is such a message.
    async fn say(&mut self, action: Action) -> Result<(), Stop<S::Error>> {
        let mut payload = [0; MAX_MESSAGE];
        let now_ms = self.line.now_ms();
        let mut outbox = self.shared.outbox.lock().await;
        let (channel, id, len) = match action {
            Action::Table { index, id } => {
                let table = outbox.table(index, &mut payload).await;
                let table = table.map_err(Stop::flash)?.map(<[u8]>::len);
                self.link.announced(now_ms, table.is_none());
                let len = match table {
                    Some(len) => len,
                    None => {
                        let streams = outbox.streams().await.map_err(Stop::flash)?;
                        birth(&self.identity, now_ms, &outbox, &streams, &mut payload)
                            .ok_or(Stop::Broken)?
                    }
                };
                (Channel::Birth, id, len)
            }
            Action::Report { id } => {
                let report = encode_report(now_ms, &outbox.losses(), &mut payload);
                let len = report.map_err(|_| Stop::Broken)?.len();
                (Channel::Birth, id, len)
            }
            Action::Event { id } if outbox.is_birth_due() => {
                self.link.announce_anew(now_ms, id);
                return Ok(());
            }
            Action::Event { id } => {
                let message = outbox.next_message(now_ms, &mut payload).await;
                let Some(len) = message.map_err(Stop::flash)? else {
                    self.link.nothing_to_send(id);
                    return Ok(());
                };
                self.link.sent(now_ms);
                (Channel::Data, id, len)
            }
            _ => return Ok(()),
        };
        drop(outbox);
        self.publish(channel, id, payload.get(..len).unwrap_or_default())
            .await
    }

    /// Waits for bytes, for an event, or for the next deadline.
    async fn wait(&mut self, inbox: &mut Inbox) -> Result<(), Stop<S::Error>> {
        let outbox_ms = self.shared.outbox.lock().await.deadline_ms();
        let until_ms = self
            .link
            .deadline_ms()
            .into_iter()
            .chain(outbox_ms)
            .min()
            .unwrap_or(u64::MAX);
        match self.line.wait(inbox, &self.shared.wake, until_ms).await? {
            Woken::Bytes => self.hear(inbox).await?,
            Woken::Signal => self.link.wake(false),
            Woken::Time => {
                let now_ms = self.line.now_ms();
                let mut outbox = self.shared.outbox.lock().await;
                outbox.commit_due(now_ms).await.map_err(Stop::flash)?;
                self.link.wake(false);
            }
        }
        Ok(())
    }

    /// Follows every packet that is whole.
    async fn hear(&mut self, inbox: &mut Inbox) -> Result<(), Stop<S::Error>> {
        while let Some((packet, len)) = inbox.packet().map_err(|_| Stop::Broken)? {
            self.follow(packet).await?;
            inbox.remove(len);
        }
        Ok(())
    }

    async fn follow(&mut self, packet: Packet<'_>) -> Result<(), Stop<S::Error>> {
        let now_ms = self.line.now_ms();
        let heard = {
            let mut topic = [0; Topic::MAX_LEN];
            let answers = self.topic(Channel::Answer, &mut topic)?;
            let is_answer = |topic: &str| topic == answers;
            self.link.handle_packet(now_ms, packet, is_answer)
        };
        let mut outbox = self.shared.outbox.lock().await;
        let mut answer = [0; MOST_ANSWERED];
        let mut ended = None;
        match heard {
            Heard::Nothing => {}
            Heard::Stored(list) => {
                let lost = outbox.lost();
                Self::ack(&mut outbox, &mut self.random, list).await?;
                self.link.wake(outbox.lost() > lost);
            }
            Heard::Welcome(time_ms, list) => {
                Self::ack(&mut outbox, &mut self.random, list).await?;
                let told = time_ms.map(|time_ms| (time_ms, now_ms));
                self.shared.time.lock(|time| time.set(told));
                outbox.link_changed(true).await.map_err(Stop::flash)?;
                self.link.wake(true);
                let tried = self.serve.welcomed(outbox.flash()).await;
                let tried = tried.map_err(Stop::flash)?;
                ended =
                    tried.map(|(version, configured)| Ended::Configuration(version, configured));
            }
            Heard::Stopped(stream, until_ms) => outbox.stop(stream, until_ms),
            Heard::Refused(stream) => {
                outbox.note_refused(stream);
                self.link.wake(true);
            }
            Heard::Command(payload, id) => {
                drop(outbox);
                if let Some(id) = id {
                    let mut packet = [0; 16];
                    let packet = mqtt::encode_puback(id, &mut packet).map_err(|_| Stop::Broken)?;
                    self.write(packet).await?;
                }
                if let Ok(command) = Command::decode(payload) {
                    let followed = self.serve.follow(self.shared, command, &mut answer).await;
                    ended = Some(followed.map_err(Stop::flash)?);
                }
                outbox = self.shared.outbox.lock().await;
            }
            Heard::Answered => self.link.wake(false),
        }
        drop(outbox);
        let Some(ended) = ended else { return Ok(()) };
        let mut message = [0; MAX_MESSAGE];
        let message = ended.encode(&answer, &mut message);
        let id = self.link.take_free_id();
        self.publish(Channel::Birth, id, message.map_err(|_| Stop::Broken)?)
            .await
    }

    async fn ack(
        outbox: &mut Outbox<S, CLASSES, RING>,
        random: &mut u32,
        list: List<'_, Stored>,
    ) -> Result<(), Stop<S::Error>> {
        for stored in list.iter() {
            match outbox
                .ack(stored.incarnation, stored.stream, stored.mark)
                .await
            {
                Ok(()) => {}
                Err(AckError::Flash(error)) => return Err(Stop::Flash(error)),
                Err(AckError::Reused) => {
                    *random = random.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
                    let begun = outbox.begin_incarnation(*random).await;
                    // The node learns of it with the birth of the next connection.
                    return Err(match begun {
                        Err(OpenError::Flash(error)) => Stop::Flash(error),
                        _ => Stop::Broken,
                    });
                }
            }
        }
        Ok(())
    }

    pub(super) async fn publish(
        &mut self,
        channel: Channel,
        id: u16,
        payload: &[u8],
    ) -> Result<(), Stop<S::Error>> {
        let (mut topic, mut packet) = ([0; Topic::MAX_LEN], [0; SAID]);
        let topic = self.topic(channel, &mut topic)?;
        let packet =
            mqtt::encode_publish(topic, id, payload, &mut packet).map_err(|_| Stop::Broken)?;
        Ok(self.write(packet).await?)
    }

    pub(super) fn write(&mut self, packet: &[u8]) -> impl Future<Output = Result<(), Broken>> {
        self.line.write(packet, self.link.patience_ms())
    }

    fn topic<'b>(&self, channel: Channel, into: &'b mut [u8]) -> Result<&'b str, Stop<S::Error>> {
        let Identity { prefix, device, .. } = self.identity;
        Topic {
            prefix,
            channel,
            device,
        }
        .write(into)
        .map_err(|_| Stop::Broken)
    }
}

/// Writes a birth: its length.
fn birth<S: NorFlash, const CLASSES: usize, const RING: usize>(
    identity: &Identity<'_>,
    uptime_ms: u64,
    outbox: &Outbox<S, CLASSES, RING>,
    streams: &[StreamState],
    into: &mut [u8],
) -> Option<usize> {
    let device = Device {
        versions: Versions::OURS,
        incarnation: outbox.incarnation(),
        boot: outbox.boot(),
        uptime_ms,
        firmware: identity.firmware,
        configuration: identity.configuration,
        kinds: u8::try_from(outbox.tables()).unwrap_or(u8::MAX),
    };
    let mut dropped = outbox.dropped();
    loop {
        if let Ok(birth) = encode_birth(&device, streams, &dropped, &[], into) {
            return Some(birth.len());
        }
        // Ranges that find no room are announced as jumps by the streams' oldest events.
        dropped.pop()?;
    }
}
