use super::link::Link;
use crate::mqtt::encode::{AckKind, encode_success};
use crate::mqtt::packet::Packet;
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A clean session that receives everything at QoS 1, and what it saw.
pub(super) struct Subscriber {
    link: Link,
    pub(super) received: u64,
    pub(super) last: Option<Instant>,
}

impl Subscriber {
    pub(super) async fn open(addr: &str, client_id: String, filter: String) -> io::Result<Self> {
        let mut link = Link::open(addr, client_id, 256 * 1024).await?;
        link.subscribe(filter).await?;
        Ok(Self {
            link,
            received: 0,
            last: None,
        })
    }

    /// Receives until as many messages as `expected` says have come, once it says how many, or none comes for `patience`.
    pub(super) async fn drive(
        mut self,
        mut expected: watch::Receiver<Option<u64>>,
        patience: Duration,
    ) -> Self {
        loop {
            let enough = *expected.borrow_and_update();
            if enough.is_some_and(|enough| self.received >= enough) {
                return self;
            }
            let progress = tokio::select! {
                progress = tokio::time::timeout(patience, self.receive()) => progress,
                changed = expected.changed(), if enough.is_none() => {
                    if changed.is_err() {
                        return self;
                    }
                    continue;
                }
            };
            match progress {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return self,
                Err(_) if enough.is_some() => return self,
                Err(_) => {}
            }
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        self.link.exchange().await?;
        let before = self.received;
        while let Some(packet) = self.link.next()? {
            if let Packet::Publish(publish) = packet {
                self.received += 1;
                if let Some(packet_id) = publish.packet_id {
                    encode_success(AckKind::PubAck, packet_id, &mut self.link.out);
                }
            }
        }
        if self.received > before {
            self.last = Some(Instant::now());
        }
        Ok(())
    }
}
