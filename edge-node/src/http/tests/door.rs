//! A door on a free port before a node that is none, and a client that says what it is told to.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Mutex, MutexGuard},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{super::*, PATIENCE};
use crate::{
    device::CommandOutcome,
    node::{
        devices::{CommandStage, DeviceSummary},
        tap::Taps,
    },
};

pub(super) struct OpenDoor {
    pub(super) address: SocketAddr,
    pub(super) node: FakeNode,
    pub(super) counters: Arc<DoorCounters>,
    pub(super) shutdown: Option<oneshot::Sender<()>>,
    pub(super) serving: JoinHandle<()>,
}

impl OpenDoor {
    pub(super) async fn start(config: HttpConfig) -> OpenDoor {
        let listener = TcpListener::bind((own_address(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let node = FakeNode::default();
        let counters = Arc::<DoorCounters>::default();
        let (shutdown, stop) = oneshot::channel::<()>();
        let stop = async {
            let _ = stop.await; // the test has ended
        };
        let mut bounds = Bounds::of(&config);
        bounds.last_requests = PATIENCE;
        let told = Arc::clone(&counters);
        let serving = serve_within(bounds, listener, node.clone(), config, told, stop);
        let serving = tokio::spawn(serving);
        OpenDoor {
            address,
            node,
            counters,
            shutdown: Some(shutdown),
            serving,
        }
    }
}

/// A loopback address that nobody else binds, so that nobody else is given the port of a door that is shut; not every
/// system has more than one.
fn own_address() -> Ipv4Addr {
    let [second, third, fourth] = [(); 3].map(|()| fastrand::u8(1..=254));
    let own = Ipv4Addr::new(127, second, third, fourth);
    match std::net::TcpListener::bind((own, 0)) {
        Ok(_) => own,
        Err(_) => Ipv4Addr::LOCALHOST,
    }
}

#[derive(Clone, Default)]
pub(super) struct FakeNode(pub(super) Arc<Inside>);

#[derive(Default)]
pub(super) struct Inside {
    pub(super) transactions: Mutex<Vec<Vec<Incoming>>>,
    pub(super) orders: Mutex<Vec<CommandOrder>>,
    pub(super) held: Mutex<bool>,
    pub(super) asked: Notify,
    pub(super) commit: Notify,
    pub(super) fails: Mutex<Option<PublishError>>,
    pub(super) status: Mutex<NodeStatus>,
    pub(super) taps: Mutex<Taps>,
}

impl std::ops::Deref for FakeNode {
    type Target = Inside;
    fn deref(&self) -> &Inside {
        &self.0
    }
}

impl FakeNode {
    pub(super) fn hold_commits(&self) {
        *self.held.lock().unwrap() = true;
    }

    pub(super) fn published(&self) -> Vec<Incoming> {
        let transactions: MutexGuard<'_, _> = self.transactions.lock().unwrap();
        transactions.iter().flatten().cloned().collect()
    }
}

impl Node for FakeNode {
    fn id(&self) -> &str {
        "fake"
    }

    async fn publish(&self, _: Origin, events: Vec<Incoming>) -> Result<(), PublishError> {
        if let Some(error) = self.fails.lock().unwrap().clone() {
            return Err(error);
        }
        self.transactions.lock().unwrap().push(events);
        let held = *self.held.lock().unwrap();
        if held {
            self.asked.notify_one();
            self.commit.notified().await;
        }
        Ok(())
    }

    async fn status(&self) -> Result<NodeStatus, PublishError> {
        Ok(self.status.lock().unwrap().clone())
    }

    async fn reload_rules(&self) -> Result<ReloadAnswer, ReloadError> {
        match self.fails.lock().unwrap().is_some() {
            true => Err(ReloadError::Rules {
                what: "rules.toml:3:1: unknown key `topc`".to_owned(),
            }),
            false => Ok(ReloadAnswer { rules: 3 }),
        }
    }

    async fn tap(&self) -> Result<Option<TapReader>, PublishError> {
        Ok(self.taps.lock().unwrap().open())
    }

    async fn remove_sink(&self, name: &str) -> Result<(), RemoveError> {
        let sink = name.to_owned();
        match name {
            "gone" => Ok(()),
            "mesh" => Err(RemoveError::Configured { sink }),
            _ => Err(RemoveError::Unknown { sink }),
        }
    }

    async fn devices(&self, query: DevicesQuery) -> Result<DevicePage, DeviceError> {
        let devices = ["pump-7", "pump/8"].map(summary).into_iter();
        let behind = devices.filter(|it| it.id > query.after);
        Ok(DevicePage {
            devices: behind.take(query.limit).collect(),
            next: None,
        })
    }

    async fn device(&self, device: &str) -> Result<DeviceStatus, DeviceError> {
        let summary = known(device).map(|()| summary(device))?;
        Ok(DeviceStatus {
            summary,
            ..DeviceStatus::default()
        })
    }

    async fn remove_device(&self, device: &str) -> Result<(), DeviceError> {
        known(device)
    }

    async fn command(
        &self,
        device: &str,
        order: CommandOrder,
    ) -> Result<CommandAnswer, DeviceError> {
        known(device)?;
        self.orders.lock().unwrap().push(order);
        let id = "c0ffee00-7".to_owned();
        Ok(CommandAnswer { id })
    }

    async fn commands(&self, device: &str) -> Result<Vec<CommandStatus>, DeviceError> {
        known(device)?;
        Ok(vec![CommandStatus {
            id: "c0ffee00-7".to_owned(),
            name: "open".to_owned(),
            state: CommandStage::Ended,
            outcome: Some(CommandOutcome::Done),
            data_base64: Some(String::new()),
            age_ms: 5,
            expires_in_ms: None,
        }])
    }

    async fn configure_device(
        &self,
        device: &str,
        data: Vec<u8>,
    ) -> Result<ConfigurationAnswer, DeviceError> {
        known(device)?;
        assert_eq!(data, [0, 255]);
        Ok(ConfigurationAnswer { version: 3 })
    }

    async fn stop_replay(&self, sink: &str) -> Result<(), ReplayError> {
        let sink = sink.to_owned();
        match sink.as_str() {
            "mesh" => Ok(()),
            _ => Err(ReplayError::Idle { sink }),
        }
    }

    async fn settle_dead_letters(
        &self,
        sink: &str,
        fate: DeadFate,
    ) -> Result<DeadAnswer, DeadError> {
        let sink = sink.to_owned();
        match (sink.as_str(), fate) {
            ("mesh", DeadFate::Retry) => Ok(DeadAnswer { sink, records: 3 }),
            ("mesh", DeadFate::Drop) => Err(DeadError::Unavailable {
                what: "the log does not take it".to_owned(),
                done: 2,
            }),
            _ => Err(DeadError::UnknownSink {
                sink,
                names: vec!["mesh".to_owned()],
            }),
        }
    }

    async fn replay(&self, request: ReplayRequest) -> Result<ReplayAnswer, ReplayError> {
        match request.sink.as_str() {
            "mesh" => Ok(ReplayAnswer {
                sink: request.sink,
                first: 7,
                last: 9,
                kept_from: Some(7),
            }),
            _ => Err(ReplayError::UnknownSink {
                sink: request.sink,
                names: vec!["mesh".to_owned()],
            }),
        }
    }
}

pub(super) fn summary(device: &str) -> DeviceSummary {
    DeviceSummary {
        id: device.to_owned(),
        firmware: "1.4.2".to_owned(),
        ..DeviceSummary::default()
    }
}

pub(super) fn known(device: &str) -> Result<(), DeviceError> {
    let device = device.to_owned();
    match device.as_str() {
        "pump 7" => Ok(()),
        "here" => Err(DeviceError::Connected { device }),
        _ => Err(DeviceError::Unknown { device }),
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

pub(super) async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path).await
}

pub(super) async fn delete(address: SocketAddr, path: &str) -> Answer {
    ask(address, "DELETE", path).await
}

pub(super) async fn ask(address: SocketAddr, method: &str, path: &str) -> Answer {
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    exchange(address, request.as_bytes()).await
}

pub(super) async fn post(address: SocketAddr, path: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    exchange(address, format!("{head}{body}").as_bytes()).await
}

/// Sends bytes as they are and reads until the node closes. Fails if it never does.
pub(super) async fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(request).await; // the node may have answered before it has read all
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let said = String::from_utf8_lossy(&answer);
    let _ = read.unwrap_or_else(|_| panic!("an answer without end: {said}")); // a reset after the answer is its end too
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    Answer {
        status,
        head: format!("{}{}", head, if head.is_empty() { "" } else { "\r\n" }),
        body: body.to_owned(),
    }
}
