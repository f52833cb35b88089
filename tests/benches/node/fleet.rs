//! What devices in the compact format are acknowledged, beside the same connections with plain MQTT.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use rumqttc::v5::mqttbytes::v5::Packet;
use tests::{Device, TestNode, birth_with};
use tokio::task::JoinSet;
use wire::{
    Mark, Stream,
    answer::Answer,
    envelope::{BatchEncoder, Head, encode_event},
    kind::{Field, Kind, Scalar, Shape},
};

use crate::{Scale, flush};

const ROUNDS: usize = 3;
const DEVICES: u64 = 2_000;
/// Events of a device that are not acknowledged, or batches of them.
const IN_FLIGHT: u64 = 8;
const BATCH: u64 = 20;
const TIME: Duration = Duration::from_secs(5);

/// The fields of the plain reading, in the compact format.
const READING: Kind<'static> = Kind {
    event_type: "pump.reading",
    version: 1,
    fields: &[
        Field {
            name: "n",
            scalar: Scalar::U32,
            shape: Shape::One,
        },
        Field {
            name: "celsius",
            scalar: Scalar::I16,
            shape: Shape::One,
        },
    ],
};

/// How a device publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A PUBLISH with JSON for each event, acknowledged by PUBACK.
    Plain,
    /// A compact message for each event, acknowledged on `a/`.
    Single,
    /// A compact message for twenty.
    Batch,
}

impl Form {
    fn events(self) -> u64 {
        match self {
            Form::Plain | Form::Single => 1,
            Form::Batch => BATCH,
        }
    }
}

pub(crate) async fn run(scale: Scale) {
    let devices = scale.of(DEVICES);
    let mut rates: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (form, rates) in [Form::Plain, Form::Single, Form::Batch]
            .into_iter()
            .zip(&mut rates)
        {
            let node = TestNode::builder().config("[devices]\n").start().await;
            let flush = flush::report(flush::measure(&node.data()));
            let (events, cpu) = measure(&node, form, devices).await;
            let rate = events as f64 / TIME.as_secs_f64();
            let micros = cpu.as_secs_f64() * 1e6 / events as f64;
            println!(
                "{form:?}: {rate:.0} events/s acknowledged to {devices} devices, {IN_FLIGHT} messages in flight each; \
                 {micros:.1} µs of the node's CPU an event; {flush}"
            );
            rates.push(rate);
        }
    }
    let [plain, single, batch] = rates.map(median);
    println!(
        "medians: single / plain {:.2}, batch / plain {:.2}",
        single / plain,
        batch / plain
    );
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Events that all devices had acknowledged within the time, and the node's CPU for them.
async fn measure(node: &TestNode, form: Form, devices: u64) -> (u64, Duration) {
    let mut publishers = JoinSet::new();
    let mut ready = Vec::new();
    for number in 0..devices {
        ready.push(connect(node.mqtt(), form, format!("pump-{number}")).await);
    }
    let (before, until) = (cpu(node), Instant::now() + TIME);
    for device in ready {
        publishers.spawn(publish(device, form, until));
    }
    let mut events = 0;
    while let Some(acknowledged) = publishers.join_next().await {
        events += acknowledged.unwrap();
    }
    (events, cpu(node) - before)
}

async fn connect(to: SocketAddr, form: Form, name: String) -> Device {
    let mut device = Device::connect(to, &name).await;
    if form != Form::Plain {
        device.subscribe(&format!("a/{name}"), 0).await;
        device
            .publish(&format!("b/{name}"), birth_with(READING))
            .await
            .unwrap();
        device.next_message().await.unwrap(); // the welcome
    }
    device
}

/// How many events were acknowledged in time.
async fn publish(mut device: Device, form: Form, until: Instant) -> u64 {
    let topic = match form {
        Form::Plain => format!("plant/{}", device.id()),
        Form::Single | Form::Batch => format!("d/{}", device.id()),
    };
    let (mut sent, mut acknowledged) = (0_u64, 0_u64);
    let ahead = IN_FLIGHT * form.events();
    while Instant::now() < until {
        while sent < acknowledged + ahead {
            let payload = payload(form, sent + 1);
            device.start_publish(&topic, payload, sent).await.unwrap();
            sent += form.events();
        }
        let wait = tokio::time::timeout_at(until.into(), device.receive());
        let Ok(packet) = wait.await else { break };
        match packet.unwrap() {
            Packet::PubAck(_) if form == Form::Plain => acknowledged += 1,
            Packet::Publish(said) => {
                if let Ok(Answer::Ack(stored)) = Answer::decode(&said.payload) {
                    let marks = stored.iter().map(|it| it.mark.seq);
                    acknowledged = marks.max().unwrap_or(0);
                }
            }
            _ => {}
        }
    }
    acknowledged
}

fn payload(form: Form, seq: u64) -> Vec<u8> {
    let celsius = 200 + (seq % 50) as i16;
    let data = |seq: u64| [varint(seq), varint(u64::from(celsius.unsigned_abs()) << 1)].concat();
    let head = Head {
        incarnation: None,
        stream: Stream::new(0).unwrap(),
        mark: Mark { boot: 1, seq },
        uptime_ms: 5_000,
        kind: READING.id(),
    };
    let mut bytes = [0; 1024];
    match form {
        Form::Plain => format!(r#"{{"n":{seq},"celsius":{celsius}}}"#).into_bytes(),
        Form::Single => encode_event(&head, &data(seq), &mut bytes)
            .unwrap()
            .to_vec(),
        Form::Batch => {
            let mut batch = BatchEncoder::new(&head, &mut bytes).unwrap();
            for seq in seq..seq + BATCH {
                batch.push(5_000, &data(seq)).unwrap();
            }
            batch.finish().to_vec()
        }
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// What the node has used so far.
fn cpu(node: &TestNode) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.process_id())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = [fields[11], fields[12]]
        .iter()
        .map(|it| it.parse::<u64>().unwrap())
        .sum();
    // Linux counts in hundredths of a second wherever it runs.
    Duration::from_millis(ticks * 10)
}
