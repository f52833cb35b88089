use std::{collections::VecDeque, io, net::SocketAddr, sync::Mutex, time::Instant};

use filters::{Data, Event};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
};
use tonic::{Code, Request, Response, Status, transport::server::TcpIncoming};

use super::*;
use crate::eventmesh::{
    attribute::{RESPONSE_MESSAGE, STATUS_CODE},
    proto::{
        CloudEvent, CloudEventBatch,
        publisher_service_server::{PublisherService, PublisherServiceServer},
    },
};

#[tokio::test]
async fn every_status_code_of_eventmesh_means_what_the_runtimes_showed() {
    let refused = |error: &str| Outcome::Refused {
        error: error.to_owned(),
    };
    let doubtful = |error: &str| Outcome::Doubtful {
        error: error.to_owned(),
    };
    let overloaded = |error: &str| Outcome::Overloaded {
        retry_after: None,
        error: error.to_owned(),
    };
    for (code, message, expected) in [
        (
            "0",
            "success SendResult[topic=T, messageId=0]",
            Outcome::Accepted,
        ),
        (
            "14",
            "eventMesh send async msg err,  org.apache.StorageRuntimeException: Send message error, topic: T\n\tat x",
            doubtful(
                "14: eventMesh send async msg err,  org.apache.StorageRuntimeException: Send message error, topic: T",
            ),
        ),
        (
            "14",
            "eventMesh send async msg err,  Invalid extensions name: A-b",
            refused("14: eventMesh send async msg err,  Invalid extensions name: A-b"),
        ),
        (
            "14",
            "Invalid attribute/extension value: time",
            refused("14: Invalid attribute/extension value: time"),
        ),
        (
            "14",
            "eventMesh send async msg err,  null",
            refused("14: eventMesh send async msg err,  null"),
        ),
        (
            "6",
            "eventMesh CloudEvent[header] err, ",
            refused("6: eventMesh CloudEvent[header] err, "),
        ),
        (
            "7",
            "eventMesh CloudEvent[body] err, ",
            refused("7: eventMesh CloudEvent[body] err, "),
        ),
        (
            "21",
            "eventMesh send message speed over the limit err.",
            overloaded("21: eventMesh send message speed over the limit err."),
        ),
        (
            "1",
            "eventMesh overload, try later, ",
            overloaded("1: eventMesh overload, try later, "),
        ),
        ("20", "eventMesh acl err", doubtful("20: eventMesh acl err")),
        (
            "13",
            "eventMesh group producer stopped, ",
            doubtful("13: eventMesh group producer stopped, "),
        ),
        (
            "16",
            "eventMesh runtime err, ",
            doubtful("16: eventMesh runtime err, "),
        ),
    ] {
        let mesh = Mesh::start([Play::Answer(code, message)]).await;
        assert_eq!(
            mesh.sink().send_one(&event()).await,
            expected,
            "{code} {message}"
        );
    }
}

