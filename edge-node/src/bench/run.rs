use super::cpu::CpuClock;
use super::histogram::Histogram;
use super::link::Link;
use super::publisher::Publisher;
use super::report::{LatencyMillis, Run};
use super::subscriber::Subscriber;
use super::{BenchArgs, BenchError};
use crate::mqtt::packet::QoS;
use bytes::Bytes;
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is sent, over and over.
pub(super) fn payload(args: &BenchArgs) -> Bytes {
    let size = args.size as usize;
    if !args.readings {
        return Bytes::from(vec![b'x'; size]);
    }
    let reading = |note: &str| {
        format!(r#"{{"device":"pump-7","line":4,"celsius":61.2,"bar":3.07,"note":"{note}"}}"#)
    };
    let note = "x".repeat(size.saturating_sub(reading("").len()));
    Bytes::from(reading(&note))
}

/// One run against one broker.
pub(super) async fn run(args: &BenchArgs, addr: &str) -> Result<Run, BenchError> {
    let name = format!("bench-{}-{:08x}", std::process::id(), fastrand::u32(..));
    let failed = |error: io::Error| BenchError::Connect {
        addr: addr.to_owned(),
        reason: error.to_string(),
    };

    let subscriber = match args.subscriber {
        true => Some(
            Subscriber::open(addr, format!("{name}-all"), format!("{name}/#"))
                .await
                .map_err(failed)?,
        ),
        false => None,
    };
    let payload = payload(args);
    let mut publishers = Vec::new();
    for client in 0..args.clients {
        let link = Link::open(addr, format!("{name}-{client}"), 4096)
            .await
            .map_err(failed)?;
        publishers.push((
            link,
            publisher(args, &format!("{name}/{client}"), &payload).map_err(failed)?,
        ));
    }

    let (expected, told) = watch::channel(None);
    let subscriber =
        subscriber.map(|subscriber| tokio::spawn(subscriber.drive(told, args.patience)));
    let cpu = CpuClock::start();
    let start = Instant::now();
    let mut load = Load::default();
    load.drive(
        publishers,
        start + Duration::from_secs(u64::from(args.secs)),
        args.patience,
    )
    .await;
    expected.send_replace(Some(load.acknowledged));
    let subscriber = match subscriber {
        Some(subscriber) => Some(
            subscriber
                .await
                .map_err(|error| BenchError::Start(error.into()))?,
        ),
        None => None,
    };

    let generator_cpu = cpu.share();
    let Some(last) = load.last_answer else {
        let reason = load
            .failure
            .unwrap_or_else(|| "no connection failed".to_owned());
        return Err(BenchError::Nothing {
            addr: addr.to_owned(),
            reason,
        });
    };
    let rate = |count: u64, last: Instant| count as f64 / (last - start).as_secs_f64();
    Ok(Run {
        messages: load.acknowledged,
        messages_per_second: rate(load.acknowledged, last),
        latency_ms: (args.qos > 0).then(|| LatencyMillis::of(&load.latencies)),
        received: subscriber.as_ref().map(|subscriber| subscriber.received),
        received_per_second: subscriber.as_ref().map(|subscriber| {
            subscriber
                .last
                .map_or(0.0, |last| rate(subscriber.received, last))
        }),
        generator_cpu,
        unanswered: load.unanswered,
        failed_clients: load.failed_clients,
        failure: load.failure,
    })
}

fn publisher(args: &BenchArgs, topic: &str, payload: &Bytes) -> io::Result<Publisher> {
    let qos = QoS::from_bits(args.qos).unwrap_or(QoS::AtLeastOnce);
    Publisher::new(topic, qos, args.inflight, payload.clone()).map_err(io::Error::other)
}

/// What all publishers saw together.
#[derive(Default)]
struct Load {
    acknowledged: u64,
    unanswered: u64,
    latencies: Histogram,
    last_answer: Option<Instant>,
    failed_clients: u32,
    failure: Option<String>,
}

impl Load {
    async fn drive(
        &mut self,
        publishers: Vec<(Link, Publisher)>,
        end: Instant,
        patience: Duration,
    ) {
        let mut tasks = JoinSet::new();
        for (mut link, mut publisher) in publishers {
            tasks.spawn(async move {
                let driven = publisher.drive(&mut link, end);
                let ended = tokio::time::timeout_at((end + patience).into(), driven).await;
                (publisher, ended.unwrap_or(Ok(())))
            });
        }
        while let Some(Ok((publisher, ended))) = tasks.join_next().await {
            self.add(&publisher, ended);
        }
    }

    fn add(&mut self, publisher: &Publisher, ended: io::Result<()>) {
        self.acknowledged += publisher.acknowledged;
        self.unanswered += publisher.unanswered() as u64;
        self.latencies.merge(&publisher.latencies);
        self.last_answer = self.last_answer.max(publisher.last_answer);
        if let Err(error) = ended {
            self.failed_clients += 1;
            self.failure.get_or_insert(error.to_string());
        }
    }
}
