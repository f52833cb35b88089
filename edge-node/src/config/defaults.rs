//! What a node does when nobody has said otherwise, each with its reason.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use super::units::{ByteSize, Span};

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// The data directory: beside where the node is started, so that a trial leaves nothing elsewhere.
pub const DATA: &str = "./edge-data";

/// The port that IANA gives MQTT, on the loopback: nobody else reaches an unconfigured node.
pub const MQTT_LISTEN: SocketAddr = loopback(1883);
/// The usual port of an HTTP service that needs no privileges.
pub const HTTP_LISTEN: SocketAddr = loopback(8080);
/// The port of an EventMesh runtime, so that its clients find the node unchanged.
pub const GRPC_LISTEN: SocketAddr = loopback(10205);

/// A gateway's devices with room to spare; an idle connection costs a few KiB, so all of them a few MiB.
pub const MQTT_MAX_CONNECTIONS: u32 = 4_096;
/// Connections whose CONNECT never comes hold a place for no longer than this.
pub const MQTT_CONNECT_TIMEOUT: Span = Span::seconds(10);
/// The protocol's own ceiling: what clients ask for is kept unless the operator wants less.
pub const MQTT_MAX_KEEP_ALIVE: Span = Span::seconds(65_535);
/// Fills a commit from few clients while one client's unacknowledged messages stay within 256 packets.
pub const MQTT_RECEIVE_MAXIMUM: u16 = 256;
/// Readings are small; one packet must not take a large part of the bytes that may wait for a commit.
pub const MQTT_MAX_PACKET_SIZE: ByteSize = ByteSize(1 << 20);
/// A device back from a month in repair finds its messages; one that never returns does not hold them for ever.
pub const MQTT_MAX_SESSION_EXPIRY: Span = Span::seconds(30 * 86_400);
/// As many as connections, and three times that offline.
pub const MQTT_MAX_SESSIONS: u32 = 16_384;
/// More than any device needs; a subscription bomb ends here.
pub const MQTT_MAX_SUBSCRIPTIONS: u32 = 1_024;
/// Four subscriptions of four levels for each of all sessions; a sixteenth holds the most subscriptions of one.
pub const MQTT_SUBSCRIPTION_BOUND: ByteSize = ByteSize(64 << 20);
/// The names of as many topics as may have a retained message, at 200 bytes each and what a name costs besides.
pub const MQTT_RETAINED_BOUND: ByteSize = ByteSize(32 << 20);

/// Local applications and a scraper; each connection may hold one body in memory.
pub const HTTP_MAX_CONNECTIONS: u32 = 256;
/// The largest packet of another node: its bytes are four thirds as many in JSON, and their attributes come with them.
pub const HTTP_MAX_BODY: ByteSize = ByteSize(2 << 20);
/// Outlives the pause between two scrapes or batches, so that a connection is used again; a silent peer then gives its
/// place back.
pub const HTTP_HEAD_TIMEOUT: Span = Span::seconds(60);
/// A full body over a 300 kbit/s line.
pub const HTTP_BODY_TIMEOUT: Span = Span::seconds(30);

/// As many as HTTP; each is one client, whose calls share its connection.
pub const GRPC_MAX_CONNECTIONS: u32 = 256;
/// As for MQTT: a connection that says nothing holds a place for no longer than this.
pub const GRPC_CONNECT_TIMEOUT: Span = Span::seconds(10);
/// What an EventMesh runtime accepts.
pub const GRPC_MAX_MESSAGE: ByteSize = ByteSize(4 << 20);

/// The rest of a file system needs room too (logs, updates), and nearly full flash wears faster.
pub const SPOOL_MIN_FREE: u8 = 5;
/// Memory for messages on their way to the disk: what a card takes in the seconds it may stall, at gateway rates.
pub const SPOOL_WAITING: ByteSize = ByteSize(8 << 20);
/// The lanes, from the one kept longest to the one given up first.
pub const LANES: [&str; 3] = ["alarm", "normal", "bulk"];
/// Where an event goes that no rule places.
pub const LANE: &str = "normal";

/// A connection over satellite stands by then.
pub const UPLINK_CONNECT_TIMEOUT: Span = Span::seconds(5);
/// A receiver may commit to a slow disk first; what takes longer is sent again.
pub const UPLINK_ANSWER_TIMEOUT: Span = Span::seconds(30);
/// Enough that the cost of a request is small beside that of its events.
pub const UPLINK_BATCH_EVENTS: u32 = 512;
/// Half of what EventMesh takes in one request.
pub const UPLINK_BATCH_SIZE: ByteSize = ByteSize(512 << 10);
/// Keeps a link of 200 ms busy, with little to repeat when it breaks.
pub const UPLINK_IN_FLIGHT: u32 = 4;
/// The same where a request is a single event, each over a connection of its own.
pub const UPLINK_SINGLE_IN_FLIGHT: u32 = 64;
/// A receiver that errs at random takes an event within five tries.
pub const UPLINK_REFUSED_TRIES: u32 = 5;
/// Thousands of usual events, and little beside the smallest bound of the spool.
pub const UPLINK_DEAD_LETTERS: ByteSize = ByteSize(4 << 20);
/// Longer than the pauses of a sensor that reports each half minute.
pub const UPLINK_CONNECTED_FOR: Span = Span::seconds(60);

/// A device takes about a kilobyte of memory.
pub const MAX_DEVICES: u32 = 10_000;
/// A command of some hundred bytes for each of them.
pub const COMMAND_BOUND: ByteSize = ByteSize(4 << 20);
