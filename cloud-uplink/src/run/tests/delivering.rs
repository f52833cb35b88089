//! All that is owed arrives, whatever the link does, and no more than that.

use super::*;

#[test]
fn everything_committed_arrives_through_errors_of_every_kind_and_is_acknowledged() {
    run(async {
        let bench = Bench::new(DeadLetters {
            records: 10,
            bytes: 10_000,
        });
        bench.publish(1..=500);
        let sink = TestSink::new(|call, _| match call {
            0 => Some(unavailable()),
            1 => panic!("a fault in the sink"),
            2 => Some(Answer::Each(vec![Outcome::Accepted])),
            3 => Some(Answer::Each(Vec::new())),
            _ => None,
        });
        let running = bench.start(
            &sink,
            Limits {
                batch_events: 50,
                ..Limits::default()
            },
        );
        running.until(|status| status.acknowledged == 500).await;
        bench.publish(501..=600);
        let status = running
            .until(|status| status.acknowledged == 600 && status.pending == 0)
            .await;
        assert_eq!(status.state, LinkState::Connected);
        assert_eq!((status.dead_letters, status.held_bytes), (0, 0));
        assert_eq!(sink.arrived(), (1..=600).collect());
        assert_eq!(
            bench
                .spool
                .cursor_status(bench.cursor)
                .unwrap()
                .pending_records,
            0
        );
        running.stop().await;
    });
}

#[test]
fn a_backlog_many_times_what_a_cursor_holds_ahead_drains() {
    run(async {
        let bench = Bench::new(DeadLetters::default());
        bench.publish(1..=9_999);
        let sink = TestSink::new(|_, _| None);
        let running = bench.start(&sink, Limits::default());
        running
            .until(|status| status.acknowledged == 9_999 && status.pending == 0)
            .await;
        assert_eq!(sink.arrived().len(), 9_999);
        running.stop().await;
    });
}

#[test]
fn booted_without_a_receiver_it_drains_as_soon_as_there_is_one() {
    run(async {
        let bench = Bench::new(DeadLetters::default());
        bench.publish(1..=20);
        let there = Arc::new(AtomicBool::new(false));
        let sink = TestSink::new({
            let there = Arc::clone(&there);
            move |_, _| (!there.load(Ordering::Relaxed)).then(unavailable)
        });
        let running = bench.start(&sink, Limits::default());
        let offline = running
            .until(|status| matches!(status.state, LinkState::BackingOff { .. }))
            .await;
        assert_eq!((offline.pending, offline.acknowledged), (20, 0));
        there.store(true, Ordering::Relaxed);
        running.until(|status| status.pending == 0).await;
        assert_eq!(sink.arrived(), (1..=20).collect());
        running.stop().await;
    });
}

#[test]
fn what_came_from_the_peer_is_not_sent_back_and_what_went_too_far_not_on() {
    run(async {
        let bench = Bench::new(DeadLetters {
            records: 10,
            bytes: 10_000,
        });
        // By what TestSource makes of the numbers.
        bench.publish([PEER, FAR, FAR + 1, EXPIRED, 1]);
        let sink = TestSink::new(|_, _| None);
        let running = bench.start(&sink, Limits::default());
        let status = running
            .until(|status| status.acknowledged + status.dead_letters == 3)
            .await;
        assert_eq!(
            (status.not_sent_back, status.dead_letters, status.expired),
            (1, 1, 1)
        );
        assert_eq!(sink.arrived(), BTreeSet::from([1, FAR]));
        assert_eq!(
            *sink.hops.lock().unwrap(),
            BTreeMap::from([(1, 1), (FAR, 9)]),
            "each node adds one"
        );
        assert_eq!(
            bench.lost(),
            BTreeMap::from([(LossReason::Expired, 1)]),
            "a dead letter is kept"
        );
        running.stop().await;
    });
}

#[test]
fn what_has_expired_is_sent_all_the_same_unless_the_operator_wants_it_dropped() {
    run(async {
        let mut bench = Bench::new(DeadLetters::default());
        bench.drop_expired = false;
        bench.publish([EXPIRED, 1]);
        let sink = TestSink::new(|_, _| None);
        let running = bench.start(&sink, Limits::default());
        let status = running.until(|status| status.acknowledged == 2).await;
        assert_eq!(status.expired, 0);
        assert_eq!(sink.arrived(), BTreeSet::from([1, EXPIRED]));
        assert_eq!(bench.lost(), BTreeMap::new());
        running.stop().await;
    });
}

#[test]
fn an_idle_link_is_connected_once_a_canary_is_acknowledged_which_is_no_event_of_the_log() {
    run(async {
        let bench = Bench::new(DeadLetters::default());
        let sink = TestSink::new(|call, _| (call == 0).then(unavailable));
        let limits = Limits {
            canary_every: Some(Duration::from_millis(5)),
            ..Limits::default()
        };
        let running = bench.start(&sink, limits);
        let status = running
            .until(|status| status.state == LinkState::Connected)
            .await;
        assert_eq!(sink.arrived(), BTreeSet::from([CANARY]));
        assert_eq!((status.acknowledged, status.pending), (0, 0));
        running.stop().await;
    });
}

#[test]
fn a_sink_that_starts_at_the_oldest_record_is_sent_what_was_there_before_it() {
    run(async {
        let bench = Bench::new(DeadLetters::default());
        bench.publish(1..=100);
        let mut transaction = bench.spool.transaction(NodeTime(1000));
        let late = transaction
            .create_cursor("late", Start::Oldest, None)
            .unwrap();
        transaction.finish();
        let sink = TestSink::new(|_, _| None);
        let running = bench.start_from(late, None, &sink, Limits::default());
        running.until(|status| status.acknowledged == 100).await;
        assert_eq!(sink.arrived(), (1..=100).collect());
        running.stop().await;
    });
}
