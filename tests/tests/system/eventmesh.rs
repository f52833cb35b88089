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

#[tokio::test]
async fn the_answer_to_publish_has_the_shape_of_eventmesh() {
    let node = TestNode::start().await;
    let sent = message("1", "plant");
    let answer = Mesh::of(&node).publish(sent.clone()).await;
    let names: Vec<&str> = answer.attributes.keys().map(String::as_str).collect();
    assert_eq!(names, [RESPONSE_MESSAGE, STATUS_CODE, TIME]);
    assert_eq!(answer.text(STATUS_CODE), Some("0"));
    assert_eq!(
        answer.text(RESPONSE_MESSAGE),
        Some("success SendResult[topic=plant, messageId=1]")
    );
    assert!(matches!(
        answer.attributes[TIME].attr,
        Some(Attr::CeTimestamp(_))
    ));
    let rest = (
        answer.spec_version.as_str(),
        answer.source.as_str(),
        answer.r#type.as_str(),
        answer.data,
    );
    assert_eq!(rest, ("1.0", "", "", None));
    assert!(!answer.id.is_empty() && answer.id != sent.id);
}

#[tokio::test]
async fn what_is_published_over_grpc_reaches_mqtt_subscribers_of_its_topic() {
    let node = TestNode::start().await;
    let mut device = node.connect("reader").await;
    device.subscribe("plant/#", 1).await;
    assert_eq!(
        code(&Mesh::of(&node).publish(message("1", "plant/a")).await),
        "0"
    );
    let came = device.next_message().await.unwrap();
    assert_eq!(
        (came.topic.as_str(), &came.payload[..]),
        ("plant/a", b"{\"n\":1}".as_slice())
    );
}

#[tokio::test]
async fn a_subscriber_gets_what_is_published_over_mqtt_with_what_eventmesh_says_of_it() {
    let node = TestNode::start().await;
    let mut subscriber = Mesh::of(&node)
        .subscribe("g", "1", "plant/a", "CLUSTERING")
        .await;
    node.connect("pump")
        .await
        .publish("plant/a", "{\"n\":1}")
        .await
        .unwrap();
    let event = subscriber.next().await;
    assert_eq!(event.text("subject"), Some("plant/a"));
    assert_eq!(event.data, Some(Data::TextData("{\"n\":1}".to_owned())));
    for name in [
        "env",
        "idc",
        "ip",
        "language",
        "passwd",
        "pid",
        "producergroup",
        "protocoldesc",
        "protocoltype",
        "protocolversion",
        "seqnum",
        "sys",
        "ttl",
        "uniqueid",
        "username",
        "reqmq2eventmeshtimestamp",
        "reqeventmesh2ctimestamp",
        "datacontenttype",
        "cesubject",
    ] {
        assert!(
            event.text(name).is_some_and(|it| !it.is_empty()),
            "{name}: {event:?}"
        );
    }
}

#[tokio::test]
async fn the_first_answer_of_a_stream_is_the_subscription_with_its_success() {
    let node = TestNode::start().await;
    let subscription = subscription("g", "1", "plant", "CLUSTERING");
    let subscriber = Mesh::of(&node).subscribe_with(subscription.clone()).await;
    let mut answer = subscriber.answer;
    assert_eq!(answer.text(STATUS_CODE), Some("0"));
    assert_eq!(answer.text(RESPONSE_MESSAGE), Some("subscribe success"));
    for name in [STATUS_CODE, RESPONSE_MESSAGE, TIME] {
        assert!(answer.attributes.remove(name).is_some());
    }
    assert_eq!(answer, subscription);
}

#[tokio::test]
async fn what_was_acknowledged_to_a_publisher_reaches_its_group_after_a_crash() {
    let mut node = TestNode::start().await;
    drop(
        Mesh::of(&node)
            .subscribe("g", "1", "plant", "CLUSTERING")
            .await,
    );
    let mesh = Mesh::of(&node);
    for id in 0..20 {
        assert_eq!(
            code(&mesh.publish(message(&id.to_string(), "plant")).await),
            "0"
        );
    }
    node.restart().await;
    let mut back = Mesh::of(&node)
        .subscribe("g", "2", "plant", "CLUSTERING")
        .await;
    for id in 0..20 {
        assert_eq!(back.next().await.id, id.to_string());
    }
}

