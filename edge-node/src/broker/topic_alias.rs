//! Topic aliases: short names that a client gives its topics, for one connection.

use super::{Broker, connection::ConnectionId, fault::PeerError};
use crate::mqtt::packet::{Publish, ReasonCode};

impl Broker {
    pub(super) fn resolve_topic(
        &mut self,
        id: ConnectionId,
        publish: &mut Publish,
    ) -> Result<String, PeerError> {
        let alias = publish
            .properties
            .0
            .as_mut()
            .and_then(|set| set.topic_alias.take());
        let topic = publish.topic.as_str().to_owned();
        let Some(alias) = alias else { return Ok(topic) };
        let maximum = self.limits.topic_alias_maximum;
        let Some(connection) = self.connections.get_mut(id) else {
            return Ok(topic);
        };
        if alias.get() > maximum {
            return Err(PeerError::Protocol(
                ReasonCode::TopicAliasInvalid,
                "topic alias above the maximum",
            ));
        }
        if topic.is_empty() {
            let known = connection.aliases.get(&alias.get()).cloned();
            return known.ok_or(PeerError::Protocol(
                ReasonCode::TopicAliasInvalid,
                "topic alias without a topic",
            ));
        }
        connection.aliases.insert(alias.get(), topic.clone());
        Ok(topic)
    }
}
