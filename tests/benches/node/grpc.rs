//! What the door for EventMesh takes: publishes over gRPC, each acknowledged once it is on stable storage.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use cloud_uplink::eventmesh::{
    Envelope, Sender,
    attribute::STATUS_CODE,
    encode,
    proto::{CloudEvent, publisher_service_client::PublisherServiceClient},
};
use filters::{Data, Event};
use tests::TestNode;
use tokio::task::{JoinSet, LocalSet};
use tonic::transport::Channel;

use crate::{Scale, flush};

const ROUNDS: usize = 3;
const CHANNELS: usize = 4;
const IN_FLIGHT: usize = 64;
const PAYLOAD: usize = 256;
const MILLIS: u64 = 5000;

pub(crate) async fn run(scale: Scale) {
    let time = Duration::from_millis(scale.of(MILLIS));
    for _ in 0..ROUNDS {
        let node = TestNode::start().await;
        let flush = flush::report(flush::measure(&node.data()));
        let latencies = LocalSet::new().run_until(publish(&node, time)).await;
        let at = |share: f64| {
            let index = (latencies.len() as f64 * share) as usize;
            latencies[index].as_secs_f64() * 1e3
        };
        println!(
            "{:.0} publishes/s over gRPC, {CHANNELS} connections × {IN_FLIGHT} in flight, {PAYLOAD} B; p50 {:.1} ms, p99 {:.1} ms; {flush}",
            latencies.len() as f64 / time.as_secs_f64(),
            at(0.5),
            at(0.99),
        );
    }
}

/// How long each publish waited for its acknowledgement, sorted.
async fn publish(node: &TestNode, time: Duration) -> Vec<Duration> {
    let latencies = Rc::new(RefCell::new(Vec::new()));
    let next = Rc::new(Cell::new(0_u64));
    let until = Instant::now() + time;
    let mut publishers = JoinSet::new();
    for _ in 0..CHANNELS {
        let endpoint = Channel::from_shared(format!("http://{}", node.grpc())).unwrap();
        let channel = endpoint.connect().await.unwrap();
        for _ in 0..IN_FLIGHT {
            let mut mesh = PublisherServiceClient::new(channel.clone());
            let (latencies, next) = (Rc::clone(&latencies), Rc::clone(&next));
            publishers.spawn_local(async move {
                while Instant::now() < until {
                    let message = message(next.replace(next.get() + 1));
                    let start = Instant::now();
                    let answer = mesh.publish(message).await.unwrap().into_inner();
                    assert_eq!(answer.text(STATUS_CODE), Some("0"), "{answer:?}");
                    latencies.borrow_mut().push(start.elapsed());
                }
            });
        }
    }
    while let Some(published) = publishers.join_next().await {
        published.unwrap();
    }
    let mut latencies = latencies.take();
    latencies.sort();
    latencies
}

fn message(number: u64) -> CloudEvent {
    let event = Event::builder(number.to_string(), "/bench", "reading")
        .datacontenttype("text/plain")
        .data(Data::Text("x".repeat(PAYLOAD)))
        .build()
        .unwrap();
    let sender = Sender::default();
    let envelope = Envelope {
        mesh_topic: "plant",
        mqtt_topic: None,
        sender: &sender,
        as_first_sent: false,
    };
    encode(event, &envelope)
}
