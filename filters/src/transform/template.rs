use std::collections::BTreeMap;

use super::{MAX_RESULT_BYTES, StepProblem, TransformError, document::quoted, path::JsonPath};
use crate::{Event, cesql::nearest::nearest};

/// The variables of a template by name: the path to a value, or, if it does not begin with `$`, the value itself.
pub type Variables = BTreeMap<String, String>;

/// Bytes of a template.
pub const MAX_TEMPLATE_BYTES: usize = 65_536;

/// Text with variables, `${name}`. A path may stand in the place of a name: `${$.data.temperature}`. What is no variable
/// stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Variable {
        source: Source,
        /// Whether it stands in a JSON string; means something in JSON templates only.
        in_quotes: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Path(JsonPath),
    Constant(Box<str>),
}

impl Template {
    /// Text without variables, whatever it looks like.
    pub(super) fn literal(text: &str) -> Result<Template, StepProblem> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(StepProblem::TemplateTooLong);
        }
        let parts = vec![Part::Literal(text.into())];
        Ok(Template { parts })
    }

    pub(super) fn parse(text: &str, variables: &Variables) -> Result<Template, StepProblem> {
        let (template, _) = Template::read(text, variables)?;
        Ok(template)
    }

    /// The same, where what looks like a variable has to be one.
    pub(super) fn parse_strictly(
        text: &str,
        variables: &Variables,
    ) -> Result<Template, StepProblem> {
        let (template, unknown) = Template::read(text, variables)?;
        match unknown {
            None => Ok(template),
            Some(name) => {
                let names: Vec<&str> = variables.keys().map(String::as_str).collect();
                let nearest = nearest(name, &names).map(str::to_owned);
                let name = name.chars().take(64).collect();
                Err(StepProblem::Variable { name, nearest })
            }
        }
    }

    /// Beside it the first thing that looks like a variable and is none.
    fn read<'a>(
        text: &'a str,
        variables: &Variables,
    ) -> Result<(Template, Option<&'a str>), StepProblem> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(StepProblem::TemplateTooLong);
        }
        let mut parts = Vec::new();
        let mut unknown = None;
        let mut quotes = Quotes::default();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            literal.push_str(before);
            quotes.read(before);
            let found = behind.split_once('}');
            let source = found
                .map(|(name, _)| Source::named(name, variables))
                .transpose()?;
            if let (Some((_, behind)), Some(Some(source))) = (found, source) {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
                let in_quotes = quotes.inside;
                parts.push(Part::Variable { source, in_quotes });
                rest = behind;
            } else {
                unknown = unknown.or(found.map(|(name, _)| name));
                literal.push_str("${");
                rest = behind;
            }
        }
        literal.push_str(rest);
        parts.push(Part::Literal(literal.into()));
        Ok((Template { parts }, unknown))
    }

    /// The text with its variables filled in. A value that is missing renders `null`.
    pub(super) fn render_text(&self, event: &Event) -> Result<String, TransformError> {
        self.render(|out, source, _| {
            let value = source.text(event)?;
            push(out, value.as_deref().unwrap_or("null"))
        })
    }

    /// The same, where a value that is missing or null is an error.
    pub(super) fn render_strictly(&self, event: &Event) -> Result<String, TransformError> {
        self.render(|out, source, _| match source.text(event)? {
            Some(value) if value != "null" => push(out, &value),
            _ => Err(TransformError::Missing(source.to_string())),
        })
    }

    /// A JSON value: a variable in quotes is a part of its string, one outside is rendered as JSON.
    pub(super) fn render_json(&self, event: &Event) -> Result<String, TransformError> {
        let rendered = self.render(|out, source, in_quotes| {
            let json = source.json(event)?.unwrap_or_else(|| "null".to_owned());
            match (in_quotes, json.strip_prefix('"')) {
                (false, _) => push(out, &json),
                (true, Some(string)) => push(out, string.strip_suffix('"').unwrap_or(string)),
                (true, None) => push(out, quoted(&json).trim_matches('"')),
            }
        })?;
        if serde_json::from_str::<serde::de::IgnoredAny>(&rendered).is_err() {
            return Err(TransformError::ResultNotJson);
        }
        Ok(rendered)
    }

    fn render(
        &self,
        variable: impl Fn(&mut String, &Source, bool) -> Result<(), TransformError>,
    ) -> Result<String, TransformError> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => push(&mut out, text)?,
                Part::Variable { source, in_quotes } => variable(&mut out, source, *in_quotes)?,
            }
        }
        Ok(out)
    }

    /// The text, if nothing in it depends on the event.
    pub(super) fn constant(&self) -> Option<String> {
        let each = self.parts.iter().map(|part| match part {
            Part::Literal(text) => Some(&**text),
            Part::Variable {
                source: Source::Constant(text),
                ..
            } => Some(&**text),
            Part::Variable { .. } => None,
        });
        each.collect()
    }
}

