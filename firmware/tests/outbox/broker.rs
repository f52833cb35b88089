//! The node behind MQTT: it keeps what arrives, and its link is bad.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use embedded_io_async::{Read, Write};
use flash_model::Random;
use wire::{
    answer::{
        BirthReason, RefusalReason, Refused, Stored, Welcome, encode_ack, encode_birth_wanted,
        encode_refused, encode_welcome,
    },
    birth::Presence,
    command::{Command, CommandId, Configured, Outcome},
    envelope::Envelope,
};

use crate::{
    node::Node,
    world::{Wire, World, chance},
};

/// How often things go wrong: once in so many packets; 0 for never.
#[derive(Clone, Copy, Default)]
pub(crate) struct Trouble {
    pub(crate) cuts: u64,
    pub(crate) lost_answers: u64,
    pub(crate) forgotten_births: u64,
}

pub(crate) struct Broker {
    world: Rc<World>,
    pub(crate) node: RefCell<Node>,
    pub(crate) results: RefCell<Vec<(Outcome, Vec<u8>)>>,
    pub(crate) kinds: RefCell<usize>,
    /// Sent to the device with its welcome.
    pub(crate) command: Cell<Option<(CommandId, &'static str)>>,
    pub(crate) configuration: Cell<Option<(u32, &'static str)>>,
    /// What the device said of configurations: in births, and what became of them.
    pub(crate) works_with: RefCell<Vec<u32>>,
    pub(crate) configured: RefCell<Vec<(u32, Configured)>>,
    pub(crate) trouble: Cell<Trouble>,
    /// Has no room for events of this stream, and is to be asked again after so many milliseconds.
    pub(crate) no_room_for: Cell<Option<(u8, u32)>>,
    /// How often it had none.
    pub(crate) refusals: Cell<u32>,
    pub(crate) cuts: Cell<u32>,
    random: RefCell<Random>,
}

/// Something ended the connection.
pub(crate) struct Ended;

impl Broker {
    pub(crate) fn new(world: &Rc<World>, seed: u64) -> Self {
        Broker {
            world: world.clone(),
            node: RefCell::default(),
            results: RefCell::default(),
            kinds: RefCell::default(),
            command: Cell::new(None),
            configuration: Cell::new(None),
            works_with: RefCell::default(),
            configured: RefCell::default(),
            trouble: Cell::default(),
            no_room_for: Cell::default(),
            refusals: Cell::default(),
            cuts: Cell::new(0),
            random: RefCell::new(Random::new(seed)),
        }
    }

    /// Serves one connection after the other.
    pub(crate) async fn serve(&self) {
        loop {
            let dialled = self.world.dialled.borrow_mut().pop_front();
            match dialled {
                Some(wire) => drop(self.serve_one(wire).await),
                None => yield_once().await,
            }
        }
    }

    async fn serve_one(&self, mut wire: Wire) -> Result<(), Ended> {
        let mut born = None;
        loop {
            let (first, body) = packet(&mut wire).await?;
            if chance(&self.random, self.trouble.get().cuts) {
                self.cuts.set(self.cuts.get() + 1);
                return Err(Ended);
            }
            match first >> 4 {
                1 => write(&mut wire, &[0x20, 3, 0, 0, 0]).await?,
                8 => write(&mut wire, &[0x90, 5, body[0], body[1], 0, 0, 1]).await?,
                12 => write(&mut wire, &[0xd0, 0]).await?,
                3 => self.publish(&mut wire, &body, &mut born).await?,
                _ => {}
            }
            if chance(&self.random, self.trouble.get().cuts) {
                self.cuts.set(self.cuts.get() + 1);
                return Err(Ended);
            }
        }
    }

    async fn publish(
        &self,
        wire: &mut Wire,
        body: &[u8],
        born: &mut Option<u32>,
    ) -> Result<(), Ended> {
        let topic_len = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let topic = std::str::from_utf8(&body[2..2 + topic_len]).unwrap();
        let (id, payload) = (&body[2 + topic_len..4 + topic_len], &body[5 + topic_len..]);
        let mut buffer = [0; 256];
        if let Some(refused) = self.refused(topic, payload) {
            self.refusals.set(self.refusals.get() + 1);
            let refused = encode_refused(&refused, &mut buffer).unwrap();
            self.answer(wire, "a/pump-7", refused).await?;
            return write(wire, &[0x40, 4, id[0], id[1], 0x97, 0]).await;
        }
        write(wire, &[0x40, 2, id[0], id[1]]).await?;
        match topic {
            "b/pump-7" => self.presence(wire, payload, born).await,
            "d/pump-7" => {
                if chance(&self.random, self.trouble.get().forgotten_births) {
                    *born = None;
                }
                let Some(born) = *born else {
                    let wanted = encode_birth_wanted(BirthReason::Missing, &mut buffer).unwrap();
                    return self.answer(wire, "a/pump-7", wanted).await;
                };
                let (incarnation, stream) = self.node.borrow_mut().receive(born, payload);
                let mark = self.node.borrow().mark(incarnation, stream);
                let ack = encode_ack(
                    &[Stored {
                        incarnation,
                        stream,
                        mark,
                    }],
                    &mut buffer,
                )
                .unwrap();
                if chance(&self.random, self.trouble.get().lost_answers) {
                    return Ok(());
                }
                self.answer(wire, "a/pump-7", ack).await
            }
            other => panic!("{other}"),
        }
    }

    fn refused(&self, topic: &str, payload: &[u8]) -> Option<Refused> {
        let (stream, after_ms) = self.no_room_for.get()?;
        let is_data = topic.starts_with("d/");
        let head = is_data.then(|| Envelope::decode(payload).unwrap().head())?;
        (head.stream.number() == stream).then_some(Refused {
            incarnation: head.incarnation.unwrap_or(5),
            stream: head.stream,
            mark: head.mark,
            reason: RefusalReason::NoRoom,
            after_ms,
        })
    }

    async fn presence(
        &self,
        wire: &mut Wire,
        payload: &[u8],
        born: &mut Option<u32>,
    ) -> Result<(), Ended> {
        let mut buffer = [0; 256];
        match Presence::decode(payload).unwrap() {
            Presence::Kinds(kinds) => *self.kinds.borrow_mut() += kinds.len(),
            Presence::Birth(birth) => {
                let announced = self.kinds.take();
                assert!(announced >= usize::from(birth.device.kinds));
                *born = Some(birth.device.incarnation);
                self.works_with
                    .borrow_mut()
                    .push(birth.device.configuration);
                let (streams, dropped): (Vec<_>, Vec<_>) = (
                    birth.streams.iter().collect(),
                    birth.dropped.iter().collect(),
                );
                let life = (birth.device.incarnation, birth.device.boot);
                self.node.borrow_mut().born(life, &streams, &dropped);
                let stored = streams.iter().map(|state| Stored {
                    incarnation: state.incarnation,
                    stream: state.stream,
                    mark: self.node.borrow().mark(state.incarnation, state.stream),
                });
                let stored: Vec<_> = stored.collect();
                let welcome = Welcome {
                    version: 1,
                    time_ms: Some(1_795_000_000_000),
                    configuration: 0,
                };
                let welcome = encode_welcome(&welcome, &stored, &mut buffer).unwrap();
                self.answer(wire, "a/pump-7", welcome).await?;
                if let Some((id, name)) = self.command.get() {
                    let run = Command::Run {
                        id,
                        name,
                        data: b"now",
                    };
                    let run = run.encode(&mut buffer).unwrap();
                    self.answer(wire, "c/pump-7", run).await?;
                }
                if let Some((version, data)) = self.configuration.get() {
                    let data = data.as_bytes();
                    let configure = Command::Configure { version, data };
                    let configure = configure.encode(&mut buffer).unwrap();
                    self.answer(wire, "c/pump-7", configure).await?;
                }
            }
            Presence::Result { outcome, data, .. } => {
                self.results.borrow_mut().push((outcome, data.to_vec()));
            }
            Presence::Configured {
                version,
                configured,
            } => self.configured.borrow_mut().push((version, configured)),
            Presence::Offline { .. } | Presence::Report { .. } => {}
        }
        Ok(())
    }

    async fn answer(&self, wire: &mut Wire, topic: &str, payload: &[u8]) -> Result<(), Ended> {
        write(wire, &publish_of(topic, payload)).await
    }
}

/// A PUBLISH at QoS 0 without properties.
pub(crate) fn publish_of(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![
        0x30,
        u8::try_from(3 + topic.len() + payload.len()).unwrap(),
        0,
    ];
    packet.push(u8::try_from(topic.len()).unwrap());
    packet.extend(topic.bytes());
    packet.push(0);
    packet.extend(payload);
    packet
}

pub(crate) async fn yield_once() {
    let mut is_second = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut is_second, true) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

pub(crate) async fn write(wire: &mut Wire, bytes: &[u8]) -> Result<(), Ended> {
    wire.write_all(bytes).await.map_err(|_| Ended)
}

pub(crate) async fn packet(wire: &mut Wire) -> Result<(u8, Vec<u8>), Ended> {
    let mut byte = [0];
    wire.read_exact(&mut byte).await.map_err(|_| Ended)?;
    let first = byte[0];
    let (mut len, mut shift) = (0, 0);
    loop {
        wire.read_exact(&mut byte).await.map_err(|_| Ended)?;
        len |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] < 0x80 {
            break;
        }
    }
    let mut body = vec![0; len];
    wire.read_exact(&mut body).await.map_err(|_| Ended)?;
    Ok((first, body))
}
