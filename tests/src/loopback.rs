use std::net::{IpAddr, Ipv4Addr, TcpListener};

/// A loopback address that nobody else binds: all of 127.0.0.0/8 is this machine. What listens here finds its port free
/// again after it was away, which no port of an address that all share would be for certain.
#[must_use]
pub fn own_address() -> IpAddr {
    let [second, third, fourth] = [(); 3].map(|()| fastrand::u8(1..=254));
    let own = Ipv4Addr::new(127, second, third, fourth);
    // Not every system has the whole network.
    match TcpListener::bind((own, 0)) {
        Ok(_) => own.into(),
        Err(_) => Ipv4Addr::LOCALHOST.into(),
    }
}
