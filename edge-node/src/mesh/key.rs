//! Which durable group a subscription reads from, and the name that group has in the log.

use std::fmt;

use filters::TopicFilter;

/// A durable group: what one topic owes one audience. Each has a cursor of its own, so that a topic nobody takes holds
/// up no other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey {
    /// EventMesh's consumer group.
    pub(super) group: String,
    /// A mesh topic, which may have MQTT's wildcards.
    pub(super) topic: TopicFilter,
    pub(super) audience: Audience,
}

/// Who of a consumer group gets an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Audience {
    /// One member.
    Clustering,
    /// Each member; this is the part of one.
    Broadcasting(Identity, u32),
}

/// By what EventMesh knows a client within its group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) ip: String,
    /// Digits.
    pub(super) pid: String,
}

/// What the node puts before the names of all groups of the mesh.
const PREFIX: &str = "mesh/";

impl GroupKey {
    /// The group that a cursor belongs to, if it is one of the mesh.
    pub(super) fn of_cursor(name: &str) -> Option<GroupKey> {
        let name = name.strip_prefix(PREFIX)?;
        let (audience, rest) = name.split_once('/')?;
        let (group, rest) = rest.split_once('/')?;
        let (audience, topic) = match audience {
            "clustering" => (Audience::Clustering, rest),
            "broadcasting" => {
                let mut parts = rest.splitn(4, '/');
                let identity = Identity {
                    ip: unescaped(parts.next()?),
                    pid: unescaped(parts.next()?),
                };
                let ordinal = parts.next()?.parse().ok()?;
                (Audience::Broadcasting(identity, ordinal), parts.next()?)
            }
            _ => return None,
        };
        Some(GroupKey {
            group: unescaped(group),
            topic: TopicFilter::parse(topic).ok()?,
            audience,
        })
    }
}

/// The name to open the group by.
impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = escaped(&self.group);
        let topic = self.topic.as_str();
        match &self.audience {
            Audience::Clustering => write!(f, "clustering/{group}/{topic}"),
            Audience::Broadcasting(Identity { ip, pid }, ordinal) => {
                let (ip, pid) = (escaped(ip), escaped(pid));
                write!(f, "broadcasting/{group}/{ip}/{pid}/{ordinal}/{topic}")
            }
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

fn unescaped(text: &str) -> String {
    text.replace("%2F", "/").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_again_by_the_name_of_its_cursor() {
        let identity = Identity {
            ip: "10.0.0.1".to_owned(),
            pid: "77".to_owned(),
        };
        for audience in [Audience::Clustering, Audience::Broadcasting(identity, 2)] {
            for group in ["g", "a/b", "50%2F", "%/%25"] {
                for topic in ["t", "a/b", "a/+/#", "/x/"] {
                    let key = GroupKey {
                        group: group.to_owned(),
                        topic: TopicFilter::parse(topic).unwrap(),
                        audience: audience.clone(),
                    };
                    assert_eq!(GroupKey::of_cursor(&format!("mesh/{key}")), Some(key));
                }
            }
        }
    }

    #[test]
    fn other_cursors_are_none_of_the_mesh() {
        for name in [
            "uplink/a",
            "mesh/",
            "mesh/x/g/t",
            "mesh/clustering/g",
            "mesh/broadcasting/g/1/2/x/t",
            "clustering/g/t",
        ] {
            assert_eq!(GroupKey::of_cursor(name), None, "{name}");
        }
    }
}
