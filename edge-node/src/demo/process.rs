//! Node and hub, as an operator runs them: processes with a data directory.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::DemoError;
use crate::endpoints::Endpoints;

/// How long a start may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder for everything the demo writes; removed with all in it, unless it is kept.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// A new one that only its owner reads.
    pub(super) fn create() -> Result<Folder, DemoError> {
        let (pid, chance) = (std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(format!("edge-node-demo-{pid}-{chance:08x}"));
        let created = fs::DirBuilder::new().mode(0o700).create(&path);
        created.map_err(DemoError::system("make a temporary folder"))?;
        Ok(Folder {
            path,
            is_kept: false,
        })
    }

    /// Leaves it for somebody to look at.
    pub(super) fn keep(&mut self) -> PathBuf {
        self.is_kept = true;
        self.path.clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.path); // a temporary folder: the system clears it in the end
        }
    }
}

/// One process of this program that is ended with its value.
pub(super) struct Process {
    who: &'static str,
    folder: PathBuf,
    config: String,
    /// `None` after a kill.
    child: Option<Child>,
    started: Instant,
    endpoints: Option<Endpoints>,
}

impl Process {
    /// A node as the mesh.
    pub(super) fn hub(folder: &Folder) -> Result<Process, DemoError> {
        Process::start("hub", folder, String::new())
    }

    /// A node whose only uplink leads to `link`.
    pub(super) fn node(folder: &Folder, link: SocketAddr) -> Result<Process, DemoError> {
        let config = format!(
            "[[uplink]]\nname = \"hub\"\nkind = \"eventmesh-http\"\nendpoints = [\"http://{link}\"]\n"
        );
        Process::start("node", folder, config)
    }

    fn start(who: &'static str, folder: &Folder, config: String) -> Result<Process, DemoError> {
        let mut process = Process {
            who,
            folder: folder.path.clone(),
            config,
            child: None,
            started: Instant::now(),
            endpoints: None,
        };
        process.start_again()?;
        Ok(process)
    }

    /// Ends it with no chance to do anything more, as a power cut does.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill(); // it may have ended by itself
            let _ = child.wait(); // reaps it; nobody asks how it ended
        }
        self.endpoints = None;
    }

    /// Starts it on the data it left.
    pub(super) fn start_again(&mut self) -> Result<(), DemoError> {
        self.kill();
        let child = spawn(self.who, &self.folder, &self.config);
        self.child = Some(child.map_err(DemoError::system("start a node"))?);
        self.started = Instant::now();
        Ok(())
    }

    /// Where it listens; `None` while it starts and after a kill.
    ///
    /// # Errors
    /// It ended by itself, or takes too long to start.
    pub(super) fn endpoints(&mut self) -> Result<Option<&Endpoints>, DemoError> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let (pid, ended) = (child.id(), child.try_wait());
        if let Some(status) = ended.map_err(DemoError::system("watch a node"))? {
            return Err(self.failed(format!("ended with {status}")));
        }
        if self.endpoints.is_none() {
            let known = Endpoints::read(&self.folder.join(self.who)).ok(); // not there before it is ready
            self.endpoints = known.filter(|it| it.pid == pid); // else those of one that was killed
        }
        if self.endpoints.is_none() && self.started.elapsed() > PATIENCE {
            return Err(self.failed(format!("is not ready after {} s", PATIENCE.as_secs())));
        }
        Ok(self.endpoints.as_ref())
    }

    fn failed(&self, what: String) -> DemoError {
        let log = fs::read_to_string(log_file(&self.folder, self.who)).unwrap_or_default();
        let line = log.lines().rfind(|line| !line.trim().is_empty());
        DemoError::Process {
            who: self.who,
            what,
            line: line.unwrap_or("(none)").to_owned(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn log_file(folder: &Path, who: &str) -> PathBuf {
    folder.join(format!("{who}.log"))
}

fn spawn(who: &str, folder: &Path, config: &str) -> io::Result<Child> {
    let config_file = folder.join(format!("{who}.toml"));
    fs::write(&config_file, config)?;
    let mut log = fs::OpenOptions::new();
    let log = log.create(true).append(true).open(log_file(folder, who))?;
    Command::new(std::env::current_exe()?)
        .arg("run")
        .arg("--config")
        .arg(config_file)
        .arg("--data")
        .arg(folder.join(who))
        .args(["--mqtt", "127.0.0.1:0"])
        .args(["--http", "127.0.0.1:0"])
        .args(["--grpc", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0) // Ctrl-C is for the demo, which ends it
        .spawn()
}
