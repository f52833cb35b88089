use core::fmt::Write as _;

use configuration::Settings;
use embassy_net::{IpAddress, Stack, tcp::TcpSocket};
use embassy_time::{Duration, Timer, with_timeout};
use heapless::String;
use minimq::{Buffers, ConfigBuilder, Connection, Property, Publication, QoS, Session};

use crate::{Queue, Unflushed, backoff::Backoff, queue::Numbered};

/// How long the node may take to answer anything before the link counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_SECONDS: u16 = 30;

/// The memory of a link, given once for its whole life.
pub struct LinkBuffers {
    tcp_received: [u8; 512],
    tcp_sent: [u8; 1024],
    mqtt_received: [u8; 256],
    mqtt_sent: [u8; 512],
}

impl Default for LinkBuffers {
    fn default() -> LinkBuffers {
        LinkBuffers::new()
    }
}

impl LinkBuffers {
    /// 2304 bytes.
    #[must_use]
    pub const fn new() -> LinkBuffers {
        LinkBuffers {
            tcp_received: [0; 512],
            tcp_sent: [0; 1024],
            mqtt_received: [0; 256],
            mqtt_sent: [0; 512],
        }
    }
}

/// The link to the node: MQTT 5 over the board's network, each reading a CloudEvent in binary mode at QoS 1, one in
/// flight.
///
/// Topic: `readings/<id>`; the event has `type` `edge.reading.v1`, `source` `/devices/<id>`, `id`
/// `<incarnation in hex>-<sequence>`, and `dropped`, when readings were pushed out since the reset, with their number.
pub struct Link<'a> {
    stack: Stack<'a>,
    settings: Settings<'a>,
    incarnation: u32,
}

/// Why a connection ended, in words for the log.
type Ended = &'static str;