fn push(out: &mut String, text: &str) -> Result<(), TransformError> {
    if out.len().saturating_add(text.len()) > MAX_RESULT_BYTES {
        return Err(TransformError::TooLong);
    }
    out.push_str(text);
    Ok(())
}

impl Source {
    /// `None` for what is no variable.
    fn named(name: &str, variables: &Variables) -> Result<Option<Source>, StepProblem> {
        Ok(match variables.get(name) {
            Some(path) if path.starts_with('$') => Some(Source::Path(
                JsonPath::parse(path).map_err(StepProblem::Path)?,
            )),
            Some(constant) => Some(Source::Constant(constant.as_str().into())),
            None => JsonPath::parse(name).ok().map(Source::Path),
        })
    }

    fn text(&self, event: &Event) -> Result<Option<String>, TransformError> {
        match self {
            Source::Path(path) => path.read_text(event),
            Source::Constant(text) => Ok(Some(text.to_string())),
        }
    }

    fn json(&self, event: &Event) -> Result<Option<String>, TransformError> {
        match self {
            Source::Path(path) => Ok(path.read(event)?.map(Into::into)),
            Source::Constant(text) => Ok(Some(quoted(text))),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Path(path) => path.fmt(out),
            Source::Constant(text) => text.fmt(out),
        }
    }
}

/// Whether JSON that was read so far ends within a string.
#[derive(Default)]
struct Quotes {
    inside: bool,
    escaped: bool,
}

impl Quotes {
    fn read(&mut self, json: &str) {
        for byte in json.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.inside => self.escaped = true,
                b'"' => self.inside = !self.inside,
                _ => {}
            }
        }
    }
}

/// What `constant` and `template` make of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewData {
    template: Template,
    media_type: Option<Box<str>>,
}

impl NewData {
    /// JSON if the media type says so, or, where none is named, if the text begins like an object or a list.
    pub(super) fn parse(
        template: Template,
        text: &str,
        media_type: Option<&str>,
    ) -> Result<NewData, StepProblem> {
        let looks_like_json = text.trim_ascii_start().starts_with(['{', '[']);
        let media_type = match media_type {
            None if looks_like_json => None,
            None => Some("text/plain"),
            Some(named) => {
                crate::check_attribute("datacontenttype", named).map_err(StepProblem::Attribute)?;
                Some(named)
            }
        };
        Ok(NewData {
            template,
            media_type: media_type.map(Into::into),
        })
    }

    pub(super) fn apply(&self, event: &Event) -> Result<Event, TransformError> {
        let named = self.media_type.as_deref();
        let is_json = named.is_none_or(crate::is_json);
        let text = if is_json {
            self.template.render_json(event)?
        } else {
            self.template.render_text(event)?
        };
        let mut changed = event.clone();
        // JSON under a name of its own keeps it; anything else becomes plain JSON.
        let keeps = named.is_none() && event.datacontenttype.as_deref().is_none_or(crate::is_json);
        if !keeps {
            changed.datacontenttype = Some(named.unwrap_or("application/json").to_owned());
        }
        changed.data = Some(crate::Data::of(
            changed.datacontenttype.as_deref(),
            text.into_bytes(),
        ));
        Ok(changed)
    }
}
