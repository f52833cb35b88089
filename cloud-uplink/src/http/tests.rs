//! Against a receiver that answers by a script, over real sockets.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use ::http::HeaderMap;
use filters::{Data, Event, Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    runtime,
};

use super::{HttpDialect, HttpMode, HttpSettings, HttpSink};
use crate::{Answer, Batch, Outcome, Outgoing, Sink, eventmesh::MeshTopic};

const OK: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_batch_arrives_as_one_json_array_in_its_order() {
    run(async {
        let receiver = Receiver::start(&[OK]).await;
        let sink = sink(&receiver.url("/in"), |_| {});
        assert_eq!(send(&sink, 3).await, Answer::All(Outcome::Accepted));
        let requests = receiver.requests();
        assert_eq!(requests[0].line, "POST /in HTTP/1.1");
        assert_eq!(
            requests[0].header("content-type"),
            Some("application/cloudevents-batch+json")
        );
        assert_eq!(
            json::decode_batch(&requests[0].body).unwrap(),
            (0..3).map(event).collect::<Vec<_>>()
        );
    });
}

#[test]
fn structured_and_binary_mode_carry_the_same_event() {
    run(async {
        let receiver = Receiver::start(&[OK]).await;
        for (mode, media_type) in [
            (HttpMode::Structured, "application/cloudevents+json"),
            (HttpMode::Binary, "application/json"),
        ] {
            let sink = sink(&receiver.url("/"), |settings| settings.mode = mode);
            assert_eq!(send(&sink, 1).await, Answer::Each(vec![Outcome::Accepted]));
            let request = receiver.requests().pop().unwrap();
            assert_eq!(request.header("content-type"), Some(media_type));
            let arrived = match mode {
                HttpMode::Structured => json::decode(&request.body).unwrap(),
                _ => {
                    let headers = request
                        .headers
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_bytes()));
                    filters::http::decode(headers, request.body.clone()).unwrap()
                }
            };
            assert_eq!(arrived, event(0));
        }
    });
}

