use super::BenchArgs;
use super::histogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// What one run against one broker gave.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Run {
    /// Acknowledged; at QoS 0: written.
    pub(super) messages: u64,
    pub(super) messages_per_second: f64,
    pub(super) latency_ms: Option<LatencyMillis>,
    pub(super) received: Option<u64>,
    pub(super) received_per_second: Option<f64>,
    /// Share of one core.
    pub(super) generator_cpu: Option<f64>,
    /// Sent, and not acknowledged five seconds after the end.
    pub(super) unanswered: u64,
    pub(super) failed_clients: u32,
    /// What the first of them failed with.
    pub(super) failure: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct LatencyMillis {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl LatencyMillis {
    pub(super) fn of(latencies: &Histogram) -> Self {
        let quantile = |share| millis(latencies.quantile(share));
        Self {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: millis(latencies.max()),
        }
    }
}

/// All runs of one call, in the order in which they were made.
pub(super) struct Comparison {
    args: BenchArgs,
    pub(super) runs: Vec<Run>,
    pub(super) vs_runs: Vec<Run>,
    pub(super) flushes: Vec<Duration>,
}

impl Comparison {
    pub(super) fn new(args: &BenchArgs) -> Self {
        Self {
            args: args.clone(),
            runs: Vec::new(),
            vs_runs: Vec::new(),
            flushes: Vec::new(),
        }
    }

    pub(super) fn report(self) -> Report {
        let Self {
            args,
            runs,
            vs_runs,
            flushes,
        } = self;
        let broker = Broker::new(args.addr, runs);
        let vs = args.vs.map(|addr| Broker::new(addr, vs_runs));
        let ratio = vs
            .as_ref()
            .map(|vs| broker.messages_per_second / vs.messages_per_second);
        let median_flush_ms =
            (!flushes.is_empty()).then(|| median(flushes.iter().copied().map(millis)));
        let in_flight = u64::from(args.clients) * u64::from(args.inflight);
        Report {
            clients: args.clients,
            inflight: args.inflight,
            size_bytes: args.size,
            qos: args.qos,
            secs: args.secs,
            broker,
            vs,
            ratio,
            median_flush_ms,
            in_flight_per_flush: median_flush_ms.map(|flush| in_flight as f64 / flush * 1e3),
        }
    }
}

/// What is printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Report {
    pub(super) clients: u32,
    pub(super) inflight: u16,
    pub(super) size_bytes: u32,
    pub(super) qos: u8,
    pub(super) secs: u32,
    pub(super) broker: Broker,
    pub(super) vs: Option<Broker>,
    /// Messages per second of the broker, divided by those of the other.
    pub(super) ratio: Option<f64>,
    pub(super) median_flush_ms: Option<f64>,
    /// Messages per second if each flush acknowledged all that are in flight, and nothing else took time.
    pub(super) in_flight_per_flush: Option<f64>,
}

/// One broker: the medians of its runs, and the runs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Broker {
    pub(super) addr: String,
    pub(super) messages_per_second: f64,
    pub(super) latency_ms: Option<LatencyMillis>,
    pub(super) received_per_second: Option<f64>,
    pub(super) generator_cpu: Option<f64>,
    pub(super) runs: Vec<Run>,
}

impl Broker {
    fn new(addr: String, runs: Vec<Run>) -> Self {
        let latencies: Vec<_> = runs.iter().filter_map(|run| run.latency_ms).collect();
        let latency = |part: fn(&LatencyMillis) -> f64| median(latencies.iter().map(part));
        let received: Vec<_> = runs
            .iter()
            .filter_map(|run| run.received_per_second)
            .collect();
        let cpu: Vec<_> = runs.iter().filter_map(|run| run.generator_cpu).collect();
        Self {
            addr,
            messages_per_second: median(runs.iter().map(|run| run.messages_per_second)),
            latency_ms: (!latencies.is_empty()).then(|| LatencyMillis {
                p50: latency(|latency| latency.p50),
                p90: latency(|latency| latency.p90),
                p99: latency(|latency| latency.p99),
                max: latency(|latency| latency.max),
            }),
            received_per_second: (!received.is_empty()).then(|| median(received.into_iter())),
            generator_cpu: (!cpu.is_empty()).then(|| median(cpu.into_iter())),
            runs,
        }
    }

    /// Over all runs.
    pub(super) fn sum(&self, part: fn(&Run) -> u64) -> u64 {
        self.runs.iter().map(part).sum()
    }
}

/// The upper one of two.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
