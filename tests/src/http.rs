use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::within;

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub code: u16,
    /// The head, as it came.
    pub head: String,
    /// The body.
    pub body: String,
}

/// `GET path`.
pub async fn get(address: SocketAddr, path: &str) -> Response {
    request(
        address,
        &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"),
        b"",
    )
    .await
}

/// The body of `GET path`, for one who cannot wait long and is in no runtime.
pub(crate) fn get_soon(address: SocketAddr, path: &str, longest: Duration) -> io::Result<String> {
    let mut stream = std::net::TcpStream::connect_timeout(&address, longest)?;
    stream.set_read_timeout(Some(longest))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or(("", &answer));
    Ok(body.to_owned())
}

/// Sends a head and a body as they are, and reads until the other side closes.
pub async fn request(address: SocketAddr, head: &str, body: &[u8]) -> Response {
    let work = async {
        let mut stream = TcpStream::connect(address).await.expect("the node listens");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let text = within("an answer over HTTP", work).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if chunked {
        unchunk(body)
    } else {
        body.to_owned()
    };
    Response {
        code: code.unwrap_or_else(|| panic!("no HTTP: {text}")),
        head: head.to_owned(),
        body,
    }
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap();
        whole.push_str(&rest[..length]);
        body = rest[length..].trim_start_matches("\r\n");
    }
    whole
}
