//! What still comes in while an uplink ends is accounted for as ever.

use std::sync::mpsc;

use super::*;

#[test]
fn what_a_last_read_finds_expired_is_in_the_ledger() {
    run(async {
        let bench = Bench::new(DeadLetters::default());
        let (reading, read_begun) = mpsc::channel();
        let (go_on, released) = mpsc::channel::<()>();
        *bench.source.on_expired.lock().unwrap() = Some(Box::new(move || {
            reading.send(()).unwrap();
            released.recv().unwrap();
        }));
        let sink = TestSink::new(|_, _| None);
        let held = sink.open.acquire().await.unwrap();
        bench.publish([1]);
        let limits = Limits {
            grace: PATIENCE,
            ..Limits::default()
        };
        let running = bench.start(&sink, limits);
        running.until(|status| status.in_flight == 1).await;
        bench.publish([EXPIRED]);
        running.until(|_| read_begun.try_recv().is_ok()).await;

        // The uplink waits for the answer, and is given the read meanwhile.
        running.stop.send(()).unwrap();
        tokio::task::yield_now().await;
        go_on.send(()).unwrap();
        running.until(|status| status.expired == 1).await;
        drop(held);
        assert_eq!(running.task.await.unwrap(), End::Told);
        let pending = bench.spool.cursor_status(bench.cursor).unwrap();
        assert_eq!(pending.pending_records, 0);
        assert_eq!(bench.lost(), BTreeMap::from([(LossReason::Expired, 1)]));
    });
}
