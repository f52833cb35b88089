//! A device that lives through resets, and remembers what it was promised.

use embassy_futures::block_on;
use firmware::{
    Class, Commit, Layout, Outbox, Published, Region, WhenFull,
    outbox::{AckError, OpenError, PublishError},
};
use flash_model::{PowerCut, Random};
use wire::{
    Mark, Stream,
    envelope::Envelope,
    kind::{Field, Kind, Scalar, Shape},
};

use super::{
    flash::{Driver, PAGE},
    node::{Id, Node},
};

pub(crate) const READING: Kind<'static> = Kind {
    event_type: "pump.reading",
    version: 1,
    fields: &[Field {
        name: "n",
        scalar: Scalar::U32,
        shape: Shape::One,
    }],
};
pub(crate) const ALARM: Kind<'static> = Kind {
    event_type: "pump.alarm",
    ..READING
};

pub(crate) type Box = Outbox<Driver, 3, 256>;

pub(crate) fn stream(number: u8) -> Stream {
    Stream::new(number).unwrap()
}

fn region(first: usize, pages: u32) -> Region {
    Region {
        start: (first * PAGE).try_into().unwrap(),
        pages,
    }
}

/// Alarms that are kept, telemetry that drops its oldest, and states that are kept once the link is gone.
pub(crate) fn layout() -> Layout<3> {
    let class = |number, region, when_full, commit| Class {
        stream: stream(number),
        region,
        when_full,
        commit,
    };
    Layout {
        store: region(0, 2),
        classes: [
            class(0, region(2, 3), WhenFull::Refuse, Commit::Always),
            class(1, region(5, 3), WhenFull::DropOldest, Commit::AfterMs(40)),
            class(2, region(8, 4), WhenFull::Refuse, Commit::Offline),
        ],
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) id: Id,
    pub(crate) data: Vec<u8>,
    pub(crate) is_committed: bool,
    pub(crate) may_drop: bool,
}

/// What the device does wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misdeed {
    None,
    /// It forgets what it sent before the node acknowledged it.
    ForgetsWhatItSent,
}

pub(crate) struct Device {
    pub(crate) node: Node,
    pub(crate) said: Vec<Said>,
    pub(crate) misdeed: Misdeed,
    random: Random,
    now_ms: u64,
    counter: u32,
}

impl Device {
    pub(crate) fn new(seed: u64) -> Self {
        Device {
            node: Node::default(),
            said: Vec::new(),
            misdeed: Misdeed::None,
            random: Random::new(seed),
            now_ms: 0,
            counter: 0,
        }
    }

    /// Boots and lives for some steps, or until the power is cut.
    pub(crate) fn live(&mut self, driver: &Driver, steps: u32) -> Result<(), PowerCut> {
        let random = u32::try_from(self.random.below(u64::from(u32::MAX))).unwrap();
        let mut outbox = open(driver, random)?;
        self.now_ms = 0;
        let mut seqs = [0; 3];
        let mut is_online = false;
        for _ in 0..steps {
            self.step(&mut outbox, &mut seqs, &mut is_online)?;
        }
        Ok(())
    }

    fn step(
        &mut self,
        outbox: &mut Box,
        seqs: &mut [u64; 3],
        is_online: &mut bool,
    ) -> Result<(), PowerCut> {
        self.now_ms += self.random.below(20);
        match self.random.below(12) {
            0 => {
                *is_online = !*is_online;
                block_on(outbox.link_changed(*is_online))?;
                if *is_online {
                    self.be_born(outbox)?;
                }
                if !*is_online {
                    self.is_committed(outbox, 2);
                }
            }
            1..=3 if *is_online => self.send(outbox, true)?,
            4 if *is_online => self.send(outbox, false)?,
            5 => {
                block_on(outbox.commit_all())?;
                self.is_committed(outbox, 1);
                self.is_committed(outbox, 2);
            }
            6 => block_on(outbox.commit_due(self.now_ms))?,
            _ => self.publish(outbox, seqs)?,
        }
        Ok(())
    }

    /// Boots and takes so many readings that nobody hears of, or until the power is cut.
    pub(crate) fn live_alone(&mut self, driver: &Driver, readings: u32) -> Result<(), PowerCut> {
        let mut outbox = open(driver, 77)?;
        self.now_ms = 0;
        let mut seqs = [0; 3];
        for taken in 1..=readings {
            self.publish_to(1, &mut outbox, &mut seqs)?;
            if taken % 4 == 0 || taken == readings {
                block_on(outbox.commit_all())?;
                self.is_committed(&outbox, 1);
            }
        }
        Ok(())
    }

    pub(crate) fn publish(
        &mut self,
        outbox: &mut Box,
        seqs: &mut [u64; 3],
    ) -> Result<(), PowerCut> {
        let number = self.random.below(3);
        self.publish_to(number, outbox, seqs)
    }

