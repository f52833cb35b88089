//! What is wrong with a configuration, where, and how to mend it: for the operator.

use std::{fmt, io, net::SocketAddr};

/// Why there is no configuration. Nothing was touched; the operator mends what it names and starts again.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or may not be read.
    #[error("cannot read the configuration {path}: {source}")]
    Unreadable {
        /// The file as it was named.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something written is wrong.
    #[error("{place}: {fault}")]
    At {
        /// Where it is written.
        place: Place,
        /// What it is.
        fault: Fault,
    },
}

/// Where something wrong is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file; lines and columns count from 1, columns in characters.
    File {
        /// The file as it was named.
        name: String,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// On the command line.
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
            Place::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No key of this name stands here.
    #[error("unknown key `{key}`{}; accepted here: {}", suggestion(key, accepted), accepted.join(", "))]
    UnknownKey {
        /// As written.
        key: String,
        /// All keys of this section.
        accepted: Vec<String>,
    },
    /// Not one of the values that are accepted.
    #[error("unknown value `{value}`{}; accepted here: {}", suggestion(value, accepted), accepted.join(", "))]
    UnknownValue {
        /// As written.
        value: String,
        /// All values.
        accepted: Vec<String>,
    },
    /// A key that must be there is not.
    #[error("the key `{key}` is missing")]
    MissingKey {
        /// Its name.
        key: String,
    },
    /// Not TOML, or not the kind of value that belongs here.
    #[error("{what}")]
    Wrong {
        /// What it is, and what is accepted.
        what: String,
    },
    /// No lane has this name.
    #[error("there is no lane `{lane}`{}; [spool] has: {}", suggestion(lane, lanes), lanes.join(", "))]
    UnknownLane {
        /// As written.
        lane: String,
        /// The lanes there are.
        lanes: Vec<String>,
    },
    /// No uplink has this name.
    #[error(
        "there is no uplink `{uplink}`{}; [[uplink]] has: {}",
        suggestion(uplink, uplinks),
        uplinks.join(", ")
    )]
    UnknownUplink {
        /// As written.
        uplink: String,
        /// The uplinks there are.
        uplinks: Vec<String>,
    },
    /// The lane for all the rest is not among the lanes.
    #[error(
        "there is no lane `{lane}` for the events that no [[ingest]] places; \
         write `default-lane` in [spool] with one of: {}", lanes.join(", ")
    )]
    NoDefaultLane {
        /// The lane it would be.
        lane: String,
        /// The lanes there are.
        lanes: Vec<String>,
    },
    /// Two of a kind with one name.
    #[error("there are two {kind}s named `{name}`; give each its own name")]
    Duplicate {
        /// What is named.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Others could reach the listener, and nobody is asked who they are.
    #[error(
        "[{section}] would listen on {address}, where others can reach it without saying who they are; \
         listen on 127.0.0.1:{port}, or write `allow-anonymous = true` in [{section}] to accept that",
        port = address.port()
    )]
    OffLoopback {
        /// Whose listener.
        section: &'static str,
        /// Where it would listen.
        address: SocketAddr,
    },
    /// Two listeners cannot have one port.
    #[error(
        "[{first}] and [{second}] would both listen on {address}; give one another port (0 picks a free one)"
    )]
    SameAddress {
        /// The one.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Where.
        address: SocketAddr,
    },
}

impl Fault {
    /// Reads what serde says of a key or value; `toml` gives its errors as text only.
    pub(super) fn from_message(message: &str) -> Fault {
        let message = message.trim_end();
        let mut quoted = message.split('`').skip(1).step_by(2).map(str::to_owned);
        if let (true, Some(key)) = (message.starts_with("unknown field `"), quoted.next()) {
            return Fault::UnknownKey {
                key,
                accepted: quoted.collect(),
            };
        }
        let mut quoted = message.split('`').skip(1).step_by(2).map(str::to_owned);
        if let (true, Some(value)) = (message.starts_with("unknown variant `"), quoted.next()) {
            return Fault::UnknownValue {
                value,
                accepted: quoted.collect(),
            };
        }
        let mut quoted = message.split('`').skip(1).step_by(2).map(str::to_owned);
        if let (true, Some(key)) = (message.starts_with("missing field `"), quoted.next()) {
            return Fault::MissingKey { key };
        }
        Fault::Wrong {
            what: message.replace('\n', ", "),
        }
    }
}

/// Says which accepted name was probably meant, if one is near.
fn suggestion(written: &str, accepted: &[String]) -> String {
    let nearest = accepted
        .iter()
        .map(|name| (distance(written, name), name))
        .min();
    match nearest {
        Some((distance, name)) if distance <= written.chars().count().max(3) / 3 + 1 => {
            format!(", did you mean `{name}`?")
        }
        _ => String::new(),
    }
}

/// Edits (insert, remove, replace a character) from one word to the other. Cost is the product of the lengths, so
/// words over 64 characters are near to nothing.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, pair) in b.iter().zip(row.windows(2)) {
            let [above_left, above] = pair else { continue };
            left = (above_left + usize::from(from != to))
                .min(above + 1)
                .min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}
