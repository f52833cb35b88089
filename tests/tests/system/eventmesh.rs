//! A node as a mesh: EventMesh 1.x over gRPC, as a client of any language sees it.

use std::collections::BTreeSet;

use cloud_uplink::eventmesh::{
    Envelope, Sender,
    attribute::{CLIENT_TYPE, CONSUMER_GROUP, RESPONSE_MESSAGE, STATUS_CODE, TIME},
    encode,
    proto::{
        CloudEvent, CloudEventBatch,
        cloud_event::{Data, cloud_event_attribute_value::Attr},
        consumer_service_client::ConsumerServiceClient,
        heartbeat_service_client::HeartbeatServiceClient,
        publisher_service_client::PublisherServiceClient,
    },
};
use filters::Event;
use tests::{Reading, TestNode, within};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming, transport::Channel};

mod publishing;
mod subscribing;

#[tokio::test]
async fn what_mqtt_clients_send_reaches_a_group_at_a_second_node_that_is_killed_in_between() {
    let mut hub = TestNode::start().await;
    let uplink = format!(
        "[[uplink]]\nname = \"mesh\"\nkind = \"eventmesh-grpc\"\nendpoints = [\"http://{}\"]",
        hub.grpc()
    );
    let edge = TestNode::builder().config(&uplink).start().await;
    let topic = "pump-7-reading";
    let before = Mesh::of(&hub)
        .subscribe("g", "1", topic, "CLUSTERING")
        .await;
    let mut device = edge.connect("pump-7").await;

    device.publish_readings(0..100).await;
    edge.wait_until_drained("mesh").await;
    hub.kill().await;
    drop(before);
    device.publish_readings(100..200).await;
    hub.start_again().await;
    let mut back = Mesh::of(&hub)
        .subscribe("g", "1", topic, "CLUSTERING")
        .await;

    let mut missing: BTreeSet<u64> = (0..200).collect();
    while !missing.is_empty() {
        let event = back.next().await;
        assert_eq!(event.text("mqtttopic"), Some("pump-7/reading"));
        let Some(Data::TextData(data)) = event.data else {
            panic!("no JSON: {event:?}");
        };
        missing.remove(&Reading::parse(data.as_bytes()).unwrap().number);
    }
}

/// A client of the mesh.
struct Mesh(Channel);

/// A subscriber's stream.
struct Subscriber {
    answer: CloudEvent,
    events: Streaming<CloudEvent>,
    /// Held open: the end of what a client says ends its stream.
    _requests: mpsc::Sender<CloudEvent>,
}

impl Mesh {
    fn of(node: &TestNode) -> Mesh {
        let endpoint = Channel::from_shared(format!("http://{}", node.grpc())).unwrap();
        Mesh(endpoint.connect_lazy())
    }

    fn publisher(&self) -> PublisherServiceClient<Channel> {
        PublisherServiceClient::new(self.0.clone())
    }

    fn consumer(&self) -> ConsumerServiceClient<Channel> {
        ConsumerServiceClient::new(self.0.clone())
    }

    fn heartbeats(&self) -> HeartbeatServiceClient<Channel> {
        HeartbeatServiceClient::new(self.0.clone())
    }

    async fn publish(&self, message: CloudEvent) -> CloudEvent {
        let mut publisher = self.publisher();
        within("an answer to publish", publisher.publish(message))
            .await
            .unwrap()
            .into_inner()
    }

    async fn publish_batch(&self, events: Vec<CloudEvent>) -> CloudEvent {
        let mut publisher = self.publisher();
        let call = publisher.batch_publish(CloudEventBatch { events });
        within("an answer to batchPublish", call)
            .await
            .unwrap()
            .into_inner()
    }

    async fn subscribe(&self, group: &str, pid: &str, topic: &str, mode: &str) -> Subscriber {
        let subscriber = self
            .subscribe_with(subscription(group, pid, topic, mode))
            .await;
        assert_eq!(code(&subscriber.answer), "0", "{:?}", subscriber.answer);
        subscriber
    }

    async fn subscribe_with(&self, subscription: CloudEvent) -> Subscriber {
        let (requests, stream) = mpsc::channel(1);
        requests.send(subscription).await.unwrap();
        let mut consumer = self.consumer();
        let call = consumer.subscribe_stream(ReceiverStream::new(stream));
        let mut events = within("a stream", call).await.unwrap().into_inner();
        let answer = within("an answer to subscribe", events.message())
            .await
            .unwrap()
            .unwrap();
        Subscriber {
            answer,
            events,
            _requests: requests,
        }
    }
}

impl Subscriber {
    async fn next(&mut self) -> CloudEvent {
        within("an event", self.events.message())
            .await
            .unwrap()
            .expect("the stream goes on")
    }
}

fn code(answer: &CloudEvent) -> &str {
    answer.text(STATUS_CODE).unwrap()
}

fn message(id: &str, topic: &str) -> CloudEvent {
    let event = Event::builder(id, "/tests", "test").datacontenttype("application/json");
    let event = event
        .data(filters::Data::Json(b"{\"n\":1}".to_vec()))
        .build()
        .unwrap();
    let sender = Sender::default();
    encode(
        event,
        &Envelope {
            mesh_topic: topic,
            mqtt_topic: None,
            sender: &sender,
            as_first_sent: false,
        },
    )
}

fn subscription(group: &str, pid: &str, topic: &str, mode: &str) -> CloudEvent {
    let mut subscription = message("subscription", "-");
    for name in [
        "subject",
        "ttl",
        "uniqueid",
        "seqnum",
        "producergroup",
        "protocoldesc",
    ] {
        subscription.attributes.remove(name);
    }
    subscription.set_text(CONSUMER_GROUP, group);
    subscription.set_text("pid", pid);
    let items = serde_json::json!([{ "topic": topic, "mode": mode, "type": "ASYNC" }]);
    subscription.data = Some(Data::TextData(items.to_string()));
    subscription
}
