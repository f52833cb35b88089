//! PublisherService: what is taken, what is refused and how it is said.

use super::*;

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