#[test]
fn eventmesh_gets_its_paths_and_topics_and_the_mqtt_topic_travels() {
    run(async {
        let receiver = Receiver::start(&[OK]).await;
        for (mode, path) in [
            (HttpMode::Batch, "publish-batch"),
            (HttpMode::Structured, "publish"),
        ] {
            let sink = sink(&receiver.url("/mesh/"), |settings| {
                settings.mode = mode;
                settings.dialect =
                    HttpDialect::EventMesh(MeshTopic::new(Some("edge_{topic}".to_owned())));
            });
            send(&sink, 1).await;
            let request = receiver.requests().pop().unwrap();
            assert_eq!(
                request.line,
                format!("POST /mesh/events/{path}?topic=edge_plant-1 HTTP/1.1")
            );
            assert!(String::from_utf8_lossy(&request.body).contains(r#""mqtttopic":"plant/1""#));
        }
    });
}

#[test]
fn a_topic_that_rules_name_stands_in_place_of_what_the_uplink_makes_of_the_topic() {
    let event = || Outgoing {
        topic: "plant/1".to_owned(),
        sink_topic: Some("lines/4".to_owned()),
        unfit: None,
        event: event(1),
        origin: None,
        expires: None,
    };
    let target = |url: &str, dialect: HttpDialect| {
        let sink = sink(url, |settings| settings.dialect = dialect);
        sink.prepare(event(), &mut Vec::new()).unwrap().target
    };
    let mesh = HttpDialect::EventMesh(MeshTopic::new(Some("edge_{topic}".to_owned())));
    assert_eq!(&*target("http://h", mesh), "lines/4");
    assert_eq!(
        &*target("http://h/{topic}", HttpDialect::CloudEvents),
        "lines/4"
    );
    assert_eq!(&*target("http://h/", HttpDialect::CloudEvents), "");
}

#[test]
fn answers_are_told_with_what_the_receiver_said() {
    run(async {
        let receiver = Receiver::start(&[
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nslow",
            "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad",
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n",
        ])
        .await;
        let sink = sink(&receiver.url("/"), |_| {});
        let retry_after = |seconds| Some(Duration::from_secs(seconds));
        let said = |text: &str| text.to_owned();
        for expected in [
            Outcome::Overloaded {
                retry_after: retry_after(3),
                error: said("429 Too Many Requests: slow"),
            },
            Outcome::TooLarge {
                error: said("413 Payload Too Large"),
            },
            Outcome::Doubtful {
                error: said("400 Bad Request: bad"),
            },
            Outcome::Unavailable {
                retry_after: None,
                error: said("401 Unauthorized"),
            },
            Outcome::Unavailable {
                retry_after: retry_after(9),
                error: said("503 Service Unavailable"),
            },
        ] {
            assert_eq!(send(&sink, 1).await, Answer::All(expected));
        }
        assert_eq!(receiver.connections(), 1, "the connection is kept");
    });
}

#[test]
fn no_answer_in_time_is_unavailable_and_an_endless_answer_is_not_read_to_its_end() {
    run(async {
        let endless = format!(
            "HTTP/1.1 202 Accepted\r\nContent-Length: 1000000\r\n\r\n{}",
            "x".repeat(500_000)
        );
        // One for each: the first request may never have come to its receiver.
        let (silent, wordy) = (
            Receiver::start(&[""]).await,
            Receiver::start(&[&endless]).await,
        );
        let hasty = sink(&silent.url("/"), |settings| {
            settings.answer_within = Duration::from_millis(300)
        });
        let error = "no answer within 300ms".to_owned();
        assert_eq!(
            send(&hasty, 1).await,
            Answer::All(Outcome::Unavailable {
                retry_after: None,
                error
            })
        );
        let patient = sink(&wordy.url("/"), |_| {});
        assert_eq!(send(&patient, 1).await, Answer::All(Outcome::Accepted));
    });
}

#[test]
fn another_endpoint_takes_over_and_is_kept() {
    run(async {
        // Bound, so that nobody else listens there, and refuses since it does not listen either.
        let gone = TcpSocket::new_v4().unwrap();
        gone.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let dead = format!("http://{}/", gone.local_addr().unwrap());
        let receiver = Receiver::start(&[OK]).await;
        let sink = sink(&dead, |settings| settings.endpoints.push(receiver.url("/")));
        assert_eq!(send(&sink, 1).await, Answer::All(Outcome::Accepted));
        assert_eq!(sink.endpoints.current(), 1);
        drop(receiver);
    });
}

#[test]
fn what_one_endpoint_has_no_time_for_another_takes_at_once() {
    const BUSY: &str =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n";
    const SOON: &str =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";
    run(async {
        let busy = Receiver::start(&[BUSY]).await;
        let other = Receiver::start(&[OK, SOON]).await;
        let sink = sink(&busy.url("/"), |settings| {
            settings.endpoints.push(other.url("/"))
        });
        assert_eq!(send(&sink, 1).await, Answer::All(Outcome::Accepted));
        assert_eq!(busy.requests().len(), 1);
        let Answer::All(Outcome::Unavailable { retry_after, .. }) = send(&sink, 1).await else {
            panic!("neither takes it")
        };
        assert_eq!(retry_after, Some(Duration::from_secs(5)));
    });
}

#[test]
fn after_a_refusal_another_endpoint_is_asked() {
    run(async {
        let strange = Receiver::start(&[FORBIDDEN]).await;
        let other = Receiver::start(&[OK]).await;
        let sink = sink(&strange.url("/"), |settings| {
            settings.endpoints.push(other.url("/"))
        });
        let refused = send(&sink, 1).await;
        assert!(
            matches!(refused, Answer::All(Outcome::Doubtful { .. })),
            "{refused:?}"
        );
        assert_eq!(send(&sink, 1).await, Answer::All(Outcome::Accepted));
        assert_eq!(strange.requests().len(), 1);
    });
}

#[test]
fn single_events_behind_one_that_is_not_taken_are_not_sent() {
    run(async {
        let receiver = Receiver::start(&[OK, FORBIDDEN, OK]).await;
        let sink = sink(&receiver.url("/"), |settings| {
            settings.mode = HttpMode::Structured
        });
        let Answer::Each(outcomes) = send(&sink, 3).await else {
            panic!("one outcome for each")
        };
        assert!(
            matches!(outcomes[..], [Outcome::Accepted, Outcome::Doubtful { .. }]),
            "{outcomes:?}"
        );
        assert_eq!(receiver.requests().len(), 2);
    });
}

#[test]
fn an_answer_counts_by_its_status_though_its_body_never_comes() {
    run(async {
        let receiver =
            Receiver::start(&["HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n"]).await;
        // The time for the status, too.
        let sink = sink(&receiver.url("/"), |settings| {
            settings.answer_within = Duration::from_secs(10)
        });
        assert_eq!(send(&sink, 1).await, Answer::All(Outcome::Accepted));
        assert_eq!(receiver.requests().len(), 1);
    });
}

#[test]
fn a_renewed_token_is_picked_up_and_a_missing_one_is_told() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        let receiver = Receiver::start(&[
            OK,
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            OK,
            FORBIDDEN,
            OK,
        ])
        .await;
        let sink = sink(&receiver.url("/"), |settings| {
            settings.token_file = Some(token.clone());
            settings.headers.insert("x-tenant", "7".parse().unwrap());
        });
        let Answer::All(Outcome::Unavailable { error, .. }) = send(&sink, 1).await else {
            panic!()
        };
        assert!(
            error.starts_with(&format!("token-file {}: No such file", token.display())),
            "{error}"
        );
        fs::write(&token, "one\n").unwrap();
        assert_eq!(send(&sink, 1).await, Answer::All(Outcome::Accepted));
        fs::write(&token, "second").unwrap();
        assert_ne!(send(&sink, 1).await, Answer::All(Outcome::Accepted));
        assert_eq!(send(&sink, 1).await, Answer::All(Outcome::Accepted));
        fs::write(&token, "the third").unwrap();
        assert_ne!(send(&sink, 1).await, Answer::All(Outcome::Accepted));
        assert_eq!(send(&sink, 1).await, Answer::All(Outcome::Accepted));
        let requests = receiver.requests();
        let tokens: Vec<_> = requests
            .iter()
            .map(|request| request.header("authorization").unwrap())
            .collect();
        // After a refusal the file is looked at again; before it, if it was some time ago.
        assert_eq!(
            (tokens[0], tokens[2], tokens[4], tokens.len()),
            ("Bearer one", "Bearer second", "Bearer the third", 5)
        );
        assert_eq!(requests[0].header("x-tenant"), Some("7"));
        assert!(
            !format!("{sink:?}").contains("second"),
            "the token is in no log"
        );
    });
}