#[tokio::test]
async fn what_a_stream_was_handed_is_given_again_when_the_node_crashes() {
    let mut node = TestNode::start().await;
    let mut before = Mesh::of(&node)
        .subscribe("g", "1", "plant", "CLUSTERING")
        .await;
    Mesh::of(&node).publish(message("1", "plant")).await;
    assert_eq!(before.next().await.id, "1");
    node.restart().await;
    let mut back = Mesh::of(&node)
        .subscribe("g", "1", "plant", "CLUSTERING")
        .await;
    assert_eq!(back.next().await.id, "1");
}

#[tokio::test]
async fn what_a_broken_stream_was_handed_goes_to_another_member() {
    let node = TestNode::start().await;
    let mut one = Mesh::of(&node)
        .subscribe("g", "1", "plant", "CLUSTERING")
        .await;
    Mesh::of(&node).publish(message("1", "plant")).await;
    assert_eq!(one.next().await.id, "1");
    let mut two = Mesh::of(&node)
        .subscribe("g", "2", "plant", "CLUSTERING")
        .await;
    drop(one);
    assert_eq!(two.next().await.id, "1");
}

#[tokio::test]
async fn each_broadcasting_member_gets_every_event_and_each_group_too() {
    let node = TestNode::start().await;
    let mesh = Mesh::of(&node);
    let mut members = vec![
        mesh.subscribe("g", "1", "plant", "BROADCASTING").await,
        mesh.subscribe("g", "2", "plant", "BROADCASTING").await,
        mesh.subscribe("other", "3", "plant", "CLUSTERING").await,
    ];
    mesh.publish(message("1", "plant")).await;
    mesh.publish(message("2", "plant")).await;
    for member in &mut members {
        assert_eq!(
            (
                member.next().await.id.as_str(),
                member.next().await.id.as_str()
            ),
            ("1", "2")
        );
    }
}

#[tokio::test]
async fn a_publisher_is_told_what_is_wrong_in_the_codes_of_eventmesh() {
    let node = TestNode::start().await;
    let mesh = Mesh::of(&node);
    let without = |name: &str| {
        let mut message = message("1", "plant");
        message.attributes.remove(name);
        message
    };
    let with = |name: &str, text: &str| {
        let mut message = message("1", "plant");
        message.set_text(name, text);
        message
    };
    for (message, expected) in [
        (
            without("username"),
            ("6", "eventMesh CloudEvent[header] err, "),
        ),
        (
            with("pid", "x"),
            ("6", "eventMesh CloudEvent[header] err, "),
        ),
        (without("ttl"), ("7", "eventMesh CloudEvent[body] err, ")),
        (
            without("subject"),
            ("7", "eventMesh CloudEvent[body] err, "),
        ),
        (
            with("datacontenttype", "Application/JSON"),
            ("7", "eventMesh CloudEvent[body] err, "),
        ),
        (
            with("subject", "a/#"),
            ("7", "eventMesh CloudEvent[body] err, "),
        ),
        (
            with("subject", "$SYS/x"),
            ("7", "eventMesh CloudEvent[body] err, "),
        ),
        (
            with("Bad", "1"),
            (
                "14",
                "eventMesh send async msg err,  Invalid extensions name: Bad",
            ),
        ),
        (
            with("time", "soon"),
            (
                "14",
                "eventMesh send async msg err,  Invalid attribute/extension value",
            ),
        ),
    ] {
        let answer = mesh.publish(message).await;
        let said = answer.text(RESPONSE_MESSAGE).unwrap();
        assert!(
            code(&answer) == expected.0 && said.starts_with(expected.1),
            "{expected:?}: {said}"
        );
    }
    assert_eq!(code(&mesh.publish(without("protocoldesc")).await), "0");
}

#[tokio::test]
async fn a_batch_is_taken_whole_or_refused() {
    let node = TestNode::start().await;
    let mesh = Mesh::of(&node);
    let mut subscriber = mesh.subscribe("g", "1", "plant", "CLUSTERING").await;
    let mut bad = message("2", "plant");
    bad.attributes.remove("ttl");
    let answer = mesh.publish_batch(vec![message("1", "plant"), bad]).await;
    assert_eq!(code(&answer), "7");
    assert!(
        answer
            .text(RESPONSE_MESSAGE)
            .unwrap()
            .contains("event 1: `ttl`")
    );
    let answer = mesh
        .publish_batch(vec![message("3", "plant"), message("4", "plant")])
        .await;
    assert_eq!(
        (code(&answer), answer.text(RESPONSE_MESSAGE)),
        ("0", Some("success batch publish success"))
    );
    assert_eq!(
        (
            subscriber.next().await.id.as_str(),
            subscriber.next().await.id.as_str()
        ),
        ("3", "4")
    );
}

