use super::*;
use crate::mqtt::decode::Decoder;
use crate::mqtt::encode::encode;
use crate::mqtt::packet::{Ack, ConnAck, Packet, Publish, QoS, ReasonCode, SubAck, Version};
use bytes::BytesMut;
use clap::Parser;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

#[test]
fn every_message_is_acknowledged_and_received() {
    let broker = Broker::start(Habit::Honest);
    for qos in ["1", "2"] {
        let report = bench(
            &broker,
            &[
                "--clients",
                "3",
                "--inflight",
                "4",
                "--qos",
                qos,
                "--subscriber",
            ],
        );
        let run = &report["broker"]["runs"][0];
        let acknowledged = run["messages"].as_u64().unwrap();
        assert!(acknowledged > 0);
        assert_eq!(run["received"], acknowledged);
        assert_eq!(
            (&run["unanswered"], &run["failed-clients"]),
            (&0.into(), &0.into())
        );
        assert!(
            run["latency-ms"]["p50"].as_f64().unwrap()
                <= run["latency-ms"]["max"].as_f64().unwrap()
        );
    }
}

#[test]
fn as_many_messages_are_in_flight_as_asked_for() {
    let broker = Broker::start(Habit::HangsUpAt(7));
    let error = bench_error(&broker, &["--clients", "2", "--inflight", "7"]);
    assert_eq!(
        error,
        format!("{} acknowledged nothing: connection reset", broker.addr)
    );
    let seen = broker.wait_until(|seen| seen.ended == 2);
    assert_eq!(seen.publishes, 14);
}

#[test]
fn large_messages_in_flight_do_not_wait_for_each_other() {
    let broker = Broker::start(Habit::HangsUpAt(20));
    bench_error(
        &broker,
        &["--clients", "1", "--inflight", "20", "--size", "100000"],
    );
    let seen = broker.wait_until(|seen| seen.ended == 1);
    assert_eq!(seen.publishes, 20);
}

#[test]
fn payload_and_quality_of_service_are_those_asked_for() {
    let broker = Broker::start(Habit::Honest);
    let report = bench(&broker, &["--clients", "1", "--qos", "0", "--size", "1000"]);
    assert!(report["broker"]["messages-per-second"].as_f64().unwrap() > 0.0);
    assert_eq!(report["broker"]["latency-ms"], serde_json::Value::Null);
    // What has no acknowledgement may come after the report.
    let seen = broker.wait_until(|seen| seen.publishes > 0);
    assert_eq!((seen.payload_bytes, seen.qos), (1000, QoS::AtMostOnce));
}

#[test]
fn clients_that_lose_their_connection_are_counted() {
    let broker = Broker::start(Habit::HangsUpAfter(10));
    let report = report(args(
        &broker,
        UNTIL_HUNG_UP,
        &["--clients", "2", "--inflight", "1"],
    ));
    let run = &report["broker"]["runs"][0];
    assert_eq!(
        (&run["failed-clients"], &run["messages"]),
        (&2.into(), &20.into())
    );
    assert_eq!(
        (&run["unanswered"], &run["failure"]),
        (&2.into(), &"connection reset".into())
    );
}

#[test]
fn a_broker_that_refuses_is_named() {
    let broker = Broker::start(Habit::Refuses);
    let error = bench_error(&broker, &[]);
    assert_eq!(
        error,
        format!("cannot connect to {}: refused: NotAuthorized", broker.addr)
    );
}

#[test]
fn more_than_fits_into_memory_is_not_tried() {
    let broker = Broker::start(Habit::Honest);
    let error = bench_error(
        &broker,
        &["--clients", "1025", "--inflight", "1", "--size", "1048576"],
    );
    assert_eq!(
        error,
        "clients × inflight × size is 1074790400 bytes; the limit is 1073741824"
    );
    assert_eq!(broker.seen.0.lock().unwrap().publishes, 0);
}

#[test]
fn two_brokers_are_measured_in_turn_and_compared() {
    let (one, other) = (Broker::start(Habit::Honest), Broker::start(Habit::Honest));
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let args = [
        "--clients",
        "1",
        "--vs",
        &other.addr,
        "--rounds",
        "2",
        "--data",
        data,
    ];
    let report = bench(&one, &args);
    assert_eq!(report["broker"]["runs"].as_array().unwrap().len(), 2);
    assert_eq!(report["vs"]["runs"].as_array().unwrap().len(), 2);
    let rate = |name: &str| report[name]["messages-per-second"].as_f64().unwrap();
    // Numbers lose their last bit when they are read from JSON.
    assert!((report["ratio"].as_f64().unwrap() * rate("vs") / rate("broker") - 1.0).abs() < 1e-12);
    let flush = report["median-flush-ms"].as_f64().unwrap();
    assert!((report["in-flight-per-flush"].as_f64().unwrap() - 10.0 / flush * 1e3).abs() < 1e-3);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_table_shows_the_same_as_the_json() {
    let broker = Broker::start(Habit::HangsUpAfter(10));
    let args = args(
        &broker,
        UNTIL_HUNG_UP,
        &["--clients", "1", "--inflight", "1"],
    );
    let mut table = Vec::new();
    run(&args, &mut table).unwrap();
    let table = String::from_utf8(table).unwrap();
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0].join(" "),
        "1 clients × 1 in flight, 256 B, QoS 1, 60 s; messages are those acknowledged"
    );
    assert_eq!(lines[1], [broker.addr.as_str()]);
    assert!(lines.contains(&vec!["messages", "10"]), "{table}");
    assert!(lines.contains(&vec!["failed", "clients", "1"]), "{table}");
    assert!(
        table.ends_with(&format!(
            "{}: a client failed: connection reset\n",
            broker.addr
        )),
        "{table}"
    );
}

