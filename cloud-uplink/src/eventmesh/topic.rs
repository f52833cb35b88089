/// What stands for `/` in a mesh topic: of the characters that no mesh's store refuses (Kafka's and RocketMQ's names have
/// letters, digits, `-` and `_` in common) the one that is rarer within a level.
pub const SLASH: char = '-';

/// Which mesh topic an MQTT topic becomes: a text in which `{topic}` stands for the MQTT topic, with [`SLASH`] for each `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshTopic {
    template: String,
}

const VARIABLE: &str = "{topic}";

impl MeshTopic {
    /// Every text is a template; `None` stands for `{topic}`.
    pub fn new(template: Option<String>) -> MeshTopic {
        MeshTopic {
            template: template.unwrap_or_else(|| VARIABLE.to_owned()),
        }
    }

    /// The mesh topic of an MQTT topic.
    pub fn of(&self, mqtt_topic: &str) -> String {
        let flat = mqtt_topic.replace('/', SLASH.encode_utf8(&mut [0; 4]));
        self.template.replace(VARIABLE, &flat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mqtt_topic_stands_in_the_template_without_slashes() {
        let of =
            |template: Option<&str>| MeshTopic::new(template.map(str::to_owned)).of("plant/7/temp");
        assert_eq!(of(None), "plant-7-temp");
        assert_eq!(of(Some("edge_{topic}")), "edge_plant-7-temp");
        assert_eq!(of(Some("one/fixed")), "one/fixed");
    }
}