#[tokio::test]
async fn what_is_not_served_is_refused_in_the_codes_of_eventmesh() {
    let node = TestNode::start().await;
    let mesh = Mesh::of(&node);
    let request = mesh
        .publisher()
        .request_reply(message("1", "plant"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(code(&request), "22");
    let webhook = subscription("g", "1", "plant", "CLUSTERING");
    let webhook = mesh
        .consumer()
        .subscribe(webhook)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(code(&webhook), "17");
}

#[tokio::test]
async fn one_way_publishes_are_stored() {
    let node = TestNode::start().await;
    let mesh = Mesh::of(&node);
    let mut subscriber = mesh.subscribe("g", "1", "plant", "CLUSTERING").await;
    mesh.publisher()
        .publish_one_way(message("1", "plant"))
        .await
        .unwrap();
    assert_eq!(subscriber.next().await.id, "1");
    let refused = mesh
        .publisher()
        .publish_one_way(CloudEvent::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_message_over_four_mebibytes_is_refused_for_its_size_and_one_below_is_taken() {
    let node = TestNode::start().await;
    let mesh = Mesh::of(&node);
    let sized = |bytes: usize| {
        let mut message = message("1", "plant");
        message.set_text("datacontenttype", "text/plain");
        message.data = Some(Data::TextData("x".repeat(bytes)));
        message
    };
    assert_eq!(code(&mesh.publish(sized(4_000_000)).await), "0");
    let refused = mesh
        .publisher()
        .publish(sized(4_200_000))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
}

#[tokio::test]
async fn heartbeats_of_strangers_are_told_to_subscribe_again() {
    let node = TestNode::start().await;
    let mesh = Mesh::of(&node);
    let heartbeat = |pid: &str| {
        let mut heartbeat = subscription("g", pid, "plant", "CLUSTERING");
        heartbeat.set(CLIENT_TYPE, Attr::CeInteger(2));
        heartbeat
    };
    let beat = async |pid: &str| {
        let answer = mesh
            .heartbeats()
            .heartbeat(heartbeat(pid))
            .await
            .unwrap()
            .into_inner();
        code(&answer).to_owned()
    };
    assert_eq!(beat("1").await, "30");
    let _subscriber = mesh.subscribe("g", "1", "plant", "CLUSTERING").await;
    assert_eq!(beat("1").await, "0");
    assert_eq!(beat("2").await, "30");
}

#[tokio::test]
async fn unsubscribing_leaves_the_streams_of_others_alone() {
    let node = TestNode::start().await;
    let mesh = Mesh::of(&node);
    let _one = mesh.subscribe("g", "1", "plant", "CLUSTERING").await;
    let mut two = mesh.subscribe("g", "2", "plant", "CLUSTERING").await;
    let end = subscription("g", "1", "plant", "CLUSTERING");
    assert_eq!(
        code(&mesh.consumer().unsubscribe(end).await.unwrap().into_inner()),
        "0"
    );
    for id in ["1", "2", "3"] {
        mesh.publish(message(id, "plant")).await;
        assert_eq!(two.next().await.id, id);
    }
}

#[tokio::test]
async fn a_subscription_that_cannot_be_understood_is_answered_and_ended() {
    let node = TestNode::start().await;
    for (name, expected) in [("username", "6"), (CONSUMER_GROUP, "7")] {
        let mut subscription = subscription("g", "1", "plant", "CLUSTERING");
        subscription.attributes.remove(name);
        let mut subscriber = Mesh::of(&node).subscribe_with(subscription).await;
        assert_eq!(code(&subscriber.answer), expected);
        let end = within("the end of the stream", subscriber.events.message()).await;
        assert_eq!(end.unwrap(), None);
    }
}

#[tokio::test]
async fn a_node_that_stops_ends_its_streams_and_itself() {
    let mut node = TestNode::start().await;
    let mut subscriber = Mesh::of(&node)
        .subscribe("g", "1", "plant", "CLUSTERING")
        .await;
    let ended = node.stop().await;
    assert!(ended.status.success(), "{ended:?}");
    let status = within("the end of the stream", subscriber.events.message())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

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
