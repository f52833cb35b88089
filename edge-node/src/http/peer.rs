//! Who sent a request, and what that one may.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, StatusCode, Uri, header, uri::Authority};
use cloud_uplink::NODE_HEADER;

use super::Fault;
use crate::node::handle::Origin;

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    ip: IpAddr,
    /// It is on this machine.
    is_here: bool,
}

impl Peer {
    /// The peer of a connection that came in at `local`.
    pub(super) fn new(peer: SocketAddr, local: Option<SocketAddr>) -> Peer {
        let ip = peer.ip().to_canonical();
        let own = local.is_some_and(|local| local.ip().to_canonical() == ip);
        Peer {
            ip: peer.ip(),
            is_here: ip.is_loopback() || own,
        }
    }

    /// Until there are users, whoever is on this machine is the operator.
    pub(super) fn is_operator(self) -> Result<(), Fault> {
        match self.is_here {
            true => Ok(()),
            false => Err(Fault::new(
                StatusCode::FORBIDDEN,
                "only from this machine: ask from there, at an address of its own",
            )),
        }
    }

    /// Whether it may ask for anything here. A page in a browser on this machine may have given its own name this machine's
    /// address; its requests then bear that name, and nobody else's do.
    pub(super) fn may_ask(self, uri: &Uri, headers: &HeaderMap) -> Result<(), Fault> {
        if !self.is_here {
            return Ok(());
        }
        let hosts = headers.get_all(header::HOST).iter();
        let hosts = hosts.map(|host| host.to_str().unwrap_or("not a name"));
        let mut asked = hosts.chain(uri.authority().map(Authority::as_str));
        match asked.find(|host| !is_no_ones(host)) {
            None => Ok(()),
            Some(host) => Err(Fault::new(
                StatusCode::FORBIDDEN,
                format!("from this machine ask at an address or at `localhost`, not at `{host}`"),
            )),
        }
    }

    pub(super) fn origin(self, headers: &HeaderMap) -> Origin {
        let said = headers.get(NODE_HEADER).and_then(|id| id.to_str().ok());
        Origin::of_node(said, || Origin::Http {
            peer: self.ip.to_string(),
        })
    }
}

/// Whether no name stands for the machine here but one that is always its own.
fn is_no_ones(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return host.is_empty();
    };
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    name.eq_ignore_ascii_case("localhost") || bare.unwrap_or(name).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(peer: &str, local: &str) -> Peer {
        Peer::new(peer.parse().unwrap(), local.parse().ok())
    }

    #[test]
    fn only_a_peer_on_this_machine_is_the_operator() {
        for (address, local, operator) in [
            ("127.0.0.1:9", "127.0.0.1:80", true),
            ("[::1]:9", "", true),
            ("[::ffff:127.0.0.1]:9", "[::]:80", true),
            ("192.0.2.7:9", "192.0.2.7:80", true),
            ("[::ffff:192.0.2.7]:9", "192.0.2.7:80", true),
            ("[2001:db8::7]:9", "[2001:db8::7]:80", true),
            ("192.0.2.7:9", "192.0.2.8:80", false),
            ("192.0.2.7:9", "", false),
            ("[2001:db8::7]:9", "[2001:db8::8]:80", false),
        ] {
            let peer = peer(address, local);
            assert_eq!(peer.is_operator().is_ok(), operator, "{address} {local}");
        }
    }

    #[test]
    fn a_peer_on_this_machine_asks_at_no_name_that_may_be_another_s() {
        for (host, taken) in [
            ("127.0.0.1", true),
            ("127.0.0.1:8080", true),
            ("192.0.2.7:8080", true),
            ("[::1]", true),
            ("[::1]:8080", true),
            ("localhost", true),
            ("LocalHost:8080", true),
            ("", true),
            ("evil.example", false),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("evil.example@127.0.0.1", true),
            ("127.0.0.1@evil.example", false),
            ("127.0.0.1, evil.example", false),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            let asks = |peer: Peer| peer.may_ask(&Uri::from_static("/"), &headers).is_ok();
            assert_eq!(asks(peer("127.0.0.1:9", "")), taken, "{host}");
            assert_eq!(asks(peer("192.0.2.7:9", "192.0.2.7:80")), taken, "{host}");
            assert!(asks(peer("192.0.2.7:9", "192.0.2.8:80")), "{host}");
        }
        let here = peer("127.0.0.1:9", "");
        let none = HeaderMap::new();
        assert!(here.may_ask(&Uri::from_static("/"), &none).is_ok());
        let whole = Uri::from_static("http://evil.example/api/v1/tail");
        assert!(here.may_ask(&whole, &none).is_err());
        let two = ["localhost", "evil.example"].map(|it| (header::HOST, it.parse().unwrap()));
        let mut headers = HeaderMap::new();
        for (name, host) in two {
            headers.append(name, host);
        }
        assert!(here.may_ask(&Uri::from_static("/"), &headers).is_err());
    }
}