impl<'a> Link<'a> {
    /// A link to the node of `settings`. `incarnation` is random at each reset, so that no id is used twice.
    #[must_use]
    pub fn new(stack: Stack<'a>, settings: Settings<'a>, incarnation: u32) -> Link<'a> {
        Link {
            stack,
            settings,
            incarnation,
        }
    }

    /// Connects, sends what is in `queue`, and connects again whenever the link is lost: after a random wait of at most
    /// 1 s, and of at most twice as long after each attempt that brought nothing, up to 32 s. Never returns.
    pub async fn run(&self, queue: &Queue, buffers: &mut LinkBuffers) {
        let mut backoff = Backoff::new(self.incarnation);
        loop {
            self.stack.wait_config_up().await;
            let mut acknowledged = false;
            let why = self.connect(queue, buffers, &mut acknowledged).await;
            if acknowledged {
                backoff.reset();
            }
            let wait = backoff.next_wait();
            say!(
                "no link to the node: {}; again in {} ms",
                why,
                wait.as_millis()
            );
            Timer::after(wait).await;
        }
    }

    /// One connection, until it ends.
    async fn connect(
        &self,
        queue: &Queue,
        buffers: &mut LinkBuffers,
        acknowledged: &mut bool,
    ) -> Ended {
        match self.connected(queue, buffers, acknowledged).await {
            Err(why) => why,
            Ok(never) => match never {},
        }
    }

    async fn connected(
        &self,
        queue: &Queue,
        buffers: &mut LinkBuffers,
        acknowledged: &mut bool,
    ) -> Result<core::convert::Infallible, Ended> {
        let LinkBuffers {
            tcp_received,
            tcp_sent,
            mqtt_received,
            mqtt_sent,
        } = buffers;
        let mut socket = TcpSocket::new(self.stack, tcp_received, tcp_sent);
        socket.set_timeout(Some(PATIENCE));
        socket.set_nagle_enabled(false);
        let address = self.address().await?;
        socket
            .connect((address, self.settings.port))
            .await
            .map_err(|_| "nobody answers at its address and port")?;
        // A session of its own per connection: the queue sends again, not the client behind its back.
        let mut config = ConfigBuilder::new(Buffers::new(mqtt_received, mqtt_sent))
            .client_id(self.settings.id)
            .map_err(|_| "the device id is too long")?
            .keepalive_interval(KEEP_ALIVE_SECONDS);
        if let Some(given) = self.settings.credentials {
            config = config
                .auth(given.user, given.password)
                .map_err(|_| "user or password is too long")?;
        }
        let mut session = Session::new(config);
        let mut connection = with_timeout(PATIENCE, session.connect(Unflushed(socket)))
            .await
            .map_err(|_| "the node does not answer CONNECT")?
            .map_err(|_| "the node refuses the connection")?;
        say!("connected to the node as {}", self.settings.id);
        loop {
            let next = next_reading(queue, &mut connection).await?;
            self.publish(&mut connection, next).await?;
            queue.acknowledge(next.sequence);
            *acknowledged = true;
            say!("reading {} acknowledged", next.sequence);
        }
    }

    async fn address(&self) -> Result<IpAddress, Ended> {
        #[cfg(feature = "dns")]
        {
            use embassy_net::dns::DnsQueryType;
            let found = self.stack.dns_query(self.settings.host, DnsQueryType::A);
            let found = found.await.map_err(|_| "its name cannot be resolved")?;
            found.first().copied().ok_or("its name has no address")
        }
        #[cfg(not(feature = "dns"))]
        {
            let address: core::net::Ipv4Addr = self
                .settings
                .host
                .parse()
                .map_err(|_| "this board needs its IPv4 address, not a name")?;
            Ok(IpAddress::Ipv4(address))
        }
    }

    async fn publish(
        &self,
        connection: &mut Connection<'_, '_, Unflushed<'_>>,
        next: Numbered,
    ) -> Result<(), Ended> {
        const FULL: Ended = "a text does not fit its buffer";
        let (mut topic, mut source) = (String::<80>::new(), String::<80>::new());
        let (mut id, mut dropped, mut data) = (
            String::<24>::new(),
            String::<10>::new(),
            String::<64>::new(),
        );
        let device = self.settings.id;
        write!(topic, "readings/{device}").map_err(|_| FULL)?;
        write!(source, "/devices/{device}").map_err(|_| FULL)?;
        write!(id, "{:08x}-{}", self.incarnation, next.sequence).map_err(|_| FULL)?;
        write!(dropped, "{}", next.dropped).map_err(|_| FULL)?;
        write!(data, "{}", next.reading).map_err(|_| FULL)?;
        let properties = [
            Property::ContentType("application/json"),
            Property::UserProperty("specversion", "1.0"),
            Property::UserProperty("type", "edge.reading.v1"),
            Property::UserProperty("source", &source),
            Property::UserProperty("id", &id),
            Property::UserProperty("dropped", &dropped),
        ];
        let told = if next.dropped == 0 { 5 } else { 6 };
        let publication = Publication::text(&topic, &data)
            .qos(QoS::AtLeastOnce)
            .properties(properties.get(..told).unwrap_or(&properties));
        let sent = connection
            .publish(publication)
            .await
            .map_err(|_| "it takes no publish")?
            .ok_or("it takes no QoS 1")?;
        with_timeout(PATIENCE, async {
            while connection.is_pending(&sent) {
                connection.poll().await.map_err(|_| "it was lost")?;
            }
            Ok(())
        })
        .await
        .map_err(|_| "no acknowledgement came")??;
        if connection.is_complete(&sent) {
            Ok(())
        } else {
            Err("the node refuses the reading")
        }
    }
}

/// The next reading; keeps the connection alive until there is one.
async fn next_reading(
    queue: &Queue,
    connection: &mut Connection<'_, '_, Unflushed<'_>>,
) -> Result<Numbered, Ended> {
    use embassy_futures::select::{Either, select};
    loop {
        match select(queue.oldest(), connection.poll()).await {
            Either::First(next) => return Ok(next),
            Either::Second(Ok(_)) => {}
            Either::Second(Err(_)) => return Err("it was lost"),
        }
    }
}