/// What a broker made for these tests does with a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Honest,
    HangsUpAfter(u32),
    /// Acknowledges nothing, and hears the connection to its end, which it brings about once it holds so many.
    HangsUpAt(u32),
    Refuses,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    /// Connections of which it read all.
    ended: u32,
    publishes: u32,
    payload_bytes: usize,
    qos: QoS,
}

/// Serves on its own thread until the process ends.
struct Broker {
    addr: String,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Broker {
    fn wait_until(&self, done: impl Fn(&Seen) -> bool) -> Seen {
        let (seen, changed) = &*self.seen;
        let seen = seen.lock().unwrap();
        let (seen, waited) = changed
            .wait_timeout_while(seen, PATIENCE, |seen| !done(seen))
            .unwrap();
        assert!(!waited.timed_out());
        *seen
    }

    fn start(habit: Habit) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let seen = Arc::<(Mutex<Seen>, Condvar)>::default();
        let shared = Shared {
            habit,
            seen: seen.clone(),
            subscribers: Arc::default(),
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(shared.clone().serve(stream));
                }
            });
        });
        Self { addr, seen }
    }
}

#[derive(Clone)]
struct Shared {
    habit: Habit,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    subscribers: Arc<Mutex<Vec<mpsc::UnboundedSender<Publish>>>>,
}

impl Shared {
    async fn serve(self, mut stream: TcpStream) {
        let mut decoder = Decoder::from_client(1 << 22);
        let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
        let (sender, mut deliveries) = mpsc::unbounded_channel();
        let mut publishes = 0;
        loop {
            tokio::select! {
                Some(publish) = deliveries.recv() => encode(Version::V311, &Packet::Publish(publish), &mut out).unwrap(),
                read = stream.read_buf(&mut input) => if read.is_ok_and(|read| read > 0) {} else { return self.see(|seen| seen.ended += 1) },
            }
            while let Some(packet) = decoder.decode(&mut input).unwrap() {
                if let Packet::Publish(publish) = &packet {
                    publishes += 1;
                    self.see(|seen| {
                        seen.publishes += 1;
                        seen.payload_bytes = publish.payload.len();
                        seen.qos = publish.qos;
                    });
                }
                if matches!(self.habit, Habit::HangsUpAfter(count) if publishes > count) {
                    return;
                }
                if let Some(answer) = self.answer(packet, &sender) {
                    encode(Version::V311, &answer, &mut out).unwrap();
                }
            }
            if stream.write_all(&out.split()).await.is_err() {
                return;
            }
            if matches!(self.habit, Habit::HangsUpAt(count) if publishes >= count) {
                let _ = stream.shutdown().await; // at the next look it is shut already
            }
        }
    }

    fn see(&self, see: impl FnOnce(&mut Seen)) {
        see(&mut self.seen.0.lock().unwrap());
        self.seen.1.notify_all();
    }

    fn answer(&self, packet: Packet, sender: &mpsc::UnboundedSender<Publish>) -> Option<Packet> {
        match packet {
            Packet::Connect(_) if self.habit == Habit::Refuses => Some(Packet::ConnAck(Box::new(
                ConnAck::new(ReasonCode::NotAuthorized),
            ))),
            Packet::Connect(_) => Some(Packet::ConnAck(Box::default())),
            Packet::Subscribe(subscribe) => {
                self.subscribers.lock().unwrap().push(sender.clone());
                let reasons = vec![ReasonCode::GrantedQos1];
                Some(Packet::SubAck(SubAck {
                    packet_id: subscribe.packet_id,
                    reasons,
                    properties: None,
                }))
            }
            Packet::Publish(_) if matches!(self.habit, Habit::HangsUpAt(_)) => None,
            Packet::Publish(publish) => {
                for subscriber in self.subscribers.lock().unwrap().iter() {
                    let _ = subscriber.send(Publish {
                        qos: QoS::AtLeastOnce,
                        ..publish.clone()
                    }); // gone with its run
                }
                let ack = Ack::success(publish.packet_id?);
                Some(if publish.qos == QoS::AtLeastOnce {
                    Packet::PubAck(ack)
                } else {
                    Packet::PubRec(ack)
                })
            }
            Packet::PubRel(ack) => Some(Packet::PubComp(ack)),
            _ => None,
        }
    }
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: BenchArgs,
}

#[test]
fn readings_are_json_of_the_size_that_is_asked_for() {
    for (size, length) in [("256", 256), ("10", 64)] {
        let words = ["bench", "--readings", "--size", size];
        let payload = super::run::payload(&Command::parse_from(words).args);
        let reading: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!((payload.len(), &reading["celsius"]), (length, &61.2.into()));
    }
}

/// Seconds that a run takes.
const SHORT: &str = "1";
/// Seconds that a run may take whose clients all lose their connection, which ends it: however slow they are.
const UNTIL_HUNG_UP: &str = "60";
/// Only bounds a hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn args(broker: &Broker, secs: &str, more: &[&str]) -> BenchArgs {
    let mut words = vec!["bench", "--addr", &broker.addr, "--secs", secs];
    words.extend(more);
    Command::parse_from(words).args
}

fn bench(broker: &Broker, more: &[&str]) -> serde_json::Value {
    report(args(broker, SHORT, more))
}

fn report(mut args: BenchArgs) -> serde_json::Value {
    args.json = true;
    args.patience = PATIENCE;
    let mut out = Vec::new();
    run(&args, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

fn bench_error(broker: &Broker, more: &[&str]) -> String {
    run(&args(broker, UNTIL_HUNG_UP, more), &mut Vec::new())
        .unwrap_err()
        .to_string()
}
