use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{BufRead, BufReader, Read},
    net::{IpAddr, SocketAddr},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{
    Device, PATIENCE, Response, TestCloud, edge_node, get, http::get_soon, own_address,
    wait_for_progress, wait_until, within,
};

/// A node as an operator runs it: a process, its data directory, and what it prints.
pub struct TestNode {
    builder: NodeBuilder,
    /// Held for its directory, which holds data and configuration.
    folder: TempDir,
    process: Option<Child>,
    /// The threads that keep what it prints; they end with it.
    followers: Vec<JoinHandle<()>>,
    /// Where it listens.
    own_address: IpAddr,
    addresses: Addresses,
    log: Log,
}

/// What a node that did not start, or that ended, left behind.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything it printed.
    pub output: String,
}

/// How a node is to be started.
#[derive(Clone, Debug, Default)]
pub struct NodeBuilder {
    config: String,
    data: Option<PathBuf>,
    mqtt: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Addresses {
    mqtt: Option<SocketAddr>,
    http: Option<SocketAddr>,
    grpc: Option<SocketAddr>,
}

type Log = Arc<Mutex<String>>;

const STATUS: &str = "/api/v1/status";
/// How long a failed test waits for a node to say how it is.
const LAST_STATUS_WITHIN: Duration = Duration::from_secs(5);
/// From one try to have a port to the next.
const AGAIN: Duration = Duration::from_millis(100);

impl NodeBuilder {
    /// Appends to the configuration file.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        writeln!(self.config, "{toml}").expect("a string takes everything");
        self
    }

    /// An uplink to `cloud`, owed everything.
    #[must_use]
    pub fn uplink(self, cloud: &TestCloud) -> Self {
        let endpoint = cloud.url();
        self.config(&format!(
            "[[uplink]]\nname = \"cloud\"\nkind = \"http\"\nendpoints = [\"{endpoint}\"]"
        ))
    }

    /// An uplink to another node, owed everything.
    #[must_use]
    pub fn uplink_to_node(self, hub: &TestNode) -> Self {
        let endpoint = hub.http();
        self.config(&format!(
            "[[uplink]]\nname = \"hub\"\nkind = \"eventmesh-http\"\nendpoints = [\"http://{endpoint}\"]"
        ))
    }

    /// A data directory that the test chooses; else one of its own.
    #[must_use]
    pub fn data(mut self, data: impl Into<PathBuf>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// The address for MQTT; else a free port.
    #[must_use]
    pub fn mqtt(mut self, address: SocketAddr) -> Self {
        self.mqtt = Some(address);
        self
    }

    /// Starts the node; returns when it is ready.
    pub async fn start(self) -> TestNode {
        let mut node = self.prepare();
        if let Err(ended) = node.launch().await {
            panic!("the node does not start: {ended:?}");
        }
        node
    }

    /// Starts a node that is expected to refuse.
    pub async fn refuses_to_start(self) -> Ended {
        match self.prepare().launch().await {
            Ok(()) => panic!("the node starts, which it should not"),
            Err(ended) => ended,
        }
    }

    fn prepare(self) -> TestNode {
        let folder = tempfile::Builder::new()
            .prefix("edge-node-")
            .tempdir()
            .expect("a temporary folder");
        TestNode {
            builder: self,
            folder,
            process: None,
            followers: Vec::new(),
            own_address: own_address(),
            addresses: Addresses::default(),
            log: Log::default(),
        }
    }
}

impl TestNode {
    /// Describes a node.
    #[must_use]
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }

    /// A node that nobody has configured.
    pub async fn start() -> TestNode {
        NodeBuilder::default().start().await
    }

    /// Where it serves MQTT.
    #[must_use]
    pub fn mqtt(&self) -> SocketAddr {
        self.addresses
            .mqtt
            .expect("the node prints where it serves MQTT")
    }

