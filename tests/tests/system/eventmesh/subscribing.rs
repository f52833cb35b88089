//! ConsumerService and HeartbeatService: groups, members and their streams.

use super::*;

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
