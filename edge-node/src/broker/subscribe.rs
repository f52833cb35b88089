//! SUBSCRIBE and UNSUBSCRIBE.

use filters::Subscription;
use spool::{Full, Seq};

use super::{
    Broker,
    action::Reader,
    answer::{Answer, Gate},
    connection::ConnectionId,
    fault::{Excess, PeerError},
    group::shared_name,
    journal::Journal,
    session::{Session, SessionId},
    subscriptions::{Subscriber, subscription_bytes},
};
use crate::{
    mqtt::packet::{
        Packet, PacketId, QoS, ReasonCode, RetainHandling, SubAck, Subscribe, SubscriptionRequest,
        Unsubscribe, Version,
    },
    record::{Change, SubscriptionOptions},
};

impl Broker {
    pub(crate) fn handle_subscribe(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session: SessionId,
        subscribe: &Subscribe,
    ) -> Result<(), PeerError> {
        let mut gate = Seq::ZERO;
        let mut reasons = Vec::with_capacity(subscribe.requests.len());
        let mut retained = Vec::new();
        let identifier = subscribe.subscription_identifier;
        // Whoever asks for more at once than it may have at all is refused the rest.
        let (asked, beyond) = subscribe
            .requests
            .split_at(subscribe.requests.len().min(self.limits.subscriptions));
        for request in asked {
            match self.subscribe_one(journal, session, request, identifier)? {
                Ok(taken) => {
                    gate = gate.max(taken.seq);
                    reasons.push(granted(request.qos));
                    if taken.wants_retained {
                        retained.push((request, taken.asked));
                    }
                }
                Err(reason) => reasons.push(reason),
            }
        }
        reasons.extend(beyond.iter().map(|_| ReasonCode::QuotaExceeded));
        if reasons.contains(&ReasonCode::QuotaExceeded) {
            self.exceed(id, Excess::Subscriptions);
        }
        self.answer_sub_ack(id, gate, subscribe.packet_id, reasons, false);
        for (request, asked) in retained {
            self.search_retained(journal, session, request, identifier, asked);
        }
        self.run_errands(session);
        Ok(())
    }