    /// Where it serves HTTP.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.addresses
            .http
            .expect("the node prints where it serves HTTP")
    }

    /// Where it serves gRPC.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.addresses
            .grpc
            .expect("the node prints where it serves gRPC")
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.builder
            .data
            .clone()
            .unwrap_or_else(|| self.folder.path().join("data"))
    }

    /// A client with a session that ends with its connection.
    pub async fn connect(&self, client_id: &str) -> Device {
        Device::connect(self.mqtt(), client_id).await
    }

    /// A client whose session survives.
    pub async fn connect_durable(&self, client_id: &str) -> Device {
        Device::connect_durable(self.mqtt(), client_id).await
    }

    /// Kills it with no chance to do anything more.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// Asks it to stop; returns how it ended.
    pub async fn stop(&mut self) -> Ended {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Replaces its configuration, for the next start.
    pub fn configure(&mut self, toml: &str) {
        self.builder.config = toml.to_owned();
    }

    /// Starts it on the same data, at the same addresses.
    pub async fn start_again(&mut self) {
        if let Err(ended) = self.launch().await {
            panic!("the node does not start again: {ended:?}");
        }
    }

    /// Starts it on the same data, or tells how it refused.
    pub async fn try_start_again(&mut self) -> Result<(), Ended> {
        self.launch().await
    }

    /// Kills it and starts it on the same data.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.start_again().await;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the node runs");
        let pid = Pid::from_child(process);
        kill_process(pid, signal).expect("the node is ours");
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Ended {
        let process = self.process.as_mut().expect("the node runs");
        let mut ended = None;
        wait_until("the node ends", async || {
            ended = process.try_wait().expect("a child can be waited for");
            ended.is_some()
        })
        .await;
        self.process = None;
        self.hear_the_last();
        Ended {
            status: ended.expect("it ended"),
            output: self.log(),
        }
    }

    /// Keeps everything that a process which ended has printed.
    fn hear_the_last(&mut self) {
        for follower in self.followers.drain(..) {
            follower.join().expect("followers do not panic");
        }
    }

    /// Everything it printed since its first start.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().expect("readers do not panic").clone()
    }

    /// Its status, as soon as it has the time to tell it.
    pub async fn status(&self) -> serde_json::Value {
        let mut status = None;
        wait_until("the node tells its status", async || {
            let Response { code, body, .. } = get(self.http(), STATUS).await;
            assert!(matches!(code, 200 | 503), "{code}: {body}");
            status = (code == 200).then_some(body);
            status.is_some()
        })
        .await;
        let status = status.expect("it was told");
        serde_json::from_str(&status).expect("status is JSON")
    }

    /// What its status says of the sink `name`; `Null` while it is not listed.
    pub async fn sink(&self, name: &str) -> serde_json::Value {
        let status = self.status().await;
        let sinks = status["sinks"].as_array().cloned().unwrap_or_default();
        sinks
            .into_iter()
            .find(|sink| sink["name"] == name)
            .unwrap_or_default()
    }

    /// Waits until nothing is owed to the sink `name`.
    pub async fn wait_until_drained(&self, name: &str) {
        wait_for_progress("the sink is drained", async || {
            let pending = self.sink(name).await["pending_records"].clone();
            match pending == 0 {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(pending),
            }
        })
        .await;
    }

    /// Its id among the processes.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("the node runs").id()
    }

    /// Bytes it caused to be written to disks since it started.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        let process = self.process.as_ref().expect("the node runs");
        let io =
            std::fs::read_to_string(format!("/proc/{}/io", process.id())).expect("Linux tells");
        let line = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes: "));
        line.and_then(|bytes| bytes.parse().ok())
            .expect("a process writes")
    }

    /// A look at it while it does nothing at all: files it makes and removes are not of one moment.
    pub fn at_rest<T>(&self, look: impl FnOnce(&TestNode) -> T) -> T {
        self.signal(Signal::STOP);
        let rests = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(task.expect("a task").path().join("stat"));
            // One that ended rests, too; `t` is one that is traced.
            stat.map_or(true, |stat| stat.contains(") T ") || stat.contains(") t "))
        };
        let process = self.process.as_ref().expect("the node runs");
        let tasks = format!("/proc/{}/task", process.id());
        let began = Instant::now();
        while !std::fs::read_dir(&tasks).expect("it is there").all(rests) {
            assert!(began.elapsed() < PATIENCE, "the node goes on");
        }
        let seen = look(self);
        self.signal(Signal::CONT);
        seen
    }

    /// Bytes of everything in its data directory.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        let files = std::fs::read_dir(self.data()).expect("the data directory is there");
        // A file may go while it is looked at.
        files
            .filter_map(|file| Some(file.ok()?.metadata().ok()?.blocks() * 512))
            .sum()
    }

    /// Names of the files in its data directory, each seen to be for its owner alone, as the directory is.
    #[must_use]
    pub fn private_files(&self) -> BTreeSet<String> {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some(metadata.permissions().mode() & 0o777)
        };
        assert_eq!(mode(&self.data()), Some(0o700), "{:?}", self.data());
        let files = std::fs::read_dir(self.data()).expect("the data directory is there");
        // A file may go while it is looked at.
        let there = files.filter_map(|file| {
            let path = file.ok()?.path();
            assert_eq!(mode(&path)?, 0o600, "{path:?}");
            path.file_name()?.to_str().map(str::to_owned)
        });
        there.collect()
    }

    /// Bytes of memory it holds.
    #[must_use]
    pub fn rss(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most bytes of memory it has held since it started.
    #[must_use]
    pub fn peak_rss(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Bytes of memory that hold the program and its libraries: part of both.
    #[must_use]
    pub fn program_bytes(&self) -> u64 {
        self.memory("RssFile:")
    }

    fn memory(&self, field: &str) -> u64 {
        let process = self.process.as_ref().expect("the node runs");
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("Linux tells");
        let line = status
            .lines()
            .find(|line| line.starts_with(field))
            .expect("a process has memory");
        let kib: u64 = line
            .split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse().ok())
            .expect("in KiB");
        kib * 1024
    }

    /// Launches the process until it is ready; again while somebody else has its port, which only happens where nodes
    /// cannot have addresses of their own.
    async fn launch(&mut self) -> Result<(), Ended> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let before = self.log().len();
            match self.launch_once().await {
                Err(ended)
                    if self.addresses.mqtt.is_some()
                        && ended.output[before..].contains("port is in use") => {}
                result => return result,
            }
            tokio::time::sleep(AGAIN).await;
        }
        panic!("the port stays in use: {}", self.log());
    }

    async fn launch_once(&mut self) -> Result<(), Ended> {
        let config = self.folder.path().join("node.toml");
        std::fs::write(&config, &self.builder.config).expect("the folder can be written");
        let mut process = self
            .command(&config)
            .spawn()
            .expect("the node is a program");
        let (lines, mut printed) = mpsc::unbounded_channel();
        let stdout = process.stdout.take().expect("piped");
        let stderr = process.stderr.take().expect("piped");
        self.followers = vec![
            follow(stdout, Arc::clone(&self.log), Some(lines)),
            follow(stderr, Arc::clone(&self.log), None),
        ];
        self.process = Some(process);
        let ready = within("the node is ready", async {
            while let Some(line) = printed.recv().await {
                if line == "ready" {
                    return true;
                }
                self.addresses.take(&line);
            }
            false
        });
        if ready.await {
            Ok(())
        } else {
            Err(self.ended().await)
        }
    }

    fn command(&self, config: &Path) -> Command {
        let any = SocketAddr::new(self.own_address, 0);
        let address = |at: Option<SocketAddr>| at.unwrap_or(any).to_string();
        let mut command = Command::new(edge_node());
        command
            .arg("run")
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(self.data());
        command.args([
            "--mqtt",
            &address(self.addresses.mqtt.or(self.builder.mqtt)),
        ]);
        command.args(["--http", &address(self.addresses.http)]);
        command.args(["--grpc", &address(self.addresses.grpc)]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        let has_failed = std::thread::panicking();
        let status = has_failed.then(|| self.last_status());
        if let Some(process) = &mut self.process {
            let _ = process.kill(); // it may have ended by itself
            let _ = process.wait(); // reaps it; nobody asks how it ended
        }
        for follower in self.followers.drain(..) {
            let _ = follower.join(); // nothing is to hide why the test failed
        }
        if let Some(status) = status {
            report(&self.log(), &status);
        }
    }
}

