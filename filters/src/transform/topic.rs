use super::{StepProblem, TransformError, Variables, template::Template};
use crate::{Event, TopicError, check_topic_name};

/// The topic that an event gets at a sink, made of text and of what the event says.
///
/// ```
/// use filters::{Event, transform::TopicTemplate};
///
/// let topic = TopicTemplate::parse("plant/${$.data.line}/readings", &Default::default())?;
/// let event = Event::builder("1", "/pump", "reading").payload(br#"{"line": 7}"#.to_vec()).build()?;
/// assert_eq!(topic.resolve(&event)?, "plant/7/readings");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTemplate(Template);

impl TopicTemplate {
    /// Reads text with variables as in templates.
    ///
    /// # Errors
    ///
    /// A variable is unknown, or the text alone makes it no topic.
    pub fn parse(text: &str, variables: &Variables) -> Result<TopicTemplate, StepProblem> {
        let template = Template::parse_strictly(text, variables)?;
        if let Some(topic) = template.constant() {
            check(&topic).map_err(|wrong| match wrong {
                Wrong::Topic(error) => StepProblem::Topic(error),
                Wrong::Dollar => StepProblem::DollarTopic,
            })?;
        }
        Ok(TopicTemplate(template))
    }

    /// The topic for this event: neither empty nor with `+`, `#` or U+0000, not beginning with `$`, at most
    /// [`crate::MAX_TOPIC_BYTES`].
    ///
    /// # Errors
    ///
    /// A value is missing or null, or what comes out is no such topic.
    pub fn resolve(&self, event: &Event) -> Result<String, TransformError> {
        let topic = self.0.render_strictly(event)?;
        match check(&topic) {
            Ok(()) => Ok(topic),
            Err(Wrong::Topic(error)) => Err(TransformError::Topic(error)),
            Err(Wrong::Dollar) => Err(TransformError::DollarTopic),
        }
    }
}

enum Wrong {
    Topic(TopicError),
    Dollar,
}

fn check(topic: &str) -> Result<(), Wrong> {
    check_topic_name(topic).map_err(Wrong::Topic)?;
    if topic.starts_with('$') {
        return Err(Wrong::Dollar);
    }
    Ok(())
}