    /// The outer result ends the connection, the inner one is this request's reason code.
    fn subscribe_one(
        &mut self,
        journal: &mut Journal<'_>,
        session_id: SessionId,
        request: &SubscriptionRequest,
        identifier: Option<u32>,
    ) -> Result<Result<Subscribed, ReasonCode>, PeerError> {
        let Ok(subscription) = Subscription::parse(&request.filter) else {
            return Ok(Err(ReasonCode::TopicFilterInvalid));
        };
        let Some(session) = self.sessions.get(session_id) else {
            return Ok(Err(ReasonCode::UnspecifiedError));
        };
        if !self.may_hear(&session.client, subscription.filter.as_str()) {
            return Ok(Err(ReasonCode::NotAuthorized));
        }
        let is_new = !session.kept.subscriptions.contains_key(&request.filter);
        if is_new && !self.has_place_for(session, &request.filter) {
            return Ok(Err(ReasonCode::QuotaExceeded));
        }
        if subscription.group.is_some() && request.no_local {
            return Err(PeerError::Protocol(
                ReasonCode::ProtocolError,
                "no local on a shared subscription",
            ));
        }
        let client = session.client.to_string();
        let shared = subscription.group.as_ref();
        let shared = shared.map(|group| shared_name(group, subscription.filter.as_str()));
        let new_group = shared.filter(|name| !self.group_names.contains_key(name));
        let options = SubscriptionOptions {
            qos: request.qos as u8,
            no_local: request.no_local,
            retain_as_published: request.retain_as_published,
            identifier,
        };
        let change = Change::Subscribed {
            client,
            filter: request.filter.clone(),
            options,
        };
        let wants_retained = match request.retain_handling {
            _ if subscription.group.is_some() => false,
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        let appended = self.record_subscription(
            journal,
            session_id,
            request,
            wants_retained,
            new_group,
            change,
        );
        match appended {
            Ok((asked, seq)) => Ok(Ok(Subscribed {
                seq,
                wants_retained,
                asked,
            })),
            // With those before it: what is asked for at once is bounded by what the log takes at once.
            Err(Full::TooLarge) => Ok(Err(ReasonCode::QuotaExceeded)),
            Err(full) => Err(full.into()),
        }
    }

    /// Writes a subscription, and before it that what is retained is to be given, if it is.
    fn record_subscription(
        &mut self,
        journal: &mut Journal<'_>,
        session: SessionId,
        request: &SubscriptionRequest,
        wants_retained: bool,
        new_group: Option<String>,
        subscribed: Change,
    ) -> Result<(Option<Seq>, Seq), Full> {
        let asked = match wants_retained {
            true => self.ask_retained(journal, session, request)?,
            false => None,
        };
        let seq = match new_group {
            Some(name) => self.open_shared(journal, &name, session, subscribed)?,
            None => self.record_of(journal, session, subscribed)?,
        };
        Ok((asked, seq))
    }

    /// Opens a group with its first member, whose subscription `subscribed` is.
    fn open_shared(
        &mut self,
        journal: &mut Journal<'_>,
        name: &str,
        member: SessionId,
        subscribed: Change,
    ) -> Result<Seq, Full> {
        let opened = |cursor| Change::GroupOpened {
            name: name.to_owned(),
            cursor,
            filters: Vec::new(),
        };
        if self.sessions.get(member).is_some_and(Session::is_durable) {
            let changes = |cursor| vec![opened(cursor), subscribed];
            return Ok(self.open_cursor(journal, name, changes)?.1);
        }
        self.open_cursor(journal, name, |cursor| vec![opened(cursor)])?;
        self.record_of(journal, member, subscribed)
    }

    /// Whether a session may have one subscription more.
    fn has_place_for(&self, session: &Session, filter: &str) -> bool {
        let (bytes, all) = (subscription_bytes(filter), self.limits.subscription_bytes);
        session.kept.subscriptions.len() < self.limits.subscriptions
            && session.subscription_bytes + bytes <= all / 16
            && self.subscriptions.bytes() + bytes <= all
    }

    pub(crate) fn handle_unsubscribe(
        &mut self,
        journal: &mut Journal<'_>,
        id: ConnectionId,
        session_id: SessionId,
        unsubscribe: Unsubscribe,
    ) -> Result<(), PeerError> {
        let mut gate = Seq::ZERO;
        let mut reasons = Vec::with_capacity(unsubscribe.filters.len());
        let mut leaves_group = false;
        for filter in unsubscribe.filters {
            let Some(session) = self.sessions.get(session_id) else {
                return Ok(());
            };
            if !session.kept.subscriptions.contains_key(&filter) {
                reasons.push(ReasonCode::NoSubscriptionExisted);
                continue;
            }
            leaves_group |= filter.starts_with("$share/");
            let client = session.client.to_string();
            let unsubscribed = Change::Unsubscribed { client, filter };
            match self.record_of(journal, session_id, unsubscribed) {
                Ok(seq) => {
                    gate = gate.max(seq);
                    reasons.push(ReasonCode::Success);
                }
                // With those before it: the client may ask for the rest again.
                Err(Full::TooLarge) if self.can_be_refused(id) => {
                    reasons.push(ReasonCode::ImplementationSpecificError);
                }
                Err(full) => return Err(full.into()),
            }
        }
        if leaves_group {
            self.remove_empty_groups(journal);
        }
        self.answer_sub_ack(id, gate, unsubscribe.packet_id, reasons, true);
        Ok(())
    }

    fn answer_sub_ack(
        &mut self,
        id: ConnectionId,
        gate: Seq,
        packet_id: PacketId,
        mut reasons: Vec<ReasonCode>,
        is_unsubscribe: bool,
    ) {
        if self
            .connections
            .get(id)
            .is_some_and(|connection| connection.version == Version::V311)
        {
            for reason in reasons.iter_mut().filter(|reason| **reason as u8 >= 0x80) {
                *reason = ReasonCode::UnspecifiedError;
            }
        }
        let answer = SubAck {
            packet_id,
            reasons,
            properties: None,
        };
        let packet = if is_unsubscribe {
            Packet::UnsubAck(answer)
        } else {
            Packet::SubAck(answer)
        };
        self.answer(id, Gate::Committed(gate), Answer::Whole(Box::new(packet)));
    }
}

/// A subscription that was taken.
struct Subscribed {
    /// What has to be committed before it is granted.
    seq: Seq,
    wants_retained: bool,
    /// Where a durable session asked for what is retained.
    asked: Option<Seq>,
}

fn granted(qos: QoS) -> ReasonCode {
    match qos {
        QoS::AtMostOnce => ReasonCode::Success,
        QoS::AtLeastOnce => ReasonCode::GrantedQos1,
        QoS::ExactlyOnce => ReasonCode::GrantedQos2,
    }
}

impl Broker {
    pub(crate) fn link(
        &mut self,
        id: SessionId,
        filter: &str,
        options: crate::record::SubscriptionOptions,
    ) {
        match filters::Subscription::parse(filter) {
            Ok(subscription) => match &subscription.group {
                None => self.subscriptions.insert(
                    &subscription.filter,
                    Subscriber::Session(id),
                    options,
                ),
                Some(group) => {
                    let name = shared_name(group, subscription.filter.as_str());
                    let Some(group) = self.group_names.get(&name).copied() else {
                        return;
                    };
                    self.subscriptions.insert(
                        &subscription.filter,
                        Subscriber::Member(group, id),
                        options,
                    );
                    if let Some(found) = self.groups.get_mut(group) {
                        found
                            .members
                            .insert(id, super::subscriptions::Grant::of(&options));
                        found.feed.owed = found.feed.owed.max(self.appended);
                        self.hungry.insert(Reader::Group(group));
                    }
                }
            },
            Err(error) => {
                tracing::error!(%error, filter, "a stored subscription is no topic filter")
            }
        }
    }

    pub(crate) fn unlink(&mut self, id: SessionId, filter: &str) {
        let Ok(subscription) = filters::Subscription::parse(filter) else {
            return;
        };
        match &subscription.group {
            None => self
                .subscriptions
                .remove(&subscription.filter, Subscriber::Session(id)),
            Some(group) => {
                let name = shared_name(group, subscription.filter.as_str());
                let Some(group) = self.group_names.get(&name).copied() else {
                    return;
                };
                self.subscriptions
                    .remove(&subscription.filter, Subscriber::Member(group, id));
                if let Some(found) = self.groups.get_mut(group) {
                    found.members.remove(&id);
                }
            }
        }
    }
}
