//! Two nodes, one the mesh of the other: an event is heard at the hub on the topic it was published on at the edge, and by
//! those who use the mesh's own topics under the one that carried it.

use cloud_uplink::eventmesh::{
    Envelope, Sender,
    attribute::{CONSUMER_GROUP, STATUS_CODE},
    encode,
    proto::{CloudEvent, cloud_event::Data, consumer_service_client::ConsumerServiceClient},
};
use filters::Event;
use tests::{Device, NodeBuilder, TestNode, within};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

#[tokio::test]
async fn over_grpc_an_event_is_heard_on_its_mqtt_topic_and_on_its_mesh_topic() {
    both_topics("eventmesh-grpc", TestNode::grpc).await;
}

#[tokio::test]
async fn over_http_an_event_is_heard_on_its_mqtt_topic_and_on_its_mesh_topic() {
    both_topics("eventmesh-http", TestNode::http).await;
}

async fn both_topics(kind: &str, door: fn(&TestNode) -> std::net::SocketAddr) {
    let hub = TestNode::start().await;
    let mut live = hub.connect("live").await;
    live.subscribe("plant/+/state", 1).await;
    let mut keeper = hub.connect_durable("keeper").await;
    keeper.subscribe("plant/#", 1).await;
    keeper.disconnect().await;
    let mut flat = hub.connect("flat").await;
    flat.subscribe("edge_plant-pump7-state", 1).await;
    let mut by_mesh_topic = Consumer::subscribe(&hub, "one", "edge_plant-pump7-state").await;
    let mut by_mqtt_topic = Consumer::subscribe(&hub, "two", "plant/pump7/state").await;

    let node = edge(kind, door(&hub)).start().await;
    node.connect("pump7")
        .await
        .publish("plant/pump7/state", "{\"on\":true}")
        .await
        .unwrap();

    hears(&mut live).await;
    hears(&mut hub.connect_durable("keeper").await).await;
    for consumer in [&mut by_mesh_topic, &mut by_mqtt_topic] {
        let event = consumer.next().await;
        assert_eq!(event.text("subject"), Some("edge_plant-pump7-state"));
        assert_eq!(event.text("mqtttopic"), Some("plant/pump7/state"));
        assert_eq!(event.text("cesubject"), Some("plant/pump7/state"));
        assert_eq!(event.text("meshtopic"), None);
        assert_eq!(event.data, Some(Data::TextData("{\"on\":true}".to_owned())));
    }
    // MQTT knows one topic of a message. Were it heard here, it would be before this one.
    let mut other = hub.connect("other").await;
    other.publish("edge_plant-pump7-state", "x").await.unwrap();
    assert_eq!(flat.next_message().await.unwrap().payload, "x");
}

/// The second hub is as good as the first: the topic it was published on is the same at every hop.
#[tokio::test]
async fn a_second_hub_hears_the_topic_of_the_edge_too() {
    let last = TestNode::start().await;
    let mut screen = last.connect("screen").await;
    screen.subscribe("plant/#", 1).await;
    let hub = edge("eventmesh-grpc", last.grpc()).start().await;
    let node = edge("eventmesh-http", hub.http()).start().await;
    node.connect("pump7")
        .await
        .publish("plant/pump7/state", "{\"on\":true}")
        .await
        .unwrap();
    hears(&mut screen).await;
}

/// A hub of the defaults takes whatever a node of the defaults acknowledged.
#[tokio::test]
async fn an_event_of_the_largest_packet_arrives_by_every_kind_of_uplink() {
    let topic = "plant/pump7/image";
    // Its fixed header has 4 bytes, its topic 2 more than it is long, its packet identifier 2, its properties 1.
    let payload = vec![0xff; (1 << 20) - 9 - topic.len()];
    for kind in ["http", "eventmesh-http", "eventmesh-grpc"] {
        let hub = TestNode::start().await;
        let mut screen = hub.connect("screen").await;
        screen.subscribe("#", 0).await;
        let uplink = match kind {
            "http" => {
                let hub = hub.http();
                TestNode::builder().config(&format!(
                    "[[uplink]]\nname = \"hub\"\nkind = \"http\"\nendpoints = [\"http://{hub}/events/publish-batch?topic=image\"]"
                ))
            }
            "eventmesh-http" => edge(kind, hub.http()),
            _ => edge(kind, hub.grpc()),
        };
        let node = uplink.start().await;
        let mut camera = node.connect("camera").await;
        camera.publish(topic, payload.clone()).await.unwrap();
        let came = screen.next_message().await.unwrap();
        assert_eq!(came.payload.len(), payload.len(), "{kind}");
        assert!(came.payload.iter().all(|byte| *byte == 0xff), "{kind}");
    }
}

fn edge(kind: &str, hub: std::net::SocketAddr) -> NodeBuilder {
    TestNode::builder().config(&format!(
        "[[uplink]]\nname = \"hub\"\nkind = \"{kind}\"\nendpoints = [\"http://{hub}\"]\ntopic = \"edge_{{topic}}\""
    ))
}

async fn hears(subscriber: &mut Device) {
    let came = subscriber.next_message().await.unwrap();
    assert_eq!(
        (came.topic.as_str(), &came.payload[..]),
        ("plant/pump7/state", b"{\"on\":true}".as_slice())
    );
}

/// A subscriber over EventMesh's gRPC.
struct Consumer {
    events: Streaming<CloudEvent>,
    /// Held open: its end would end the subscription.
    _requests: mpsc::Sender<CloudEvent>,
}

impl Consumer {
    async fn subscribe(hub: &TestNode, group: &str, topic: &str) -> Consumer {
        let envelope = Envelope {
            mesh_topic: "-",
            mqtt_topic: None,
            sender: &Sender::default(),
            as_first_sent: false,
        };
        let event = Event::builder("1", "/tests", "subscription").build();
        let mut subscription = encode(event.unwrap(), &envelope);
        subscription.set_text(CONSUMER_GROUP, group);
        let items = serde_json::json!([{ "topic": topic, "mode": "CLUSTERING", "type": "ASYNC" }]);
        subscription.data = Some(Data::TextData(items.to_string()));

        let address = format!("http://{}", hub.grpc());
        let mut client = ConsumerServiceClient::connect(address).await.unwrap();
        let (requests, stream) = mpsc::channel(1);
        requests.send(subscription).await.unwrap();
        let call = client.subscribe_stream(ReceiverStream::new(stream));
        let events = within("a stream", call).await.unwrap().into_inner();
        let mut consumer = Consumer {
            events,
            _requests: requests,
        };
        let answer = consumer.next().await;
        assert_eq!(answer.text(STATUS_CODE), Some("0"), "{answer:?}");
        consumer
    }

    async fn next(&mut self) -> CloudEvent {
        within("an event", self.events.message())
            .await
            .unwrap()
            .expect("the stream goes on")
    }
}
