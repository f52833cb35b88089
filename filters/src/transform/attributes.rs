use super::{AttributeFile, SetFile, StepProblem, TransformError, template::Template};
use crate::{
    Event, EventError, EventProblem, MAX_EXTENSIONS, Value, check_attribute, is_extension,
};

/// What says which event it is.
const PROTECTED: [&str; 3] = ["id", "source", "specversion"];

/// Attributes that get a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SetAttributes(Box<[(Box<str>, NewValue)]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum NewValue {
    /// Of an extension.
    Typed(Value),
    Text(Template),
}

impl SetAttributes {
    pub(super) fn new(file: SetFile) -> Result<SetAttributes, StepProblem> {
        let mut set = Vec::new();
        for (name, value) in file.attributes {
            if PROTECTED.contains(&name.as_str()) {
                return Err(StepProblem::Protected(name));
            }
            // Any value of an extension tells whether its name is one.
            if is_extension(&name) || name == "data" {
                check_attribute(&name, "x").map_err(StepProblem::Attribute)?;
            }
            let value = match value {
                AttributeFile::Text(text) => {
                    let template = Template::parse_strictly(&text, &file.variables)?;
                    if let Some(text) = template.constant() {
                        check_attribute(&name, &text).map_err(StepProblem::Attribute)?;
                    }
                    NewValue::Text(template)
                }
                _ if !is_extension(&name) => {
                    let error = EventError::new(&name, EventProblem::Type);
                    return Err(StepProblem::Attribute(error));
                }
                AttributeFile::Boolean(value) => NewValue::Typed(Value::Boolean(value)),
                AttributeFile::Integer(value) => NewValue::Typed(Value::Integer(value)),
            };
            set.push((name.into(), value));
        }
        Ok(SetAttributes(set.into()))
    }

    pub(super) fn apply(&self, event: &Event) -> Result<Event, TransformError> {
        let mut changed = event.clone();
        for (name, value) in &self.0 {
            let value = match value {
                NewValue::Typed(value) => value.clone(),
                NewValue::Text(template) => {
                    let text = template.render_strictly(event)?;
                    check_attribute(name, &text).map_err(TransformError::Attribute)?;
                    Value::String(text)
                }
            };
            put(&mut changed, name, value);
        }
        if changed.extensions.len() > MAX_EXTENSIONS {
            let error = EventError::new("extensions", EventProblem::TooMany);
            return Err(TransformError::Attribute(error));
        }
        Ok(changed)
    }
}

fn put(event: &mut Event, name: &str, value: Value) {
    let text = match value {
        Value::String(text) if !is_extension(name) => text,
        value => {
            event.extensions.insert(name.to_owned(), value);
            return;
        }
    };
    match name {
        "type" => event.r#type = text,
        "subject" => event.subject = Some(text),
        "time" => event.time = Some(text),
        "dataschema" => event.dataschema = Some(text),
        _ => {
            event.data = event.data.take().map(|data| data.normalized(Some(&text)));
            event.datacontenttype = Some(text);
        }
    }
}