#[tokio::test]
async fn a_failed_call_is_never_held_against_an_event_unless_it_is_about_its_size() {
    let large = Event::builder("1", "/s", "t").data(Data::Binary(vec![7; 5_000_000]));
    let large = large
        .datacontenttype("application/octet-stream")
        .build()
        .unwrap();
    let status = |code: Code, message: &str| Play::Fail(Status::new(code, message));
    for (play, event, expected) in [
        (
            status(
                Code::ResourceExhausted,
                "gRPC message exceeds maximum size 4194304: 5000385",
            ),
            &large,
            "too large",
        ),
        (
            status(
                Code::ResourceExhausted,
                "gRPC message exceeds maximum size 1000: 1001",
            ),
            &event(),
            "too large",
        ),
        (
            status(
                Code::OutOfRange,
                "decoded message length too large: found 9 bytes",
            ),
            &event(),
            "too large",
        ),
        (
            status(
                Code::ResourceExhausted,
                "grpc: received message larger than max (1001 vs. 1000)",
            ),
            &event(),
            "too large",
        ),
        (
            status(Code::ResourceExhausted, "Message too large"),
            &event(),
            "too large",
        ),
        (
            status(Code::ResourceExhausted, "in words of its own"),
            &large,
            "too large",
        ),
        (
            status(Code::Cancelled, "RST_STREAM closed stream"),
            &large,
            "too large",
        ),
        (
            status(Code::Cancelled, "RST_STREAM closed stream"),
            &event(),
            "unavailable",
        ),
        (
            status(Code::ResourceExhausted, "slow down"),
            &event(),
            "overloaded",
        ),
        (
            status(Code::Unavailable, "Connection reset by peer"),
            &event(),
            "unavailable",
        ),
        (
            status(Code::Unavailable, "Connection reset by peer"),
            &large,
            "unavailable",
        ),
        (
            status(Code::DeadlineExceeded, "the store takes its time"),
            &event(),
            "unavailable",
        ),
        (
            status(Code::Unimplemented, "no such method"),
            &event(),
            "unavailable",
        ),
        (
            status(Code::Unauthenticated, "who?"),
            &event(),
            "unavailable",
        ),
        (
            status(Code::PermissionDenied, "not this topic"),
            &event(),
            "doubtful",
        ),
        (
            status(Code::Unknown, "NullPointerException"),
            &event(),
            "doubtful",
        ),
        (Play::NoCode, &event(), "unavailable"),
    ] {
        let shown = format!("{play:?}");
        let mesh = Mesh::start([play]).await;
        let outcome = mesh.sink().send_one(event).await;
        assert_eq!(kind(&outcome), expected, "{shown}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_stream_reset_because_of_the_size_is_about_the_size() {
    let large = Event::builder("1", "/s", "t").data(Data::Binary(vec![7; 5_000_000]));
    let large = large
        .datacontenttype("application/octet-stream")
        .build()
        .unwrap();
    const CANCEL: u8 = 8;
    const INTERNAL_ERROR: u8 = 2;
    for (event, reason, expected) in [
        (&large, CANCEL, "too large"),
        (&event(), CANCEL, "unavailable"),
        (&event(), INTERNAL_ERROR, "unavailable"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(reset_every_stream(listener, reason));
        let outcome = sink(&[address]).send_one(event).await;
        assert_eq!(kind(&outcome), expected, "{outcome:?}");
        server.abort();
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_ends_with_the_settings_and_the_next_event_has_a_fresh_connection()
 {
    let mesh = Mesh::start([Play::Hang, Play::Answer("0", "")]).await;
    // Short for the first answer, which never comes, and enough for the second one.
    let sink = GrpcSink::new(GrpcSettings {
        endpoints: vec![format!("http://{}", mesh.address)],
        answer_within: Duration::from_secs(10),
        ..settings()
    });
    let sink = sink.unwrap();
    let began = Instant::now();
    assert_eq!(
        sink.send_one(&event()).await,
        Outcome::Unavailable {
            retry_after: None,
            error: format!("http://{}/: no answer within 10s", mesh.address)
        }
    );
    assert!(began.elapsed() >= Duration::from_secs(10));
    assert_eq!(sink.send_one(&event()).await, Outcome::Accepted);
}

#[tokio::test]
async fn the_next_endpoint_takes_over_at_once_from_one_that_is_gone() {
    let gone = silent();
    let mesh = Mesh::start([Play::Answer("0", ""), Play::Answer("0", "")]).await;
    let sink = sink(&[gone.local_addr().unwrap(), mesh.address]);
    assert_eq!(sink.send_one(&event()).await, Outcome::Accepted);
    assert_eq!(sink.send_one(&event()).await, Outcome::Accepted);
}

#[tokio::test]
async fn a_mesh_that_stops_is_left_for_the_next() {
    let stopping = Mesh::start([Play::Answer("8", "eventMesh will stop or had stopped, ")]).await;
    let other = Mesh::start([Play::Answer("0", "")]).await;
    let sink = sink(&[stopping.address, other.address]);
    assert_eq!(sink.send_one(&event()).await, Outcome::Accepted);
}

#[tokio::test]
async fn a_mesh_that_comes_back_is_used_again() {
    let gone = silent();
    let sink = sink(&[gone.local_addr().unwrap()]);
    assert_eq!(kind(&sink.send_one(&event()).await), "unavailable");
    let listener = gone.listen(16).unwrap();
    let _mesh = Mesh::on(listener, [Play::Answer("0", "")]);
    assert_eq!(sink.send_one(&event()).await, Outcome::Accepted);
}

#[tokio::test]
async fn a_doubtful_event_ends_its_batch_and_one_refused_for_good_does_not() {
    let plays = [
        Play::Answer("7", "body"),
        Play::Answer("0", ""),
        Play::Answer("14", "store"),
        Play::Answer("0", ""),
    ];
    let mesh = Mesh::start(plays).await;
    let sink = mesh.sink();
    let item = Arc::new(sink.prepared(&event()).item);
    let batch = Batch {
        target: Arc::from("T"),
        items: vec![item.clone(), item.clone(), item.clone(), item],
    };
    let Answer::Each(outcomes) = sink.send(batch).await else {
        panic!("one outcome for each")
    };
    let kinds: Vec<_> = outcomes.iter().map(kind).collect();
    assert_eq!(kinds, ["refused", "accepted", "doubtful"]);
}

#[tokio::test]
async fn what_arrives_is_the_event_on_the_mesh_topic_of_its_mqtt_topic() {
    let mesh = Mesh::start([Play::Answer("0", "")]).await;
    let sink = mesh.sink();
    assert_eq!(sink.prepared(&event()).target.as_ref(), "edge-a-b");
    sink.send_one(&event()).await;

    let arrived = mesh.script.arrived.lock().unwrap().remove(0);
    assert_eq!(arrived.text("subject"), Some("edge-a-b"));
    assert_eq!(arrived.text("mqtttopic"), Some("a/b"));
    let received = crate::eventmesh::decode(arrived).unwrap().event;
    assert_eq!((received.id.as_str(), received.data), ("1", event().data));
}

#[tokio::test]
async fn only_plain_urls_are_endpoints() {
    let endpoints = |urls: &[&str]| urls.iter().map(|it| (*it).to_owned()).collect();
    let new = |urls: &[&str]| {
        GrpcSink::new(GrpcSettings {
            endpoints: endpoints(urls),
            ..settings()
        })
        .map(|_| ())
    };
    assert_eq!(new(&[]), Err(EndpointError::Missing));
    assert_eq!(new(&["http://127.0.0.1:10205"]), Ok(()));
    for url in ["https://h:1", "h:1", "http://h:1/path", "", "http://"] {
        assert_eq!(
            new(&["http://h:1", url]),
            Err(EndpointError::Invalid(url.to_owned()))
        );
    }
    for (url, shown) in [
        ("http://h:1?key=SECRET", "http://h:1"),
        ("http://me:SECRET@h:1", "http://…@h:1"),
    ] {
        assert_eq!(
            new(&[url]),
            Err(EndpointError::Invalid(shown.to_owned())),
            "and no secret of it is shown"
        );
    }
}

/// What the mesh does with the next call.
#[derive(Debug)]
enum Play {
    Answer(&'static str, &'static str),
    NoCode,
    Fail(Status),
    Hang,
}

/// A mesh that plays a script.
struct Mesh {
    address: SocketAddr,
    script: Arc<Script>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Script {
    plays: Mutex<VecDeque<Play>>,
    arrived: Mutex<Vec<CloudEvent>>,
    never: Notify,
}

impl Mesh {
    async fn start(plays: impl IntoIterator<Item = Play>) -> Mesh {
        Mesh::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), plays)
    }

    fn on(listener: TcpListener, plays: impl IntoIterator<Item = Play>) -> Mesh {
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Script {
            plays: Mutex::new(plays.into_iter().collect()),
            ..Script::default()
        });
        let service =
            PublisherServiceServer::from_arc(script.clone()).max_decoding_message_size(16 << 20);
        let server = tonic::transport::Server::builder().add_service(service);
        let server = tokio::spawn(async move {
            server
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .unwrap();
        });
        Mesh {
            address,
            script,
            server,
        }
    }

    fn sink(&self) -> GrpcSink {
        sink(&[self.address])
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tonic::async_trait]
impl PublisherService for Script {
    async fn publish(&self, request: Request<CloudEvent>) -> Result<Response<CloudEvent>, Status> {
        self.arrived.lock().unwrap().push(request.into_inner());
        let play = self
            .plays
            .lock()
            .unwrap()
            .pop_front()
            .expect("a play for each call");
        let mut answer = CloudEvent {
            id: "answer".to_owned(),
            spec_version: "1.0".to_owned(),
            ..CloudEvent::default()
        };
        match play {
            Play::Answer(code, message) => {
                answer.set_text(STATUS_CODE, code);
                answer.set_text(RESPONSE_MESSAGE, message);
                Ok(Response::new(answer))
            }
            Play::NoCode => Ok(Response::new(answer)),
            Play::Fail(status) => Err(status),
            Play::Hang => {
                self.never.notified().await;
                Err(Status::internal("nobody notifies"))
            }
        }
    }

    async fn request_reply(&self, _: Request<CloudEvent>) -> Result<Response<CloudEvent>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn publish_one_way(&self, _: Request<CloudEvent>) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn batch_publish(
        &self,
        _: Request<CloudEventBatch>,
    ) -> Result<Response<CloudEvent>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn batch_publish_one_way(
        &self,
        _: Request<CloudEventBatch>,
    ) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("not played"))
    }
}

/// Answers every HEADERS frame of HTTP/2 with RST_STREAM, as runtime 1.10 does (8) in the middle of a large message.
async fn reset_every_stream(listener: TcpListener, reason: u8) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(reset_streams(stream, reason));
    }
}