#[test]
fn a_wrong_ca_is_told_and_a_renewed_certificate_is_picked_up() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let (old, new) = (certificate(), certificate());
        let receiver = Receiver::start_tls(&[OK], &new).await;
        let sink = sink(&receiver.url("/"), |settings| {
            settings.ca = Some(ca.clone())
        });
        for (pem, expected) in [
            (None, "No such file"),
            (
                Some("not a certificate"),
                "there is no certificate (PEM) in it",
            ),
            (Some(old.cert.pem().as_str()), "certificate"),
        ] {
            if let Some(pem) = pem {
                fs::write(&ca, pem).unwrap();
            }
            let Answer::All(Outcome::Unavailable { error, .. }) = send(&sink, 1).await else {
                panic!("{pem:?}")
            };
            assert!(error.contains(expected), "{error}");
        }
        replace(&ca, &new.cert.pem());
        assert_eq!(send(&sink, 1).await, Answer::All(Outcome::Accepted));
        assert!(receiver.url("/").starts_with("https://"));
    });
}

fn run(test: impl Future<Output = ()>) {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

fn event(number: usize) -> Event {
    Event::builder(format!("id-{number}"), "/edge", "reading")
        .datacontenttype("application/json")
        .extension("unit", Value::String("°C".to_owned()))
        .data(Data::Json(format!("{{\"value\":{number}.0}}").into_bytes()))
        .build()
        .unwrap()
}

fn sink(url: &str, change: impl FnOnce(&mut HttpSettings)) -> HttpSink {
    let mut settings = HttpSettings {
        endpoints: vec![url.to_owned()],
        dialect: HttpDialect::CloudEvents,
        mode: HttpMode::Batch,
        headers: HeaderMap::new(),
        ca: None,
        token_file: None,
        connect_within: Duration::from_secs(60),
        answer_within: Duration::from_secs(60),
    };
    change(&mut settings);
    HttpSink::new(settings).unwrap()
}

async fn send(sink: &HttpSink, events: usize) -> Answer {
    let outgoing = |number| Outgoing {
        topic: "plant/1".to_owned(),
        sink_topic: None,
        unfit: None,
        event: event(number),
        origin: None,
        expires: None,
    };
    let prepared: Vec<_> = (0..events)
        .map(|it| sink.prepare(outgoing(it), &mut Vec::new()).unwrap())
        .collect();
    let target = Arc::clone(&prepared[0].target);
    let items = prepared
        .into_iter()
        .map(|prepared| Arc::new(prepared.item))
        .collect();
    sink.send(Batch { target, items }).await
}

fn certificate() -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap()
}

