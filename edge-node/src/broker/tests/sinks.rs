//! The cursors of a sink that left the configuration.

use std::sync::Arc;

use filters::{Event, TopicFilter};
use spool::{
    LossReason, NodeTime, Options, Spool, Start,
    clock::{ClockMark, WallTime},
    storage::simulated::Simulated,
};

use super::harness::limits;
use crate::{
    broker::{Broker, Journal, KnownSink, dead_cursor, sink_cursor},
    config::{Config, Overrides},
    ingest::Ingest,
    node::handle::{Incoming, Origin},
};

const HOUR: u64 = 60 * 60 * 1000;

#[test]
fn what_a_sink_that_left_is_owed_is_held_for_a_day_over_restarts_and_then_in_the_ledger() {
    let mut log = Log::new();
    log.owe("old", 3);
    assert_eq!(log.pending("old"), Some(3));

    let mut broker = log.start_without("old", 0);
    log.deadline(&mut broker, 12 * HOUR);
    let mut broker = log.start_without("old", 12 * HOUR);
    log.deadline(&mut broker, 24 * HOUR - 1);
    assert_eq!(log.pending("old"), Some(3), "not before its day is over");
    assert_eq!(log.lost(), 0);

    log.deadline(&mut broker, 24 * HOUR);
    assert_eq!(log.pending("old"), None);
    assert_eq!(log.spool.cursor(&dead_cursor("old")), None);
    assert_eq!(log.lost(), 3);
    assert_eq!(broker.next_deadline(), None);
}

#[test]
fn a_sink_that_is_back_within_its_day_is_owed_what_it_was() {
    let mut log = Log::new();
    log.owe("old", 3);
    log.start_without("old", 0);
    log.owe("old", 2);
    let mut broker = log.start_without("old", 23 * HOUR);
    log.deadline(&mut broker, 25 * HOUR);
    assert_eq!(log.pending("old"), Some(5), "its day began anew");
}

#[test]
fn the_operator_removes_a_sink_that_left_before_its_day_is_over() {
    let mut log = Log::new();
    log.owe("old", 3);
    let mut broker = log.start_without("old", 0);
    let known = log.known("old");
    log.transact(HOUR, |journal| {
        broker.handle_remove_sink(journal, "old", known).unwrap();
    });
    assert_eq!((log.pending("old"), log.lost()), (None, 3));
    assert_eq!(broker.next_deadline(), None);
}

/// A log whose broker comes and goes.
struct Log {
    spool: Spool,
    ingest: Ingest,
}

impl Log {
    fn new() -> Log {
        let options = Options {
            bound_bytes: Some(64 << 20),
            min_free_percent: 0,
            ..Options::default()
        };
        let storage = Arc::new(Simulated::new(1));
        let (spool, _) = Spool::open(storage, options, NodeTime(0), Arc::new(|| {})).unwrap();
        let config = Config::parse("", "", &Overrides::default()).unwrap();
        let ingest = Ingest::new(&config, "test".parse().unwrap(), [7; 16]);
        spool.replay_state(&mut |_| {}).unwrap();
        Log { spool, ingest }
    }

    fn transact(&mut self, now: u64, work: impl FnOnce(&mut Journal<'_>)) {
        let mark = ClockMark {
            node: NodeTime(now),
            wall: WallTime(now),
        };
        let mut journal = Journal::begin(&self.spool, &mut self.ingest, mark, false);
        work(&mut journal);
        journal.finish();
        while self.spool.commit_once() {}
    }

    /// A broker brought back to where the log ends.
    fn broker(&self) -> Broker {
        let mut broker = Broker::new(limits());
        let apply = &mut |entry: &spool::Entry| broker.apply(entry);
        self.spool.replay_state(apply).unwrap();
        broker
    }

    /// A run in which the sink is configured, and owed so many more events.
    fn owe(&mut self, name: &str, events: usize) {
        let (mut broker, known) = (self.broker(), self.known(name));
        let from = [TopicFilter::parse("#").unwrap()];
        self.transact(0, |journal| {
            broker.start(journal, 42, NodeTime(0)).unwrap();
            broker
                .handle_sink(journal, name, known, Start::Now, &from, u32::MAX)
                .unwrap();
            let event = Event::builder("1", "/test", "test").build().unwrap();
            let incoming = vec![Incoming::on("plant".to_owned(), event); events];
            let origin = Origin::Http {
                peer: "127.0.0.1".to_owned(),
            };
            broker.handle_events(journal, &origin, &incoming).unwrap();
        });
    }

    /// A run in which it is not.
    fn start_without(&mut self, name: &str, now: u64) -> Broker {
        let (mut broker, known) = (self.broker(), self.known(name));
        self.transact(now, |journal| {
            broker.start(journal, 42, NodeTime(0)).unwrap();
            broker.handle_missing_sink(journal, name, known);
        });
        broker
    }

    fn deadline(&mut self, broker: &mut Broker, now: u64) {
        self.transact(now, |journal| broker.handle_deadline(journal));
    }

    fn known(&self, name: &str) -> KnownSink {
        KnownSink {
            debt: self.spool.cursor(&sink_cursor(name)),
            dead: self.spool.cursor(&dead_cursor(name)),
        }
    }

    fn pending(&self, name: &str) -> Option<u64> {
        let cursor = self.spool.cursor(&sink_cursor(name))?;
        let status = self.spool.cursor_status(cursor)?;
        Some(status.pending_records)
    }

    fn lost(&self) -> u64 {
        let ledger = self.spool.status().ledger;
        let removed = ledger
            .iter()
            .filter(|loss| loss.reason == LossReason::CursorRemoved);
        removed.map(|loss| loss.count).sum()
    }
}
