//! What a sink is given again.

use super::*;

#[test]
fn a_range_is_sent_again_to_its_end_and_no_further_while_the_debt_goes_on() {
    run(async {
        let bench = Bench::new(DeadLetters::default());
        bench.publish((1..=3000).chain([EXPIRED]));
        let sink = TestSink::new(|_, _| None);
        let live = bench.start(&sink, Limits::default());
        live.until(|status| status.acknowledged == 3000).await;
        let lost = bench.lost();

        let first = bench.position(1000);
        let range = bench.history(first, first.0 + 1499);
        let again = TestSink::new(|call, _| (call == 2).then(unavailable));
        let replay = bench.start_from(range, Some(Seq(first.0 + 1499)), &again, Limits::default());
        bench.publish(3001..=3100);
        assert_eq!(replay.task.await.unwrap(), End::Drained);
        assert_eq!(again.arrived(), (1000..=2499).collect());

        let end = bench.spool.committed();
        let rest = bench.history(Seq(first.0 + 1990), end.0);
        let again = TestSink::new(|_, _| None);
        let replay = bench.start_from(rest, Some(end), &again, Limits::default());
        assert_eq!(replay.task.await.unwrap(), End::Drained);
        assert_eq!(again.arrived(), (2990..=3100).collect());
        assert_eq!(bench.lost(), lost, "what is sent again cannot be lost");
        live.until(|status| status.acknowledged == 3100).await;
        live.stop().await;
    });
}

#[test]
fn what_is_refused_when_it_is_sent_again_is_counted_and_neither_a_dead_letter_nor_a_loss() {
    run(async {
        let bench = Bench::new(DeadLetters {
            records: 1,
            bytes: 10_000,
        });
        bench.publish((1..=50).chain([FAR + 1]));
        let last = bench.position(FAR + 1);
        let range = bench.history(bench.position(1), last.0);
        let sink = TestSink::new(|_, numbers| {
            let had = |number: &u64| match number.is_multiple_of(10) {
                true => Outcome::Refused {
                    error: "409".to_owned(),
                },
                false => Outcome::Accepted,
            };
            Some(Answer::Each(numbers.iter().map(had).collect()))
        });
        let replay = bench.start_from(range, Some(last), &sink, Limits::default());
        assert_eq!(replay.task.await.unwrap(), End::Drained);
        let status = replay.handle.status();
        assert_eq!((status.acknowledged, status.dead_letters), (45, 6));
        assert_eq!(status.dead_letters_lost, 0);
        assert_eq!(bench.source.dead_letters(), DeadLetters::default());
        assert_eq!(bench.lost(), BTreeMap::new());
    });
}

#[test]
fn a_range_that_was_interrupted_goes_on_behind_what_was_acknowledged() {
    run(async {
        let bench = Bench::new(DeadLetters::default());
        bench.publish(1..=3000);
        let first = bench.position(1);
        let last = Seq(first.0 + 2999);
        let range = bench.history(first, last.0);
        let limits = Limits {
            batch_events: 100,
            in_flight: 1,
            ..Limits::default()
        };
        let sink = TestSink::new(|call, _| (call >= 10).then(unavailable));
        let begun = bench.start_from(range, Some(last), &sink, limits.clone());
        begun.until(|status| status.acknowledged == 1000).await;
        begun.stop().await;

        let sink = TestSink::new(|_, _| None);
        let replay = bench.start_from(range, Some(last), &sink, limits);
        assert_eq!(replay.task.await.unwrap(), End::Drained);
        assert_eq!(sink.arrived(), (1001..=3000).collect());
    });
}
