//! The node's side: a worker while there is work, and another when it was killed.

use std::{
    io::{self, BufReader},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
};

use super::{COMMAND, Limit, Outcome, wire};

/// Where programs are run: one worker, begun with the first event.
#[derive(Debug)]
pub struct Bench {
    program: PathBuf,
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Whether it said that it has all of the last question.
    is_taken: bool,
}

impl Default for Bench {
    /// Workers are this program.
    fn default() -> Bench {
        Bench::of(Path::new("/proc/self/exe"))
    }
}

impl Bench {
    /// Workers are this program: an `edge-node`.
    pub fn of(program: &Path) -> Bench {
        Bench {
            program: program.to_owned(),
            worker: None,
        }
    }

    /// Runs a program on an event in structured JSON. Takes as long as the program may, and blocks until then.
    ///
    /// # Errors
    ///
    /// There is no worker to be had; the event is to be given again later.
    pub fn run(&mut self, program: &str, event: &[u8]) -> io::Result<Outcome> {
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(&self.program)?,
        };
        match worker.ask(program, event) {
            Ok(outcome) => {
                self.worker = Some(worker);
                Ok(checked(outcome))
            }
            Err(_) => worker.died(),
        }
    }
}

impl Worker {
    fn start(program: &Path) -> io::Result<Worker> {
        let mut child = Command::new(program)
            .arg(COMMAND)
            .env_clear()
            .current_dir("/")
            // Ctrl-C at the node's terminal is for the node.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(questions), Some(answers)) => Ok(Worker {
                child,
                questions,
                answers: BufReader::new(answers),
                is_taken: false,
            }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn ask(&mut self, program: &str, event: &[u8]) -> io::Result<Outcome> {
        self.is_taken = false;
        wire::ask(&mut self.questions, program.as_bytes(), event)?;
        wire::read_taken(&mut self.answers)?;
        self.is_taken = true;
        wire::read(&mut self.answers)
    }

    /// What its death says of the event.
    fn died(mut self) -> io::Result<Outcome> {
        drop(self.questions);
        drop(self.answers);
        outcome_of_death(self.is_taken, self.child.wait()?)
    }
}

/// What the death of a worker says of the event that it was given. One that ended by itself before it had the event had no limits, or no pipes,
/// and one that was told to end was told by somebody: that is no event's fault.
pub(super) fn outcome_of_death(is_taken: bool, status: ExitStatus) -> io::Result<Outcome> {
    match status.signal() {
        Some(KILL) => Ok(Outcome::Killed(Limit::Cpu)),
        Some(ABORT | SEGMENTATION_FAULT) => Ok(Outcome::Killed(Limit::Memory)),
        None if is_taken => Ok(Outcome::Error(format!("its process ended: {status}"))),
        _ => Err(io::Error::other(format!("a worker ended: {status}"))),
    }
}

const ABORT: i32 = 6;
const KILL: i32 = 9;
const SEGMENTATION_FAULT: i32 = 11;

/// What a worker says is not believed to be JSON before it is read.
fn checked(outcome: Outcome) -> Outcome {
    let is_json = |it: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(it).is_ok();
    match outcome {
        Outcome::Made(values) if !values.iter().all(is_json) => Outcome::NoJson,
        other => other,
    }
}
