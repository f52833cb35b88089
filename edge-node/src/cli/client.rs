//! One request to a node's HTTP door.

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::CliError;

/// A node that runs accepts at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// It answers within milliseconds, or after the stall of a disk: later than it gives up itself.
const TIMEOUT: Duration = Duration::from_secs(90);
/// The status of a node with thousands of sinks is smaller.
const ANSWER_BYTES: u64 = 16 << 20;
/// The head of an answer is smaller.
const HEAD_BYTES: u64 = 64 << 10;

pub(crate) fn get<T: DeserializeOwned>(address: SocketAddr, path: &str) -> Result<T, CliError> {
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    answer(address, &exchange(address, request.as_bytes())?)
}

pub(super) fn post<T: DeserializeOwned>(
    address: SocketAddr,
    path: &str,
    body: &impl Serialize,
) -> Result<T, CliError> {
    send("POST", address, path, body)
}

pub(super) fn put<T: DeserializeOwned>(
    address: SocketAddr,
    path: &str,
    body: &impl Serialize,
) -> Result<T, CliError> {
    send("PUT", address, path, body)
}

fn send<T: DeserializeOwned>(
    method: &str,
    address: SocketAddr,
    path: &str,
    body: &impl Serialize,
) -> Result<T, CliError> {
    let body = serde_json::to_string(body).expect("a request is a struct of texts and numbers");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    answer(address, &exchange(address, request.as_bytes())?)
}

/// The answer to it has no body.
pub(super) fn delete(address: SocketAddr, path: &str) -> Result<(), CliError> {
    let request = format!("DELETE {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    body(address, &exchange(address, request.as_bytes())?).map(drop)
}

/// A text as one segment or one value of a path and its query.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}"); // a string takes all text
            }
        }
    }
    escaped
}

/// The lines of an answer that has no end of its own, read as they come.
pub(super) fn lines(address: SocketAddr, path: &str) -> Result<impl BufRead, CliError> {
    let no_answer = |source| CliError::NoAnswer { address, source };
    let mut answer = BufReader::new(open(address).map_err(no_answer)?);
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    let stream = answer.get_mut();
    stream.write_all(request.as_bytes()).map_err(no_answer)?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = answer.by_ref().take(HEAD_BYTES).read_line(&mut head);
        if read.map_err(no_answer)? == 0 || head.len() as u64 > HEAD_BYTES {
            break;
        }
    }
    if !status(&head).starts_with('2') {
        let rest = answer.by_ref().take(ANSWER_BYTES).read_to_string(&mut head);
        rest.map_err(no_answer)?;
    }
    body(address, &head)?;
    // What passes next may take its time.
    let waits = answer.get_mut().set_read_timeout(None);
    waits.map_err(no_answer)?;
    Ok(answer)
}

fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// In HTTP/1.0 the end of the connection is the end of the answer.
fn exchange(address: SocketAddr, request: &[u8]) -> Result<String, CliError> {
    let exchange = || -> io::Result<String> {
        let mut stream = open(address)?;
        stream.write_all(request)?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES).read_to_string(&mut answer)?;
        Ok(answer)
    };
    exchange().map_err(|source| CliError::NoAnswer { address, source })
}

fn answer<T: DeserializeOwned>(address: SocketAddr, answer: &str) -> Result<T, CliError> {
    let body = body(address, answer)?;
    serde_json::from_str(body).map_err(|error| CliError::Answer {
        address,
        what: error.to_string(),
    })
}

fn body(address: SocketAddr, answer: &str) -> Result<&str, CliError> {
    #[derive(Deserialize)]
    struct Fault {
        error: String,
    }
    let not_understood = |what: String| CliError::Answer { address, what };
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| not_understood("it is no HTTP".to_owned()))?;
    let status = status(head);
    if !status.starts_with('2') {
        return Err(match serde_json::from_str(body) {
            Ok(Fault { error }) => CliError::Refused { error },
            Err(_) => not_understood(format!("it is HTTP status {status}")),
        });
    }
    Ok(body)
}

/// The status code of an answer.
fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}