    fn publish_to(
        &mut self,
        number: u64,
        outbox: &mut Box,
        seqs: &mut [u64; 3],
    ) -> Result<(), PowerCut> {
        let class = usize::try_from(number).unwrap();
        self.counter += 1;
        let mut data = self.counter.to_le_bytes().to_vec();
        data.resize(4 + usize::try_from(self.random.below(24)).unwrap(), 0xff);
        let kind = if class == 0 { ALARM.id() } else { READING.id() };
        let number = u8::try_from(number).unwrap();
        let published = block_on(outbox.publish(stream(number), kind, self.now_ms, &data));
        if published == Err(PublishError::Full) {
            return Ok(());
        }
        seqs[class] += 1;
        let id = (outbox.incarnation(), outbox.boot(), number, seqs[class]);
        self.said.push(Said {
            id,
            data,
            is_committed: published == Ok(Published::Committed),
            may_drop: class == 1,
        });
        match published {
            Err(PublishError::Flash(cut)) => Err(cut),
            published => {
                published.expect("there is such a class, and room for the data");
                Ok(())
            }
        }
    }

    /// What was only in memory of a class is in flash, if the outbox says so.
    fn is_committed(&mut self, outbox: &Box, number: u8) {
        if outbox.uncommitted(stream(number)) > 0 {
            return;
        }
        let life = (outbox.incarnation(), outbox.boot(), number);
        for said in self
            .said
            .iter_mut()
            .filter(|said| (said.id.0, said.id.1, said.id.2) == life)
        {
            said.is_committed = true;
        }
    }

    /// Sends one message; the acknowledgement comes, or is lost.
    fn send(&mut self, outbox: &mut Box, is_acknowledged: bool) -> Result<(), PowerCut> {
        if outbox.is_birth_due() {
            self.be_born(outbox)?;
        }
        let mut message = [0; 512];
        let Some(len) = block_on(outbox.next_message(self.now_ms, &mut message))? else {
            return Ok(());
        };
        if self.misdeed == Misdeed::ForgetsWhatItSent {
            let envelope = Envelope::decode(&message[..len]).unwrap();
            let last = envelope.events(outbox.incarnation()).last().unwrap().id;
            ack(outbox, last.incarnation, last.stream, last.mark())?;
            if !is_acknowledged {
                return Ok(()); // the message is lost with the link
            }
        }
        let (incarnation, stream) = self.node.receive(outbox.incarnation(), &message[..len]);
        if is_acknowledged {
            ack(
                outbox,
                incarnation,
                stream,
                self.node.mark(incarnation, stream),
            )?;
        }
        Ok(())
    }

    fn be_born(&mut self, outbox: &mut Box) -> Result<(), PowerCut> {
        let streams = block_on(outbox.streams())?;
        let life = (outbox.incarnation(), outbox.boot());
        self.node.born(life, &streams, &outbox.dropped());
        for state in streams {
            ack(
                outbox,
                state.incarnation,
                state.stream,
                self.node.mark(state.incarnation, state.stream),
            )?;
        }
        Ok(())
    }

    /// Boots once more with power that stays, and sends all there is.
    pub(crate) fn drain(&mut self, driver: &Driver) {
        let mut outbox = open(driver, 77).expect("the power stays");
        block_on(outbox.link_changed(true)).unwrap();
        self.be_born(&mut outbox).unwrap();
        let mut message = [0; 512];
        while let Some(len) = block_on(outbox.next_message(u64::MAX, &mut message)).unwrap() {
            let (incarnation, stream) = self.node.receive(outbox.incarnation(), &message[..len]);
            ack(
                &mut outbox,
                incarnation,
                stream,
                self.node.mark(incarnation, stream),
            )
            .unwrap();
        }
    }

    /// What was promised and not held.
    pub(crate) fn broken_promises(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut came = std::collections::BTreeMap::new();
        for (id, data) in &self.node.events {
            if came.insert(data.clone(), *id).is_some() {
                broken.push(format!("{data:?} came twice"));
            }
        }
        let mut gone = Vec::new();
        for said in &self.said {
            match came.get(&said.data) {
                Some(id) if *id != said.id => broken.push(format!("{said:?} came as {id:?}")),
                Some(_) => {}
                None if said.is_committed && !said.may_drop => {
                    broken.push(format!("{said:?} is lost"))
                }
                None => gone.push(said),
            }
        }
        broken.extend(self.node.unreported(&gone));
        for number in 0..3 {
            let numbers = self
                .node
                .events
                .iter()
                .filter(|((_, _, stream, _), _)| *stream == number);
            let order: Vec<u32> = numbers
                .map(|(_, data)| u32::from_le_bytes(data[..4].try_into().unwrap()))
                .collect();
            if !order.is_sorted() {
                broken.push(format!("stream {number} is out of order: {order:?}"));
            }
        }
        broken
    }
}

pub(crate) fn open(driver: &Driver, random: u32) -> Result<Box, PowerCut> {
    match block_on(Outbox::open(
        driver.clone(),
        &layout(),
        &[READING, ALARM],
        random,
    )) {
        Ok(outbox) => Ok(outbox),
        Err(OpenError::Flash(cut)) => Err(cut),
        Err(error) => panic!("{error:?}"),
    }
}

fn ack(outbox: &mut Box, incarnation: u32, stream: Stream, mark: Mark) -> Result<(), PowerCut> {
    match block_on(outbox.ack(incarnation, stream, mark)) {
        Ok(()) => Ok(()),
        Err(AckError::Flash(cut)) => Err(cut),
        Err(AckError::Reused) => panic!("the boot counter was used before"),
    }
}
