//! What a sink's peer sent is not sent back to it, wherever the two of them are.

use tests::{Reading, TestNode, wait_until};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

/// Both on one machine, one by a name and behind a relay: no address tells who is who.
#[tokio::test]
async fn two_nodes_that_send_each_other_everything_do_not_echo() {
    let way = TcpListener::bind("localhost:0").await.unwrap();
    let port = way.local_addr().unwrap().port();
    let one = uplink("two", "eventmesh-http", &format!("localhost:{port}")).await;
    let two = uplink("one", "eventmesh-grpc", &one.grpc().to_string()).await;
    let relay = tokio::spawn(relay(way, two.http()));
    let mut screen = one.connect("screen").await;
    screen.subscribe("pump-7/reading", 1).await;
    let mut device = one.connect("pump-7").await;

    // Until a peer has answered once, nobody knows who it is: the first event may come back, and goes no further.
    device.publish_readings([1]).await;
    wait_until(
        "the first has come back and is not sent again",
        async || one.sink("two").await["not_sent_back"] == 1,
    )
    .await;
    device.publish_readings(2..=20).await;
    wait_until("the others do not come back", async || {
        two.sink("one").await["not_sent_back"] == 19
    })
    .await;
    one.wait_until_drained("two").await;
    two.wait_until_drained("one").await;
    device.publish("pump-7/reading", "the end").await.unwrap();
    let mut seen = Vec::new();
    while let Some(reading) = Reading::parse(&screen.next_message().await.unwrap().payload) {
        seen.push(reading.number);
    }
    let wanted: Vec<u64> = [1, 1].into_iter().chain(2..=20).collect();
    assert_eq!(seen, wanted);
    relay.abort();
}

/// Nobody in it gets back what it sent from the one it sent it to: only the count of nodes ends the round.
#[tokio::test]
async fn in_a_ring_of_three_an_event_that_passed_more_than_eight_nodes_goes_no_further() {
    let mut first = TestNode::start().await;
    let third = uplink("first", "eventmesh-http", &first.http().to_string()).await;
    let second = uplink("third", "eventmesh-http", &third.http().to_string()).await;
    let second_door = second.http().to_string();
    first.configure(&link("second", "eventmesh-http", &second_door));
    first.stop().await;
    first.start_again().await;
    let mut screens = Vec::new();
    for node in [&first, &second, &third] {
        let mut screen = node.connect("screen").await;
        screen.subscribe("pump-7/#", 0).await;
        screens.push((node, screen));
    }

    first.connect("pump-7").await.publish_readings([1]).await;
    wait_until("it goes no further", async || {
        first.sink("second").await["dead_letters"] == 1
    })
    .await;
    wait_until("the log says why", async || {
        first.log().contains("it has passed more than 8 nodes")
    })
    .await;
    let mut passed = Vec::new();
    for (node, mut screen) in screens {
        let mut device = node.connect("pump-8").await;
        device.publish_and_forget("pump-7/end", "the end").await;
        let mut seen = 0;
        while Reading::parse(&screen.next_message().await.unwrap().payload).is_some() {
            seen += 1;
        }
        passed.push(seen);
    }
    assert_eq!(passed, [4, 3, 3], "where it began, and three rounds");
}

async fn uplink(name: &str, kind: &str, to: &str) -> TestNode {
    let config = link(name, kind, to);
    TestNode::builder().config(&config).start().await
}

fn link(name: &str, kind: &str, to: &str) -> String {
    format!("[[uplink]]\nname = \"{name}\"\nkind = \"{kind}\"\nendpoints = [\"http://{to}\"]")
}

async fn relay(way: TcpListener, to: std::net::SocketAddr) {
    while let Ok((mut from, _)) = way.accept().await {
        tokio::spawn(async move {
            let mut to = TcpStream::connect(to).await.unwrap();
            let _ = copy_bidirectional(&mut from, &mut to).await; // either end may leave
        });
    }
}
