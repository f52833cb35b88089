//! Events to mosquitto, a broker that is no node. `./test e2e` installs it.

use std::{
    collections::BTreeSet,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
};

use firmware::{
    cloudevent::Encoding,
    link::Manners,
    publisher::{Destination, Publisher},
};
use tempfile::TempDir;
use tests::{own_address, wait_until, within};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use wire::topic::{DeviceId, Prefix};

use super::{Events, MANNERS, Tcp, Uptime, new_events, publish};

/// A broker that keeps nothing, on an address of its own.
struct Mosquitto {
    at: SocketAddr,
    folder: TempDir,
    process: Option<Child>,
}

impl Mosquitto {
    async fn start() -> Mosquitto {
        let free = TcpListener::bind((own_address(), 0)).unwrap();
        let at = free.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = format!(
            "listener {} {}\nallow_anonymous true\nlog_type all\nlog_dest stderr\n",
            at.port(),
            at.ip()
        );
        std::fs::write(folder.path().join("conf"), file).unwrap();
        drop(free);
        let mut broker = Mosquitto {
            at,
            folder,
            process: None,
        };
        broker.start_again().await;
        broker
    }

    async fn start_again(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap();
        let system = Path::new("/usr/sbin/mosquitto");
        let program = if system.exists() {
            system
        } else {
            Path::new("mosquitto")
        };
        let process = Command::new(program)
            .arg("-c")
            .arg(self.folder.path().join("conf"))
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        self.process = Some(process.expect("it is installed; ./test e2e sees to it"));
        wait_until("mosquitto listens", async || {
            tokio::net::TcpStream::connect(self.at).await.is_ok()
        })
        .await;
    }

    async fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().await.unwrap();
    }

    fn log_file(&self) -> std::path::PathBuf {
        self.folder.path().join("log")
    }

    /// Waits until it has said this.
    async fn says(&self, what: &str) {
        wait_until(&format!("mosquitto says: {what}"), async || {
            let log = std::fs::read_to_string(self.log_file()).unwrap();
            log.contains(what)
        })
        .await;
    }

    /// Reads `count` messages by its own client: topic, content type, user properties, payload.
    fn read(&self, count: usize) -> Child {
        let (host, port, count) = (
            self.at.ip().to_string(),
            self.at.port().to_string(),
            count.to_string(),
        );
        Command::new("mosquitto_sub")
            .args(["-V", "mqttv5", "-i", "reader", "-q", "1", "-t", "events/#"])
            .args(["-h", &host, "-p", &port, "-C", &count, "-W", "100"])
            .args(["-F", "%t %C %P %p"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it is installed; ./test e2e sees to it")
    }
}

async fn lines(reader: Child) -> Vec<String> {
    let output = within("mosquitto_sub ends", reader.wait_with_output())
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Does this work while a device publishes to mosquitto.
async fn with_publisher<T>(
    at: SocketAddr,
    encoding: Encoding,
    work: impl AsyncFnOnce(&Events, Uptime) -> T,
) -> T {
    let (events, clock) = (new_events().await, Uptime::new());
    let to = Destination {
        device: DeviceId::new("pump-7").unwrap(),
        under: Prefix::new("events").unwrap(),
        encoding,
        login: None,
    };
    // What is not taken comes again soon.
    let manners = Manners {
        patience_ms: 1000,
        ..MANNERS
    };
    let mut publisher = Publisher::new(&events, to, (Tcp(at), clock), manners, 3);
    tokio::select! {
        ended = publisher.run() => panic!("the publisher ended: {ended:?}"),
        done = work(&events, clock) => done,
    }
}

#[tokio::test]
async fn mosquitto_gets_an_event_again_until_somebody_subscribes() {
    let broker = Mosquitto::start().await;
    let lines = with_publisher(broker.at, Encoding::Binary, async |events, clock| {
        publish(events, clock, 1).await;
        broker.says(", rc16)").await; // nobody subscribes
        let reader = broker.read(2);
        broker.says("Sending SUBACK to reader").await;
        publish(events, clock, 2).await;
        lines(reader).await
    })
    .await;
    let line = |n: u8| {
        format!(
            "events/pump-7 application/json specversion:1.0 id:00c0ffee00000001-0-{n} source:urn:edge-device:pump-7 \
             type:pump.reading subject:pump-7 timequality:unsynced \
             {{\"n\":{n},\"celsius\":0.1,\"peaks\":[-1,300],\"note\":\"ö\\\"\"}}"
        )
    };
    assert!(lines.contains(&line(1)), "{lines:#?}");
}

#[tokio::test]
async fn what_is_published_while_mosquitto_is_away_arrives_when_it_is_back() {
    let mut broker = Mosquitto::start().await;
    let at = broker.at;
    with_publisher(at, Encoding::Structured, async |events, clock| {
        let reader = broker.read(1);
        broker.says("Sending SUBACK to reader").await;
        publish(events, clock, 1).await;
        assert_eq!(lines(reader).await.len(), 1);
        broker.kill().await;
        for n in 2..5 {
            publish(events, clock, n).await;
        }
        broker.start_again().await;
        // Whoever subscribes in the middle of what is sent gets the rest before what was refused, and what is not taken in time
        // comes twice.
        let mut reader = broker.read(1000);
        let mut lines = BufReader::new(reader.stdout.take().unwrap()).lines();
        let mut missing = BTreeSet::from([2, 3, 4].map(|n| format!("00c0ffee00000001-0-{n}")));
        while !missing.is_empty() {
            let line = within("an event arrives", lines.next_line()).await;
            let line = line.unwrap().expect("the reader goes on");
            let (_, after) = line.split_once(r#""id":""#).expect("an id");
            let (id, _) = after.split_once('"').expect("its end");
            missing.remove(id);
        }
    })
    .await;
}
