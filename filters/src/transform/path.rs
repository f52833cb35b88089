use std::fmt;

/// The way to one value of an event, as JSONPath writes it: `$.subject`, `$.data.pumps[0]['flow rate']`. Names in brackets
/// and quotes, places in lists from 0 or, if negative, from the end. Nothing that finds several values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    text: Box<str>,
    pub(crate) root: Root,
    /// From the root on.
    pub(crate) steps: Box<[Step]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// The event itself.
    Event,
    Attribute(Box<str>),
    Data,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(Box<str>),
    Index(i32),
}

/// Steps of a path.
const MAX_STEPS: usize = 64;

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no path to one value: {problem}")]
pub struct PathError {
    /// As much of it as a line bears.
    pub text: String,
    /// What is wrong.
    pub problem: PathProblem,
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// It does not begin at the root.
    #[error("it begins with `$`, as in `$.data.temperature` or `$.subject`")]
    Root,
    /// `..`, `*`, a filter or a slice.
    #[error("`..`, `*`, `?` and `:` find several values")]
    Several,
    /// Something else than `.name`, `['name']` or `[0]`.
    #[error("behind `$` stand `.name`, `['name']` and `[0]` only")]
    Step,
    /// More than 64 steps.
    #[error("it has more than {MAX_STEPS} steps")]
    TooLong,
    /// A step into an attribute, or a place of the event.
    #[error("an event has attributes by name, which have no parts, and `data`")]
    Attribute,
}

impl JsonPath {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<JsonPath, PathError> {
        let wrong = |problem| PathError {
            text: text.chars().take(80).collect(),
            problem,
        };
        let mut steps = parse_steps(text).map_err(wrong)?.into_iter();
        let root = match steps.next() {
            None => Root::Event,
            Some(Step::Key(key)) if &*key == "data" => Root::Data,
            Some(Step::Key(name)) if steps.len() == 0 => Root::Attribute(name),
            Some(_) => return Err(wrong(PathProblem::Attribute)),
        };
        Ok(JsonPath {
            text: text.into(),
            root,
            steps: steps.collect(),
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn parse_steps(text: &str) -> Result<Vec<Step>, PathProblem> {
    let mut rest = text.strip_prefix('$').ok_or(PathProblem::Root)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() == MAX_STEPS {
            return Err(PathProblem::TooLong);
        }
        let (step, behind) = if let Some(inner) = rest.strip_prefix('[') {
            bracket(inner)?
        } else {
            let name = rest.strip_prefix('.').ok_or(PathProblem::Step)?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, behind) = name.split_at(end);
            match name {
                "" if behind.starts_with('.') => return Err(PathProblem::Several),
                "" => return Err(PathProblem::Step),
                "*" => return Err(PathProblem::Several),
                _ => (Step::Key(name.into()), behind),
            }
        };
        steps.push(step);
        rest = behind;
    }
    Ok(steps)
}

/// What stands behind `[`.
fn bracket(inner: &str) -> Result<(Step, &str), PathProblem> {
    let Some(quote) = inner.chars().next().filter(|it| matches!(it, '\'' | '"')) else {
        let (place, behind) = inner.split_once(']').ok_or(PathProblem::Step)?;
        if place.contains(['*', '?', ':', ',']) {
            return Err(PathProblem::Several);
        }
        let place = place.trim().parse().map_err(|_| PathProblem::Step)?;
        return Ok((Step::Index(place), behind));
    };
    let mut key = String::new();
    let mut chars = inner.chars();
    chars.next();
    loop {
        match chars.next().ok_or(PathProblem::Step)? {
            '\\' => key.push(chars.next().ok_or(PathProblem::Step)?),
            char if char == quote => break,
            char => key.push(char),
        }
    }
    let behind = chars.as_str().strip_prefix(']').ok_or(PathProblem::Step)?;
    Ok((Step::Key(key.into()), behind))
}

impl fmt::Display for JsonPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for JsonPath {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<JsonPath, D::Error> {
        let text = String::deserialize(from)?;
        JsonPath::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::JsonPath;

    #[test]
    fn a_path_leads_to_one_value() {
        for (text, expected) in [
            ("$", "Event []"),
            ("$.subject", "Attribute(\"subject\") []"),
            ("$['subject']", "Attribute(\"subject\") []"),
            ("$.data", "Data []"),
            ("$.data.a.b", "Data [Key(\"a\"), Key(\"b\")]"),
            (
                "$.data['a.b'][\"it's\"]",
                "Data [Key(\"a.b\"), Key(\"it's\")]",
            ),
            (r"$.data['it\'s\\']", r#"Data [Key("it's\\")]"#),
            ("$.data['']", "Data [Key(\"\")]"),
            (
                "$.data[0].a-b c[-1]",
                "Data [Index(0), Key(\"a-b c\"), Index(-1)]",
            ),
        ] {
            let path = JsonPath::parse(text).expect(text);
            assert_eq!(
                format!("{:?} {:?}", path.root, path.steps),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_path_to_one_value_is_refused() {
        for (text, expected) in [
            ("", "it begins with"),
            ("data.a", "it begins with"),
            ("$data", "behind `$`"),
            ("$.data.", "behind `$`"),
            ("$.data[", "behind `$`"),
            ("$.data[a]", "behind `$`"),
            ("$.data['a", "behind `$`"),
            ("$.data['a'b]", "behind `$`"),
            ("$.data[99999999999]", "behind `$`"),
            ("$..a", "`..`, `*`"),
            ("$.data.*", "`..`, `*`"),
            ("$.data[*]", "`..`, `*`"),
            ("$.data[0:2]", "`..`, `*`"),
            ("$.data[?(@.a)]", "`..`, `*`"),
            ("$.subject.a", "an event has attributes"),
            ("$[0]", "an event has attributes"),
        ] {
            let error = JsonPath::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let long = format!("$.data{}", ".a".repeat(64));
        assert!(JsonPath::parse(&long).is_err());
    }
}
