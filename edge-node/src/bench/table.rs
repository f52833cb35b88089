use super::report::{Broker, LatencyMillis, Report};
use std::fmt;

/// The share of a core from which the load generator itself may be the limit.
const BUSY: f64 = 0.9;

/// A name, and what stands beside it for each broker. A row without anything to show is left out.
type Row = (&'static str, fn(&Broker) -> Option<String>);

const ROWS: &[Row] = &[
    ("", |broker| Some(broker.addr.clone())),
    ("messages/s", |broker| {
        Some(format!("{:.0}", broker.messages_per_second))
    }),
    ("received/s", |broker| {
        broker.received_per_second.map(|rate| format!("{rate:.0}"))
    }),
    ("latency p50", |broker| {
        latency(broker, |latency| latency.p50)
    }),
    ("latency p90", |broker| {
        latency(broker, |latency| latency.p90)
    }),
    ("latency p99", |broker| {
        latency(broker, |latency| latency.p99)
    }),
    ("latency max", |broker| {
        latency(broker, |latency| latency.max)
    }),
    ("messages", |broker| {
        Some(broker.sum(|run| run.messages).to_string())
    }),
    ("received", |broker| {
        positive(broker.sum(|run| run.received.unwrap_or(0)))
    }),
    ("unanswered", |broker| {
        positive(broker.sum(|run| run.unanswered))
    }),
    ("failed clients", |broker| {
        positive(broker.sum(|run| u64::from(run.failed_clients)))
    }),
    ("load generator", |broker| {
        broker
            .generator_cpu
            .map(|share| format!("{share:.2} of a core"))
    }),
];

fn latency(broker: &Broker, part: fn(&LatencyMillis) -> f64) -> Option<String> {
    broker
        .latency_ms
        .as_ref()
        .map(|all| format!("{:.2} ms", part(all)))
}

fn positive(count: u64) -> Option<String> {
    (count > 0).then(|| count.to_string())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header(f)?;
        let brokers: Vec<&Broker> = std::iter::once(&self.broker).chain(&self.vs).collect();
        for (name, cell) in ROWS {
            let cells: Vec<_> = brokers.iter().map(|broker| cell(broker)).collect();
            if cells.iter().any(Option::is_some) {
                write!(f, "{name:<16}")?;
                cells
                    .iter()
                    .try_for_each(|cell| write!(f, "{:>22}", cell.as_deref().unwrap_or("-")))?;
                writeln!(f)?;
            }
        }
        self.footer(f, &brokers)
    }
}

impl Report {
    fn header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clients,
            inflight,
            size_bytes,
            qos,
            secs,
            ..
        } = self;
        write!(
            f,
            "{clients} clients × {inflight} in flight, {size_bytes} B, QoS {qos}, {secs} s"
        )?;
        match self.broker.runs.len() {
            1 => {}
            runs => write!(f, ", medians of {runs} runs")?,
        }
        let meaning = if *qos == 0 { "written" } else { "acknowledged" };
        writeln!(f, "; messages are those {meaning}")
    }

    fn footer(&self, f: &mut fmt::Formatter<'_>, brokers: &[&Broker]) -> fmt::Result {
        if let (Some(ratio), Some(vs)) = (self.ratio, &self.vs) {
            writeln!(f, "{}: {ratio:.2} × {}", self.broker.addr, vs.addr)?;
        }
        if let (Some(flush), Some(limit)) = (self.median_flush_ms, self.in_flight_per_flush) {
            let share = self.broker.messages_per_second / limit;
            writeln!(
                f,
                "median flush {flush:.3} ms; in flight ÷ flush = {limit:.0}/s, of which {share:.2} is reached"
            )?;
        }
        for broker in brokers {
            if broker.generator_cpu.is_some_and(|share| share > BUSY) {
                writeln!(
                    f,
                    "{}: the load generator had no CPU to spare; the broker may be faster",
                    broker.addr
                )?;
            }
            if let Some(failure) = broker.runs.iter().find_map(|run| run.failure.as_ref()) {
                writeln!(f, "{}: a client failed: {failure}", broker.addr)?;
            }
        }
        Ok(())
    }
}
