//! The process that runs programs: `edge-node jq-worker`. It answers one question after the other until there are none.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
};

use nix::{
    sys::{
        signal::{SigEvent, SigevNotify, Signal},
        time::TimeSpec,
        timer::{Expiration, Timer, TimerSetTimeFlags},
    },
    time::ClockId,
};
use rustix::{
    param::page_size,
    process::{Resource, Rlimit, setrlimit},
};

use super::{CPU_MILLISECONDS, MAX_PROGRAM_BYTES, MEMORY_BYTES, Outcome, program::Program, wire};

/// Programs kept compiled.
const PROGRAMS: usize = 16;
/// What everything but a run may take of the CPU, such as the compilation of a program.
const OTHER_CPU_MILLISECONDS: u32 = 5_000;
/// Bytes of an event that is taken: more than a record holds.
const MAX_EVENT_BYTES: usize = 16 << 20;

/// Works until its input ends.
///
/// # Errors
///
/// Pipes that break, or a system that does not let it be limited.
pub fn work(mut questions: impl Read, mut answers: impl Write) -> io::Result<()> {
    limit_memory()?;
    let mut cpu = CpuLimit::new()?;
    let mut programs = Programs::default();
    loop {
        cpu.allow(OTHER_CPU_MILLISECONDS)?;
        let Some([program, event]) = question(&mut questions)? else {
            return Ok(());
        };
        wire::write_taken(&mut answers)?;
        let outcome = match programs.get(&program) {
            Ok(program) => {
                cpu.allow(CPU_MILLISECONDS)?;
                program.run(&event)
            }
            Err(why) => Outcome::NoProgram(why),
        };
        cpu.allow(OTHER_CPU_MILLISECONDS)?;
        wire::write(&mut answers, &outcome)?;
    }
}

fn question(from: &mut impl Read) -> io::Result<Option<[Vec<u8>; 2]>> {
    let mut lengths = [0; 8];
    match from.read_exact(&mut lengths) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let [program, event] = wire::lengths(lengths);
    let program = wire::bytes(from, program, MAX_PROGRAM_BYTES)?;
    Ok(Some([program, wire::bytes(from, event, MAX_EVENT_BYTES)?]))
}

/// Programs by their text.
#[derive(Default)]
struct Programs(HashMap<Vec<u8>, Program>);

impl Programs {
    fn get(&mut self, text: &[u8]) -> Result<&Program, String> {
        if self.0.len() >= PROGRAMS && !self.0.contains_key(text) {
            self.0.clear();
        }
        if !self.0.contains_key(text) {
            let program = Program::compile(&String::from_utf8_lossy(text))?;
            self.0.insert(text.to_vec(), program);
        }
        self.0.get(text).ok_or_else(String::new)
    }
}

/// The kernel kills this process when it has taken so much of the CPU.
struct CpuLimit(Timer);

impl CpuLimit {
    fn new() -> io::Result<CpuLimit> {
        let kill = SigevNotify::SigevSignal {
            signal: Signal::SIGKILL,
            si_value: 0,
        };
        let timer = Timer::new(ClockId::CLOCK_PROCESS_CPUTIME_ID, SigEvent::new(kill))?;
        Ok(CpuLimit(timer))
    }

    /// From here on so much.
    fn allow(&mut self, milliseconds: u32) -> io::Result<()> {
        let time = TimeSpec::from_duration(std::time::Duration::from_millis(milliseconds.into()));
        let flags = TimerSetTimeFlags::empty();
        Ok(self.0.set(Expiration::OneShot(time), flags)?)
    }
}

/// No more memory than it has and [`MEMORY_BYTES`], no further file, and no core when it dies.
fn limit_memory() -> io::Result<()> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm
        .split_ascii_whitespace()
        .next()
        .and_then(|it| it.parse::<u64>().ok());
    let pages = pages.ok_or(io::ErrorKind::InvalidData)?;
    let size = pages * page_size() as u64;
    for (resource, bound) in [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 0),
        (Resource::As, size + MEMORY_BYTES),
    ] {
        let bound = Some(bound);
        setrlimit(
            resource,
            Rlimit {
                current: bound,
                maximum: bound,
            },
        )?;
    }
    Ok(())
}
