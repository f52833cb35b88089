//! When a door is answered.

use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use filters::TopicFilter;

use super::*;
use crate::{
    broker::tests::harness::{TestNode, durable, take_all},
    mqtt::packet::QoS,
};

#[test]
fn events_are_acknowledged_after_their_commit_and_are_there_after_a_crash() {
    let mut node = TestNode::new();
    let mut reader = node.connect(durable("reader"));
    node.subscribe(&mut reader, "t", QoS::AtLeastOnce);
    node.drop_connection(reader);
    let mut doors = Doors::of(&node);
    let handle = doors.handle.clone();
    let mut answer = pin!(handle.publish(door(), vec![event("1"), event("2")]));

    assert_eq!(now(answer.as_mut()), None);
    doors.take_requests(&mut node);
    doors.tell_commits(&node);
    assert_eq!(now(answer.as_mut()), None, "appended is not stored");
    node.commit();
    doors.tell_commits(&node);
    assert_eq!(now(answer.as_mut()), Some(Ok(())));

    let mut node = node.crash();
    let mut reader = node.connect(durable("reader"));
    assert_eq!(take_all(&mut node, &mut reader), ["1", "2"]);
}

#[test]
fn events_that_the_power_took_were_not_acknowledged() {
    let mut node = TestNode::new();
    let mut doors = Doors::of(&node);
    let handle = doors.handle.clone();
    let mut answer = pin!(handle.publish(door(), vec![event("1")]));
    assert_eq!(now(answer.as_mut()), None);
    doors.take_requests(&mut node);
    let node = node.crash();
    // The node is gone, and with it whoever would have told of a commit.
    drop(doors);
    assert_eq!(now(answer.as_mut()), Some(Err(PublishError::Stopping)));
    let appended = node.core.spool().appended();
    let found = (1..=appended.0).filter_map(|seq| node.core.spool().read_at(Seq(seq)).unwrap());
    assert_eq!(found.filter_map(|entry| view::event(&entry)).count(), 0);
}

#[test]
fn a_batch_that_the_log_never_takes_at_once_is_too_large_and_smaller_ones_are_taken() {
    let mut node = TestNode::with_options(|options| options.bound_bytes = Some(16 << 20));
    let mut doors = Doors::of(&node);
    let handle = doors.handle.clone();
    let large = "x".repeat(60_000);
    let batch = vec![event(&large); 10];
    {
        let mut answer = pin!(handle.publish(door(), batch.clone()));
        assert_eq!(now(answer.as_mut()), None);
        doors.take_requests(&mut node);
        assert_eq!(now(answer.as_mut()), Some(Err(PublishError::TooLarge)));
    }
    for part in batch.chunks(3) {
        let taken = doors.answered_after_commit(&mut node, handle.publish(door(), part.to_vec()));
        assert_eq!(taken, Ok(()));
    }
}

#[test]
fn a_group_is_there_and_gone_after_the_commit_that_says_so() {
    let mut node = TestNode::new();
    let mut doors = Doors::of(&node);
    let handle = doors.handle.clone();
    let filters = vec![TopicFilter::parse("t").unwrap()];
    let opened = doors.answered_after_commit(&mut node, handle.open_group("g", filters));
    let cursor = opened.unwrap();
    assert!(node.core.spool().cursor_status(cursor).is_some());
    let removed = doors.answered_after_commit(&mut node, handle.remove_group("g"));
    assert_eq!(removed, Ok(()));
    assert!(node.core.spool().cursor_status(cursor).is_none());
}

#[test]
fn since_when_a_group_rests_outlives_crashes_and_checkpoints_until_it_is_opened() {
    let mut node = TestNode::new();
    let mut doors = Doors::of(&node);
    let filters = || vec![TopicFilter::parse("t").unwrap()];
    for name in ["g", "h"] {
        let handle = doors.handle.clone();
        let opened = doors.answered_after_commit(&mut node, handle.open_group(name, filters()));
        assert!(opened.is_ok());
    }
    let handle = doors.handle.clone();
    let noted = doors.answered_after_commit(&mut node, handle.rest_group("g"));
    assert_eq!(noted, Ok(()));
    node.skip(5000);
    let rests = |seconds| BTreeMap::from([("mesh/g".to_owned(), Duration::from_secs(seconds))]);
    assert_eq!(doors.resting(&mut node), rests(5));
    let mut node = node.crash();
    let mut doors = Doors::of(&node);
    assert_eq!(doors.resting(&mut node), rests(5));
    node.skip(5000);
    let mut node = node.restart();
    let mut doors = Doors::of(&node);
    assert_eq!(doors.resting(&mut node), rests(10));
    let handle = doors.handle.clone();
    let opened = doors.answered_after_commit(&mut node, handle.open_group("g", filters()));
    assert!(opened.is_ok());
    let mut node = node.crash();
    assert_eq!(Doors::of(&node).resting(&mut node), BTreeMap::new());
}

fn door() -> Origin {
    Origin::Http {
        peer: "127.0.0.1".to_owned(),
    }
}

fn event(data: &str) -> Incoming {
    let event = Event::builder(data, "/test", "test")
        .datacontenttype("text/plain")
        .data(filters::Data::Text(data.to_owned()));
    Incoming::on("t".to_owned(), event.build().unwrap())
}

/// What a future has come to; nobody is waiting for it.
fn now<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// A handle, and the ends of it that the shell holds.
struct Doors {
    handle: NodeHandle,
    requests: mpsc::Receiver<Request>,
    positions: watch::Sender<Seq>,
}

impl Doors {
    fn of(node: &TestNode) -> Doors {
        let spool = node.core.spool().clone();
        let (positions, commits) = watch::channel(spool.committed());
        let orders = Orders {
            uplinks: mpsc::channel(1).0,
            reloads: mpsc::channel(1).0,
        };
        let id = "test".parse().unwrap();
        let (handle, requests) = NodeHandle::new(id, spool, commits, Arc::new(|_| {}), orders);
        Doors {
            handle,
            requests,
            positions,
        }
    }

    fn take_requests(&mut self, node: &mut TestNode) {
        while let Ok(request) = self.requests.try_recv() {
            node.core.handle_request(request);
        }
    }

    fn tell_commits(&self, node: &TestNode) {
        self.positions.send_replace(node.core.spool().committed());
    }

    fn resting(&mut self, node: &mut TestNode) -> BTreeMap<String, Duration> {
        let handle = self.handle.clone();
        let mut asked = pin!(handle.resting_groups());
        assert!(now(asked.as_mut()).is_none());
        self.take_requests(node);
        now(asked.as_mut())
            .expect("nothing is stored for it")
            .unwrap()
    }

    /// What is asked is answered after a commit, and not before.
    fn answered_after_commit<T>(
        &mut self,
        node: &mut TestNode,
        asked: impl Future<Output = T>,
    ) -> T {
        let mut asked = pin!(asked);
        assert!(now(asked.as_mut()).is_none());
        self.take_requests(node);
        self.tell_commits(node);
        assert!(now(asked.as_mut()).is_none(), "appended is not stored");
        node.commit();
        self.tell_commits(node);
        now(asked.as_mut()).expect("it is stored")
    }
}