async fn reset_streams(mut stream: TcpStream, reason: u8) -> io::Result<()> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.read_exact(&mut [0; 24]).await?;
    stream.write_all(&SETTINGS).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).await?;
        if head[3] == 1 {
            let mut reset = vec![0, 0, 4, 3, 0];
            reset.extend(&head[5..9]);
            reset.extend([0, 0, 0, reason]);
            stream.write_all(&reset).await?;
        }
    }
}

/// Bound, so that nobody else listens there, and refuses until it listens.
fn silent() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

fn settings() -> GrpcSettings {
    GrpcSettings {
        endpoints: Vec::new(),
        topic: MeshTopic::new(Some("edge-{topic}".to_owned())),
        sender: Sender::default(),
        answer_within: Duration::from_secs(60),
    }
}

fn sink(addresses: &[SocketAddr]) -> GrpcSink {
    let endpoints = addresses.iter().map(|it| format!("http://{it}")).collect();
    GrpcSink::new(GrpcSettings {
        endpoints,
        ..settings()
    })
    .unwrap()
}

fn event() -> Event {
    let event = Event::builder("1", "/s", "t").datacontenttype("text/plain");
    event.data(Data::Text("on".to_owned())).build().unwrap()
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => "accepted",
        Outcome::Overloaded { .. } => "overloaded",
        Outcome::Unavailable { .. } => "unavailable",
        Outcome::Refused { .. } => "refused",
        Outcome::Doubtful { .. } => "doubtful",
        Outcome::TooLarge { .. } => "too large",
    }
}

impl GrpcSink {
    fn prepared(&self, event: &Event) -> Prepared<Bytes> {
        let outgoing = Outgoing {
            topic: "a/b".to_owned(),
            sink_topic: None,
            unfit: None,
            event: event.clone(),
            origin: None,
            expires: None,
        };
        self.prepare(outgoing, &mut Vec::new()).unwrap()
    }

    async fn send_one(&self, event: &Event) -> Outcome {
        let prepared = self.prepared(event);
        let batch = Batch {
            target: prepared.target,
            items: vec![Arc::new(prepared.item)],
        };
        let Answer::Each(mut outcomes) = self.send(batch).await else {
            panic!("one outcome for each")
        };
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }
}