/// As certificate tools do it: beside, then renamed.
fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, file).unwrap();
}

#[derive(Clone, Debug)]
struct Arrived {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Arrived {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Script {
    answers: Vec<String>,
    requests: Vec<Arrived>,
    connections: usize,
}

impl Script {
    /// The next answer; the last one again and again. Empty: none.
    fn answer(&mut self) -> String {
        if self.answers.len() > 1 {
            self.answers.remove(0)
        } else {
            self.answers[0].clone()
        }
    }
}

struct Receiver {
    origin: String,
    script: Arc<Mutex<Script>>,
}

impl Receiver {
    async fn start(answers: &[&str]) -> Receiver {
        Receiver::listen(answers, None).await
    }

    async fn start_tls(
        answers: &[&str],
        identity: &rcgen::CertifiedKey<rcgen::KeyPair>,
    ) -> Receiver {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = rustls::pki_types::PrivateKeyDer::try_from(identity.signing_key.serialize_der())
            .unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.cert.der().clone()], key)
            .unwrap();
        Receiver::listen(
            answers,
            Some(tokio_rustls::TlsAcceptor::from(Arc::new(config))),
        )
        .await
    }

    async fn listen(answers: &[&str], tls: Option<tokio_rustls::TlsAcceptor>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{}", listener.local_addr().unwrap());
        let answers = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let script = Arc::new(Mutex::new(Script {
            answers,
            ..Script::default()
        }));
        let shared = Arc::clone(&script);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                match &tls {
                    None => drop(tokio::spawn(serve(stream, Arc::clone(&shared)))),
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            tokio::spawn(serve(stream, Arc::clone(&shared)));
                        }
                    }
                }
            }
        });
        Receiver { origin, script }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    fn requests(&self) -> Vec<Arrived> {
        self.script.lock().unwrap().requests.clone()
    }

    fn connections(&self) -> usize {
        self.script.lock().unwrap().connections
    }
}

/// Reads requests with a length until the peer is gone.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: Arc<Mutex<Script>>) {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
        let mut lines = text.split("\r\n").map(str::to_owned);
        let line = lines.next().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| {
                line.split_once(": ")
                    .map(|(a, b)| (a.to_lowercase(), b.to_owned()))
            })
            .collect();
        let length = headers
            .iter()
            .find(|(name, _)| name == "content-length")
            .map_or(0, |(_, it)| it.parse().unwrap());
        while bytes.len() < head + 4 + length {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = bytes[head + 4..head + 4 + length].to_vec();
        bytes.drain(..head + 4 + length);
        let answer = {
            let mut script = script.lock().unwrap();
            script.requests.push(Arrived {
                line,
                headers,
                body,
            });
            script.answer()
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
