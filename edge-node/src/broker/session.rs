//! A session: what outlives a connection.

use std::{collections::BTreeMap, num::NonZeroU16, sync::Arc};

use spool::{CursorId, NodeTime, Seq};

use super::{
    Broker,
    action::Reader,
    connection::ConnectionId,
    errands::Errands,
    feed::Feed,
    flight::{self, Flights, Place},
    retained::Asked,
    subscriptions::subscription_bytes,
};
use crate::record::{Change, StoredWill, SubscriptionOptions};

/// Index of a session in the broker; reused after the session ended.
pub(crate) type SessionId = usize;

/// MQTT session state.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Arc<str>,
    pub(crate) kept: Kept,
    pub(crate) feed: Feed,
    pub(crate) flights: Flights,
    pub(crate) errands: Errands,
    /// Bytes that its subscriptions take.
    pub(super) subscription_bytes: usize,
    pub(crate) connection: Option<ConnectionId>,
}

/// The part that is the fold of the log, for a durable session; the same shape in memory only for one that ends with
/// its connection.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Kept {
    /// The cursor over what it is owed; `None` for a session that ends with its connection.
    pub(crate) cursor: Option<CursorId>,
    pub(crate) expiry_seconds: u32,
    pub(crate) connected: bool,
    /// When its last connection ended.
    pub(crate) disconnected_at: NodeTime,
    pub(crate) will: Option<StoredWill>,
    pub(crate) will_due: Option<NodeTime>,
    /// By topic filter as subscribed, `$share/…` included.
    pub(crate) subscriptions: BTreeMap<String, SubscriptionOptions>,
    /// Inbound QoS 2 identifiers that are taken, with the record that waits for release.
    pub(crate) inbound: BTreeMap<NonZeroU16, Seq>,
    /// Outbound QoS 2 identifiers.
    pub(crate) outbound: BTreeMap<NonZeroU16, Outbound>,
    /// What is retained and it is yet to be given, by the position where it asked; a part of its own in a checkpoint.
    #[serde(skip)]
    pub(super) asked: BTreeMap<Seq, Asked>,
}

/// How far an outbound QoS 2 message is.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Outbound {
    /// PUBLISH may have been sent; PUBREC has not come.
    Sent { seq: Seq, shared: Option<String> },
    /// PUBREC came; PUBREL may have been sent.
    Received,
    /// As `Sent`, a retained message for a new subscription.
    Retained { seq: Seq, identifier: Option<u32> },
}

impl Outbound {
    /// The position of its message, as long as that may have to be sent again.
    pub(super) fn seq(&self) -> Option<Seq> {
        match self {
            Outbound::Sent { seq, .. } | Outbound::Retained { seq, .. } => Some(*seq),
            Outbound::Received => None,
        }
    }
}

impl Kept {
    /// Folds a change that concerns this session alone.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::SessionConnected {
                expiry_seconds,
                will,
                ..
            } => self.connect(expiry_seconds, will),
            Change::SessionDisconnected {
                at,
                expiry_seconds,
                will_due,
                ..
            } => self.disconnect(at, expiry_seconds, will_due),
            Change::WillRefused { .. } => self.spend_will(),
            Change::Released { packet_id, .. } => drop(self.inbound.remove(&packet_id)),
            Change::Sent {
                packet_id,
                seq,
                shared,
                ..
            } => self.fly(packet_id, Outbound::Sent { seq, shared }),
            Change::SentRetained {
                packet_id,
                seq,
                identifier,
                ..
            } => self.fly(packet_id, Outbound::Retained { seq, identifier }),
            Change::SentFound {
                packet_id,
                seq,
                identifier,
                asked,
                topic,
                ..
            } => {
                self.fly(packet_id, Outbound::Retained { seq, identifier });
                if let Some(asked) = self.asked.get_mut(&asked) {
                    asked.sent(topic);
                }
            }
            Change::RetainedGiven { .. } => self.asked.clear(),
            Change::Received { packet_id, .. } => self.fly(packet_id, Outbound::Received),
            Change::Completed { packet_id, .. } => drop(self.outbound.remove(&packet_id)),
            // These change more than one session.
            _ => {}
        }
    }

    fn fly(&mut self, packet_id: NonZeroU16, outbound: Outbound) {
        self.outbound.insert(packet_id, outbound);
    }

    fn connect(&mut self, expiry_seconds: u32, will: Option<StoredWill>) {
        self.connected = true;
        self.expiry_seconds = expiry_seconds;
        self.will = will;
        self.will_due = None;
    }

    fn disconnect(&mut self, at: NodeTime, expiry_seconds: u32, will_due: Option<NodeTime>) {
        self.connected = false;
        self.disconnected_at = at;
        self.expiry_seconds = expiry_seconds;
        self.will_due = will_due;
        if will_due.is_none() {
            self.will = None;
        }
    }

    pub(super) fn spend_will(&mut self) {
        self.will = None;
        self.will_due = None;
    }
}

impl Session {
    pub(crate) fn new(client: Arc<str>, cursor: Option<CursorId>, after: Seq) -> Session {
        Session {
            client,
            kept: Kept {
                cursor,
                ..Kept::default()
            },
            feed: Feed {
                sent: after,
                owed: after,
                ..Feed::default()
            },
            flights: Flights::default(),
            errands: Errands::default(),
            subscription_bytes: 0,
            connection: None,
        }
    }

    pub(super) fn subscribe(&mut self, filter: String, options: SubscriptionOptions) {
        let bytes = subscription_bytes(&filter);
        if self.kept.subscriptions.insert(filter, options).is_none() {
            self.subscription_bytes += bytes;
        }
    }

    /// What is retained for this filter is to be given, whatever was before.
    pub(super) fn ask(&mut self, at: Seq, filter: String) {
        self.forget_asked(&filter);
        self.kept.asked.insert(at, Asked::new(filter));
    }

    fn forget_asked(&mut self, filter: &str) {
        self.kept.asked.retain(|_, asked| !asked.is_for(filter));
    }

    pub(super) fn unsubscribe(&mut self, filter: &str) {
        self.forget_asked(filter);
        if self.kept.subscriptions.remove(filter).is_some() {
            self.subscription_bytes -= subscription_bytes(filter);
        }
        self.errands.stop_search(filter);
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.kept.cursor.is_some()
    }
}

impl Broker {
    /// The client of a session, as the ledger names it.
    pub(super) fn client_of(&self, id: SessionId) -> String {
        self.sessions
            .get(id)
            .map(|session| session.client.to_string())
            .unwrap_or_default()
    }

    pub(crate) fn add_session(&mut self, session: Session) -> SessionId {
        let client = Arc::clone(&session.client);
        let id = self.sessions.insert(session);
        self.clients.insert(client, id);
        id
    }

    /// A session ended: it leaves every table.
    pub(crate) fn forget_session(&mut self, client: &str) {
        let Some(id) = self.clients.remove(client) else {
            return;
        };
        let Some(session) = self.sessions.try_remove(id) else {
            return;
        };

        self.forget_deliveries(id);
        for filter in session.kept.subscriptions.keys() {
            self.unlink(id, filter);
        }
        // Inbound QoS 2 records need no release any more; in-flight ones of groups go back.
        for (_, flight) in session.flights.in_order() {
            if let Place::Retained(_, seq) = flight.place
                && flight.phase == flight::Phase::Published
            {
                self.unpin(seq);
            }
            if let (Some(group), Place::Stored(seq)) = (flight.group, &flight.place)
                && flight.phase == flight::Phase::Published
            {
                self.return_to_group(group, *seq);
            }
        }
        self.hungry.remove(&Reader::Session(id));
    }
}
