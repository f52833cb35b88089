//! A broker of MQTT 5 that is no node: it answers what it is told to, and keeps what it took.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use flash_model::Random;

use crate::{
    broker::{Ended, packet, write, yield_once},
    world::{Wire, World, chance},
};

/// An event as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) topic: String,
    /// User properties in binary mode; `content-type` is the property of that name.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) payload: String,
    /// On which connection, counted from 1.
    pub(crate) connection: u32,
}

impl Came {
    pub(crate) fn id(&self) -> &str {
        &self.attributes["id"]
    }
}

/// The reason with which a PUBLISH is answered, if it is.
type Answer = Box<dyn FnMut(&Came) -> Option<u8>>;

pub(crate) struct Foreign {
    world: Rc<World>,
    pub(crate) came: RefCell<Vec<Came>>,
    answer: RefCell<Answer>,
    /// Properties of CONNACK.
    pub(crate) properties: RefCell<Vec<u8>>,
    pub(crate) connections: Cell<u32>,
    /// Once in so many packets the link breaks; 0 for never.
    pub(crate) cuts: Cell<u64>,
    random: RefCell<Random>,
}

impl Foreign {
    pub(crate) fn new(world: &Rc<World>, seed: u64) -> Self {
        Foreign {
            world: world.clone(),
            came: RefCell::default(),
            answer: RefCell::new(Box::new(|_| Some(0))),
            properties: RefCell::default(),
            connections: Cell::new(0),
            cuts: Cell::new(0),
            random: RefCell::new(Random::new(seed)),
        }
    }

    /// From here on a PUBLISH is answered with this reason, or not at all.
    pub(crate) fn answers(&self, answer: impl FnMut(&Came) -> Option<u8> + 'static) {
        *self.answer.borrow_mut() = Box::new(answer);
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
        self.connections.set(self.connections.get() + 1);
        loop {
            let (first, body) = packet(&mut wire).await?;
            if chance(&self.random, self.cuts.get()) {
                return Err(Ended);
            }
            match first >> 4 {
                1 => {
                    let properties = self.properties.borrow().clone();
                    let len = u8::try_from(properties.len()).unwrap();
                    let connack = [&[0x20, 3 + len, 0, 0, len], &properties[..]].concat();
                    write(&mut wire, &connack).await?;
                }
                12 => write(&mut wire, &[0xd0, 0]).await?,
                3 => self.take(&mut wire, &body).await?,
                other => panic!("a packet of kind {other}"),
            }
            if chance(&self.random, self.cuts.get()) {
                return Err(Ended);
            }
        }
    }

    async fn take(&self, wire: &mut Wire, body: &[u8]) -> Result<(), Ended> {
        let (id, came) = self.read(body);
        let answer = (self.answer.borrow_mut())(&came);
        self.came.borrow_mut().push(came);
        match answer {
            Some(0) => write(wire, &[0x40, 2, id[0], id[1]]).await,
            Some(reason) => write(wire, &[0x40, 4, id[0], id[1], reason, 0]).await,
            None => Ok(()),
        }
    }

    fn read(&self, body: &[u8]) -> ([u8; 2], Came) {
        let mut rest = body;
        let topic = string(&mut rest);
        let id = [rest[0], rest[1]];
        rest = &rest[2..];
        let len = varint(&mut rest);
        let (mut properties, payload) = rest.split_at(len);
        let mut attributes = BTreeMap::new();
        while let Some((id, behind)) = properties.split_first() {
            properties = behind;
            let name = match id {
                0x03 => "content-type".to_owned(),
                0x26 => string(&mut properties),
                other => panic!("property {other}"),
            };
            assert!(!attributes.contains_key(&name), "{name} twice");
            attributes.insert(name, string(&mut properties));
        }
        let came = Came {
            topic,
            attributes,
            payload: String::from_utf8(payload.to_vec()).unwrap(),
            connection: self.connections.get(),
        };
        (id, came)
    }

    /// The ids of what came, in their order.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.came
            .borrow()
            .iter()
            .map(|it| it.id().to_owned())
            .collect()
    }
}

fn string(rest: &mut &[u8]) -> String {
    let len = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
    let text = std::str::from_utf8(&rest[2..2 + len]).unwrap();
    *rest = &rest[2 + len..];
    text.to_owned()
}

fn varint(rest: &mut &[u8]) -> usize {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = rest[0];
        *rest = &rest[1..];
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}