impl TestNode {
    /// For the report of a failed test.
    fn last_status(&self) -> String {
        match (&self.process, self.addresses.http) {
            (None, _) => "it does not run".to_owned(),
            (Some(_), None) => "it never listened".to_owned(),
            (Some(_), Some(address)) => get_soon(address, STATUS, LAST_STATUS_WITHIN)
                .unwrap_or_else(|error| format!("it does not tell: {error}")),
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "what the node said belongs to the report of a failed test"
)]
fn report(log: &str, status: &str) {
    eprintln!("--- the node said:\n{log}--- its status at the end:\n{status}\n---");
}

impl Addresses {
    fn take(&mut self, line: &str) {
        let Some((door, address)) = line.split_once("listening on") else {
            return;
        };
        let address = address.trim().parse().ok();
        match door.trim() {
            "mqtt" => self.mqtt = address,
            "http" => self.http = address,
            "grpc" => self.grpc = address,
            other => panic!("the node opens an unknown door: {other}"),
        }
    }
}

/// Keeps what a process prints, and passes its lines on.
fn follow(
    output: impl Read + Send + 'static,
    log: Log,
    lines: Option<mpsc::UnboundedSender<String>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            writeln!(log.lock().expect("writers do not panic"), "{line}")
                .expect("a string takes everything");
            if let Some(lines) = &lines {
                let _ = lines.send(line); // nobody listens once the node is ready
            }
        }
    })
}
