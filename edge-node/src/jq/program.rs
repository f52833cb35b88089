//! A program on jaq, without anything that reaches outside of it.

use std::{
    panic::{self, AssertUnwindSafe},
    thread,
};

use jaq_core::{
    Compiler, Ctx, Vars,
    data::JustLut,
    load::{Arena, File, Loader, import, parse::Def},
    native::Fun,
    unwrap_valr,
};
use jaq_json::{Val, read, write};

use super::{MAX_MADE, MAX_MADE_BYTES, MAX_PROGRAM_BYTES, Outcome};

const PANICKED: &str = "it asks for what cannot be computed";

/// Bytes of stack for the deepest program there can be.
const STACK_BYTES: usize = 256 << 20;

type Filter = jaq_core::compile::Filter<jaq_core::Native<JustLut<Val>>>;

/// What of jaq's library reads the environment, the clock or its time zone, writes to standard error, or ends the process.
const WITHHELD: [&str; 14] = [
    "debug",
    "debug_empty",
    "env",
    "halt",
    "halt_error",
    "input",
    "input_filename",
    "inputs",
    "localtime",
    "now",
    "stderr",
    "stderr_empty",
    "strflocaltime",
    "input_line_number",
];

/// Whether this is a program that can be run.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(text: &str) -> Result<(), String> {
    let text = text.to_owned();
    let compile = move || Program::compile(&text).map(drop);
    // A program is read by recursion.
    let thread = thread::Builder::new().stack_size(STACK_BYTES);
    let thread = thread.spawn(compile).map_err(|it| it.to_string())?;
    thread
        .join()
        .map_err(|_| "it cannot be compiled".to_owned())?
}

/// A program, compiled.
pub(super) struct Program(Filter);

impl Program {
    /// Gives what is wrong with it, else.
    pub(super) fn compile(text: &str) -> Result<Program, String> {
        if text.len() > MAX_PROGRAM_BYTES {
            return Err(format!("a program has at most {MAX_PROGRAM_BYTES} bytes"));
        }
        let arena = Arena::default();
        let loader = Loader::new(definitions());
        let file = File {
            code: text,
            path: (),
        };
        let modules = loader.load(&arena, file).map_err(|it| unread(text, &it))?;
        import(&modules, |_| Err(String::new())).map_err(|it| unread(text, &it))?;
        let filter = Compiler::default().with_funs(functions());
        let filter = filter.compile(modules).map_err(|errors| {
            let undefined = errors.into_iter().flat_map(|(_, it)| it);
            let said =
                undefined.map(|(name, kind)| format!("there is no {} `{name}`", kind.as_str()));
            said.collect::<Vec<_>>().join("; ")
        })?;
        Ok(Program(filter))
    }

    /// What it makes of an event. Where jaq panics, as it does over a text of more bytes than can be counted, that is an error of the program.
    pub(super) fn run(&self, event: &[u8]) -> Outcome {
        // What is left of the program is as it was: nothing in it changes while it runs.
        let run = AssertUnwindSafe(|| self.made_of(event));
        panic::catch_unwind(run).unwrap_or_else(|_| Outcome::Error(PANICKED.to_owned()))
    }

    fn made_of(&self, event: &[u8]) -> Outcome {
        let Ok(event) = read::parse_single(event) else {
            return Outcome::NoJson;
        };
        let context = Ctx::<JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        let (mut made, mut bytes) = (Vec::new(), 0);
        for value in self.0.id.run((context, event)).map(unwrap_valr) {
            let value = match value {
                Ok(value) => value,
                Err(error) => return Outcome::Error(words(&error.to_string())),
            };
            let mut json = Bounded {
                bytes: Vec::new(),
                left: MAX_MADE_BYTES - bytes,
            };
            let written = write::write(&mut json, &write::Pp::default(), 0, &value);
            if written.is_err() || made.len() == MAX_MADE {
                return Outcome::TooMuch;
            }
            bytes += json.bytes.len();
            made.push(json.bytes);
        }
        Outcome::Made(made)
    }
}

fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    let all = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    all.filter(|it| !WITHHELD.contains(&it.name))
}

fn functions() -> impl Iterator<Item = Fun<JustLut<Val>>> {
    let all = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs());
    all.filter(|it| !WITHHELD.contains(&it.0))
}

fn unread(text: &str, errors: &jaq_core::load::Errors<&str, ()>) -> String {
    use jaq_core::load::{Error, span};
    let place = |part: &str| format!("at byte {} of the program", span(text, part).start);
    let expected = |first: Option<(&str, &str)>| {
        first.map_or_else(String::new, |(what, part)| {
            format!("expected {what} {}", place(part))
        })
    };
    let said = errors.iter().map(|(_, error)| match error {
        Error::Io(_) => "it imports; a program has no modules".to_owned(),
        Error::Lex(errors) => expected(errors.first().map(|(it, part)| (it.as_str(), *part))),
        Error::Parse(errors) => expected(errors.first().map(|(it, part)| (it.as_str(), *part))),
    });
    said.collect::<Vec<_>>().join("; ")
}

/// A text without its quotes; other values are words as they are.
fn words(error: &str) -> String {
    serde_json::from_str(error).unwrap_or_else(|_| error.to_owned())
}

/// Takes so much and no more.
struct Bounded {
    bytes: Vec<u8>,
    left: usize,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() > self.left {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.left -= bytes.len();
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
