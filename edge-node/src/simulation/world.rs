//! The node, its clients, its sink and its disk, and one step after the other.

use std::collections::BTreeSet;

use fastrand::Rng;
use spool::{Batch, LossReason, Seq, StorageError, storage::simulated::Faults};

use super::{
    device::Device,
    model::{CLIENTS, Counts, Model, SINKS, derived::RULES},
    peer::{self, Peer, TOPICS},
    sink::{Sink, Taste},
    story::tell,
};
use crate::{
    broker::tests::harness::{self, TestNode},
    node::core::Reading,
};

/// A reading the core asked for, and what it gave once it ran.
type Running = (Reading, Option<Result<Batch, StorageError>>);

pub(super) struct World {
    rng: Rng,
    node: Option<TestNode>,
    pub(super) peers: Vec<Peer>,
    device: Device,
    pub(super) model: Model,
    sinks: Vec<Sink>,
    taste: Taste,
    readings: Vec<Running>,
    /// What may be wrong with the disk.
    has_bad_disk: bool,
    /// What the node knows to be committed.
    told: Seq,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        // The log draws salts, which are not to differ between runs.
        fastrand::seed(seed);
        let mut rng = Rng::with_seed(seed);
        let mut limits = harness::limits();
        limits.receive_maximum = peer::IN_FLIGHT;
        let waiting = [3 << 10, 8 << 10, 8 << 20][rng.usize(..3)];
        let is_small = rng.u8(..3) == 0;
        let mut node = TestNode::with_sinks(seed, limits, &SINKS, |options| {
            options.waiting_bytes = waiting;
            if is_small {
                options.bound_bytes = Some(12 * (64 << 10));
                options.segment_bytes = Some(64 << 10);
            }
        });
        let mut model = Model::default();
        model.derivations.are_made = rng.bool();
        if model.derivations.are_made {
            node.set_rules(RULES);
        }
        let payload_bytes = if is_small { 9000 } else { 900 };
        let peer = |index| Peer::new(index, payload_bytes, node.now(), &mut rng);
        let peers = (0..CLIENTS).map(peer).collect();
        let device = Device::new(node.now());
        let taste = Taste::new(&mut rng);
        let has_bad_disk = rng.u8(..4) == 0;
        let start = |index| Sink::start(index, &node, taste, &mut rng);
        let sinks = (0..SINKS.len()).map(start).collect();
        World {
            rng,
            node: Some(node),
            peers,
            device,
            model,
            sinks,
            taste,
            readings: Vec::new(),
            has_bad_disk,
            told: Seq::ZERO,
        }
    }

    pub(super) fn node(&mut self) -> &mut TestNode {
        self.node.as_mut().unwrap()
    }

    pub(super) fn run(&mut self) -> Counts {
        for _ in 0..self.rng.usize(100..1500) {
            self.step();
        }
        tell(|| "drain".to_owned());
        self.drain();
        self.check();
        self.model.counts
    }

    fn step(&mut self) {
        let which = self.rng.usize(..self.peers.len());
        match self.rng.u32(..1100) {
            1000.. => {
                let node = self.node.as_mut().unwrap();
                self.device.step(node, &mut self.model, &mut self.rng);
            }
            0..6 => self.crash(),
            6..8 => self.restart(),
            8..40 => {
                let clean = self.rng.u8(..12) == 0;
                if self.peers[which].link.is_none() || self.rng.u8(..8) == 0 {
                    self.connect(which, clean);
                }
            }
            40..45 => self.unplug(which),
            45..47 => self.say_goodbye(which),
            47..80 => self.peers[which].wish(&mut self.model, &mut self.rng),
            80..300 => self.peers[which].publish(&mut self.model, &mut self.rng),
            300..400 => {
                for _ in 0..self.rng.usize(1..4) {
                    self.send(which, (1, 0));
                }
            }
            400..500 => {
                let late = [0, 0, 1, 3, 30][self.rng.usize(..5)];
                let packets = self.rng.usize(1..12);
                self.send(which, (packets, late));
            }
            500..640 => {
                for _ in 0..self.rng.usize(1..6) {
                    self.receive(which);
                }
            }
            640..730 => drop(self.commit()),
            730..820 => self.tell_commit(),
            820..885 => self.run_reading(),
            885..930 => self.hand_reading(),
            930..945 => drop(self.feed_sinks()),
            945..970 => drop(self.answer_sinks()),
            970..975 => {
                let sink = self.rng.usize(..SINKS.len());
                self.sinks[sink].change(&mut self.rng);
            }
            975..983 => self.housekeep(),
            983..986 => self.node().checkpoint(),
            986..988 => self.trouble_disk(),
            _ => {
                let most = if self.rng.u8(..12) == 0 { 30_000 } else { 2000 };
                let milliseconds = self.rng.u64(1..most);
                self.wait(milliseconds);
            }
        }
        self.look();
    }

    /// Takes what the node asks of its shell.
    fn look(&mut self) {
        let asked = self.node().take_readings();
        let asked = asked.into_iter().map(|one| (one, None));
        self.readings.extend(asked);
    }

    /// The power fails, between two steps or in the middle of what the disk does.
    fn crash(&mut self) {
        if self.rng.bool() {
            self.hurry();
        }
        if self.rng.u8(..4) == 0 {
            // What it covers is in no later record.
            tell(|| "checkpoint".to_owned());
            self.node().checkpoint();
            self.commit();
            self.housekeep();
        }
        tell(|| "crash".to_owned());
        let operation = self.rng.u64(..6);
        let in_the_middle = self.rng.bool();
        if in_the_middle {
            let node = self.node();
            node.storage.crash_at(operation);
            let committed = node.core.spool().commit_once();
            if !committed || operation > 2 {
                node.checkpoint();
                self.housekeep();
            }
        }
        let node = self.take_node();
        self.begin_anew(node.cut());
    }

    /// Clients and node talk, and nothing is committed: whatever is said too early is said now.
    fn hurry(&mut self) {
        for _ in 0..2 {
            for which in 0..self.peers.len() {
                while self.receive(which) {}
                while self.send(which, (1, 0)) {}
            }
            self.run_device();
            self.look();
        }
        for which in 0..self.peers.len() {
            while self.receive(which) {}
        }
    }

    /// The device and the node say what they have to say.
    fn run_device(&mut self) -> bool {
        let node = self.node.as_mut().unwrap();
        let (device, mut moved) = (&mut self.device, false);
        while device.receive(node, &mut self.model) || device.send(node, &mut self.rng) {
            moved = true;
        }
        moved
    }

    /// The node is stopped in good order, and started.
    fn restart(&mut self) {
        tell(|| "restart".to_owned());
        self.heal_disk();
        for _ in 0..8 {
            self.housekeep();
            self.commit();
        }
        let node = self.take_node();
        let spool = node.core.spool();
        let is_whole = spool.committed() == spool.appended();
        self.begin_anew(if is_whole { node.stop() } else { node.cut() });
    }

    /// The node is about to stop.
    fn take_node(&mut self) -> TestNode {
        let node = self.node.take().unwrap();
        for peer in &mut self.peers {
            peer.notice_end(&node, &mut self.model);
        }
        let status = node.core.spool().status();
        let has_lost = |client: usize| {
            let scope = format!("client-{client}");
            let mut ledger = status.ledger.iter();
            ledger.any(|loss| loss.reason == LossReason::SessionEnded && loss.scope == scope)
        };
        let wills = &mut self.model.wills;
        wills.node_stopped(node.now(), status.committed, has_lost);
        node
    }

    fn begin_anew(&mut self, node: TestNode) {
        let now = node.now();
        for peer in &mut self.peers {
            peer.lose_node(&mut self.model, now);
        }
        self.device.lose_node();
        self.readings.clear();
        self.told = Seq::ZERO;
        for (index, sink) in self.sinks.iter_mut().enumerate() {
            let weather = sink.weather();
            *sink = Sink::start(index, &node, self.taste, &mut self.rng);
            sink.stay(weather);
        }
        self.node = Some(node);
        self.heal_disk();
    }

    fn connect(&mut self, which: usize, clean: bool) {
        let hearers = self.hearers(&self.peers[which].will_topic());
        let node = self.node.as_mut().unwrap();
        self.peers[which].connect(node, &mut self.model, clean, &mut self.rng, hearers);
    }

    /// A connection ends: the client's own, or one that it left before.
    fn unplug(&mut self, which: usize) {
        let node = self.node.as_mut().unwrap();
        match self.peers[which].stale.pop() {
            Some(client) => node.hang_up(&client),
            None => self.peers[which].unplug(node, &mut self.model),
        }
    }

    fn say_goodbye(&mut self, which: usize) {
        let node = self.node.as_mut().unwrap();
        self.peers[which].say_goodbye(node, &mut self.model);
    }

    /// The clients that know that they hear this topic.
    fn hearers(&self, topic: &str) -> BTreeSet<usize> {
        (0..self.peers.len())
            .filter(|client| self.peers[*client].holds(topic))
            .collect()
    }

    fn send(&mut self, which: usize, how_much: (usize, usize)) -> bool {
        let hearers: Vec<_> = TOPICS.iter().map(|topic| self.hearers(topic)).collect();
        let hearers = |topic: &str| {
            let place = TOPICS.iter().position(|one| *one == topic);
            hearers[place.expect("a topic of this simulation")].clone()
        };
        let node = self.node.as_mut().unwrap();
        self.peers[which].send(node, &mut self.model, how_much, hearers)
    }

    fn receive(&mut self, which: usize) -> bool {
        let node = self.node.as_mut().unwrap();
        let peer = &mut self.peers[which];
        let is_settled = self.told >= node.core.spool().appended();
        if peer.receive(node, &mut self.model, is_settled) {
            return true;
        }
        if peer.is_shut_out(node) {
            peer.unplug(node, &mut self.model);
            return true;
        }
        false
    }

    /// One step of the committer. False if nothing waited.
    fn commit(&mut self) -> bool {
        let spool = self.node().core.spool();
        let any = spool.commit_once();
        if any {
            let committed = spool.committed();
            tell(|| format!("committed up to {}", committed.0));
            let (spool, now) = (spool.clone(), self.node().now());
            for sink in &mut self.sinks {
                sink.handle_commit(&spool, now);
            }
        }
        any
    }

    /// The node hears of what is committed.
    fn tell_commit(&mut self) {
        self.told = self.node().core.spool().committed();
        self.node().core.handle_commit();
    }

    fn housekeep(&mut self) {
        let now = self.node().now();
        self.node().core.spool().housekeep_once(now);
    }

    fn wait(&mut self, milliseconds: u64) {
        tell(|| format!("{milliseconds} ms pass"));
        let node = self.node.as_mut().unwrap();
        node.wait(milliseconds);
        for sink in &mut self.sinks {
            sink.handle_time(node.core.spool(), node.now());
        }
    }

    fn run_reading(&mut self) {
        if self.readings.is_empty() {
            return;
        }
        let place = self.rng.usize(..self.readings.len());
        let spool = self.node.as_ref().unwrap().core.spool();
        let (reading, found) = &mut self.readings[place];
        if found.is_none() {
            *found = Some(reading.order().run(spool));
        }
    }

    fn hand_reading(&mut self) {
        let done = |(_, found): &Running| found.is_some();
        let Some(place) = self.readings.iter().position(done) else {
            return;
        };
        let (reading, found) = self.readings.remove(place);
        self.node().core.handle_reading(reading, found.unwrap());
    }

    fn feed_sinks(&mut self) -> bool {
        let node = self.node.as_ref().unwrap();
        let (spool, now, model) = (node.core.spool(), node.now(), &mut self.model);
        let mut moved = false;
        for sink in &mut self.sinks {
            moved |= sink.run_read(spool, now, model);
        }
        moved
    }

    fn answer_sinks(&mut self) -> bool {
        let node = self.node.as_ref().unwrap();
        let (spool, now, model) = (node.core.spool(), node.now(), &mut self.model);
        let mut moved = false;
        for sink in &mut self.sinks {
            moved |= sink.answer(spool, now, model, &mut self.rng);
        }
        moved
    }

    /// The disk begins to fail, fills, or mends itself.
    fn trouble_disk(&mut self) {
        // A node that has no name yet does not start without room.
        let is_named = self.node().core.spool().committed() > Seq::ZERO;
        if !self.has_bad_disk || !is_named {
            return;
        }
        let rate = |rng: &mut Rng| [0.0, 0.0, 0.1, 0.5][rng.usize(..4)];
        let rng = &mut self.rng;
        let faults = Faults {
            write: rate(rng),
            sync: rate(rng),
            read: rate(rng),
            directory: rate(rng),
            ..Faults::default()
        };
        let is_full = rng.u8(..3) == 0;
        tell(|| format!("disk: full {is_full}, {faults:?}"));
        let storage = &self.node().storage;
        storage.set_faults(faults);
        storage.set_capacity(if is_full { 1 } else { 1 << 30 });
    }

    fn heal_disk(&mut self) {
        let storage = &self.node().storage;
        storage.set_faults(Faults::default());
        storage.set_capacity(1 << 30);
    }

    /// Everybody connects and does what is to be done, until nothing moves; one may come when the others are done.
    fn drain(&mut self) {
        self.heal_disk();
        self.sinks.iter_mut().for_each(Sink::clear_up);
        let late = self.rng.usize(..2 * self.peers.len());
        if late < self.peers.len() {
            tell(|| format!("{late} comes late"));
            self.unplug(late);
            self.come_to_rest(Some(late), 20);
            let now = self.node().now();
            self.model.check_groups(late, now);
        }
        self.come_to_rest(None, 100);
    }

    /// Goes on until nothing has moved for so many seconds, with all clients but one that is late.
    fn come_to_rest(&mut self, late: Option<usize>, seconds: usize) {
        let mut calm = 0;
        for _ in 0..5000 {
            if self.drain_once(late) {
                calm = 0;
                // Who is turned away comes back later.
                self.wait(100);
                continue;
            }
            // Something may be due later: wills, what the sink was told to send later, what found no room.
            calm += 1;
            let owes_sinks = self.owes_sinks();
            if calm > seconds && !owes_sinks || calm > 1000 {
                return;
            }
            self.wait(1000);
        }
        panic!("the node does not come to rest: {:?}", self.unrest());
    }

    /// Whether a sink has not got everything; it may rest for a minute between two tries.
    fn owes_sinks(&mut self) -> bool {
        let node = self.node();
        let status = |name| node.core.spool().cursor_status(node.sink_of(name));
        let mut statuses = SINKS.iter().map(|(name, _)| status(name));
        statuses.any(|status| status.is_none_or(|status| status.pending_records > 0))
    }

    pub(super) fn unrest(&self) -> Vec<String> {
        let peers = self.peers.iter().filter_map(Peer::unrest);
        peers.chain(self.device.unrest()).collect()
    }

    fn drain_once(&mut self, late: Option<usize>) -> bool {
        let mut moved = false;
        for which in 0..self.peers.len() {
            while !self.peers[which].stale.is_empty() {
                self.unplug(which);
            }
            if self.peers[which].link.is_none() && late != Some(which) {
                self.connect(which, false);
                moved = true;
            }
            while self.send(which, (1, 0)) {
                moved = true;
            }
            while self.receive(which) {
                moved = true;
            }
        }
        moved |= self.device.stay_connected(self.node.as_mut().unwrap());
        moved |= self.run_device();
        self.look();
        while !self.readings.is_empty() {
            moved = true;
            self.run_reading();
            self.hand_reading();
            self.commit();
            self.tell_commit();
            self.look();
        }
        moved |= self.commit();
        self.tell_commit();
        self.look();
        moved |= self.feed_sinks();
        moved |= self.answer_sinks();
        self.housekeep();
        moved || !self.readings.is_empty()
    }
}
