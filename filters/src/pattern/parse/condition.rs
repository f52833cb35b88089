use std::{borrow::Cow, ops::Bound};

use crate::{
    Condition, Network, Number, NumberRange, Scalar, Wildcard,
    condition::{fold_case, higher, lower},
    pattern::{
        PatternProblem,
        reader::{Kind, Reader, Result},
    },
};

/// The conditions of one list, at least one.
pub(super) fn list(reader: &mut Reader<'_>, out: &mut Vec<Condition>) -> Result<()> {
    let start = reader.place();
    let mut is_first = true;
    while reader.next_element(is_first)? {
        is_first = false;
        match reader.kind()? {
            Kind::Object => object(reader, out)?,
            Kind::List => return reader.error(reader.at(), PatternProblem::NestedList),
            kind => out.push(Condition::Equals(scalar(reader, kind)?)),
        }
    }
    if is_first {
        return reader.error(start, PatternProblem::EmptyList);
    }
    Ok(())
}

/// One condition that is an object with its word as key; `!=` makes two of it.
fn object(reader: &mut Reader<'_>, out: &mut Vec<Condition>) -> Result<()> {
    let start = reader.place();
    let Some((word, at)) = reader.next_key(true)? else {
        return reader.error(start, PatternProblem::OneKey);
    };
    match &*word {
        "prefix" => out.push(affix(reader, &PREFIX)?),
        "suffix" => out.push(affix(reader, &SUFFIX)?),
        "equals-ignore-case" => {
            let text = text(reader, "equals-ignore-case", "a text")?;
            out.push(Condition::EqualsIgnoreCase(fold_case(&text).into()));
        }
        "wildcard" => out.push(wildcard(reader)?),
        "cidr" => out.push(network(reader)?),
        "exists" => out.push(exists(reader)?),
        "numeric" => numeric(reader, out)?,
        "anything-but" => out.push(anything_but(reader)?),
        other => return reader.error(at, PatternProblem::UnknownCondition(other.to_owned())),
    }
    match reader.next_key(false)? {
        None => Ok(()),
        Some((_, at)) => reader.error(at, PatternProblem::OneKey),
    }
}

fn scalar(reader: &mut Reader<'_>, kind: Kind) -> Result<Scalar> {
    Ok(match kind {
        Kind::Text => Scalar::Text(reader.text()?.into()),
        Kind::Number => Scalar::Number(reader.number()?),
        _ => reader.word()?.map_or(Scalar::Null, Scalar::Boolean),
    })
}

fn text<'a>(
    reader: &mut Reader<'a>,
    condition: &'static str,
    takes: &'static str,
) -> Result<Cow<'a, str>> {
    let place = reader.place();
    match reader.kind()? {
        Kind::Text => reader.text(),
        _ => reader.error(place, PatternProblem::Takes { condition, takes }),
    }
}

/// `prefix` or `suffix`.
struct Affix {
    word: &'static str,
    exact: fn(Box<str>) -> Condition,
    ignoring_case: fn(Box<str>) -> Condition,
}

const PREFIX: Affix = Affix {
    word: "prefix",
    exact: Condition::Prefix,
    ignoring_case: Condition::PrefixIgnoreCase,
};
const SUFFIX: Affix = Affix {
    word: "suffix",
    exact: Condition::Suffix,
    ignoring_case: Condition::SuffixIgnoreCase,
};

fn affix(reader: &mut Reader<'_>, affix: &Affix) -> Result<Condition> {
    if reader.kind()? != Kind::Object {
        let takes = "a text or {\"equals-ignore-case\": a text}";
        return Ok((affix.exact)(text(reader, affix.word, takes)?.into()));
    }
    let start = reader.place();
    let Some((inner, at)) = reader.next_key(true)? else {
        return reader.error(start, PatternProblem::OneKey);
    };
    if inner != "equals-ignore-case" {
        let (outer, inner) = (affix.word, inner.into());
        return reader.error(at, PatternProblem::Inside { outer, inner });
    }
    let text = text(reader, "equals-ignore-case", "a text")?;
    match reader.next_key(false)? {
        None => Ok((affix.ignoring_case)(fold_case(&text).into())),
        Some((_, at)) => reader.error(at, PatternProblem::OneKey),
    }
}

fn wildcard(reader: &mut Reader<'_>) -> Result<Condition> {
    let place = reader.place();
    let text = text(reader, "wildcard", "a text with `*`")?;
    match Wildcard::parse(&text) {
        Ok(shape) => Ok(Condition::Wildcard(shape)),
        Err(error) => reader.error(place, error.into()),
    }
}

fn network(reader: &mut Reader<'_>) -> Result<Condition> {
    let place = reader.place();
    let text = text(reader, "cidr", "a text as `10.0.0.0/24`")?;
    match Network::parse(&text) {
        Ok(network) => Ok(Condition::Network(network)),
        Err(error) => reader.error(place, error.into()),
    }
}

fn exists(reader: &mut Reader<'_>) -> Result<Condition> {
    let place = reader.place();
    let value = match reader.kind()? {
        Kind::Word => reader.word()?,
        _ => None,
    };
    match value {
        Some(true) => Ok(Condition::Exists),
        Some(false) => Ok(Condition::Missing),
        None => reader.error(
            place,
            PatternProblem::Takes {
                condition: "exists",
                takes: "`true` or `false`",
            },
        ),
    }
}

/// The ranges whose union satisfies every operator.
fn numeric(reader: &mut Reader<'_>, out: &mut Vec<Condition>) -> Result<()> {
    let start = reader.place();
    let takes = PatternProblem::Takes {
        condition: "numeric",
        takes: "a list of operators, each followed by a number, as in `[\">\", 0, \"<=\", 5]`",
    };
    if reader.kind()? != Kind::List {
        return reader.error(start, takes);
    }
    let mut numbers = Satisfying::all();
    let mut is_first = true;
    while reader.next_element(is_first)? {
        is_first = false;
        let place = reader.place();
        if reader.kind()? != Kind::Text {
            return reader.error(place, takes);
        }
        let operator = reader.text()?;
        if !reader.next_element(false)? {
            return reader.error(start, takes);
        }
        let number_place = reader.place();
        if reader.kind()? != Kind::Number {
            return reader.error(number_place, takes);
        }
        let number = reader.number()?;
        if !numbers.restrict(&operator, number) {
            return reader.error(place, PatternProblem::Operator(operator.into()));
        }
    }
    if is_first {
        return reader.error(start, takes);
    }
    let before = out.len();
    numbers.into_ranges(out);
    if out.len() == before {
        return reader.error(start, PatternProblem::NoNumber);
    }
    Ok(())
}

/// The numbers that satisfy some operators: all between two bounds, but some single ones.
struct Satisfying {
    low: Bound<Number>,
    high: Bound<Number>,
    excluded: Vec<Number>,
}

impl Satisfying {
    fn all() -> Satisfying {
        Satisfying {
            low: Bound::Unbounded,
            high: Bound::Unbounded,
            excluded: Vec::new(),
        }
    }

    /// Takes the numbers that do not satisfy `operator` away; false where it is none.
    fn restrict(&mut self, operator: &str, number: Number) -> bool {
        match operator {
            "=" => {
                self.raise(Bound::Included(number.clone()));
                self.lower(Bound::Included(number));
            }
            "<" => self.lower(Bound::Excluded(number)),
            "<=" => self.lower(Bound::Included(number)),
            ">" => self.raise(Bound::Excluded(number)),
            ">=" => self.raise(Bound::Included(number)),
            "!=" => self.excluded.push(number),
            _ => return false,
        }
        true
    }

    fn raise(&mut self, low: Bound<Number>) {
        let before = std::mem::replace(&mut self.low, Bound::Unbounded);
        self.low = higher(before, low);
    }

    fn lower(&mut self, high: Bound<Number>) {
        let before = std::mem::replace(&mut self.high, Bound::Unbounded);
        self.high = lower(before, high);
    }

    /// What is between the bounds and the single numbers, in order, as far as any number is there.
    fn into_ranges(mut self, out: &mut Vec<Condition>) {
        self.excluded.sort_unstable();
        let mut low = self.low;
        for number in self.excluded {
            let high = lower(self.high.clone(), Bound::Excluded(number.clone()));
            out.extend(NumberRange::new(low.clone(), high).map(Condition::Number));
            low = higher(low, Bound::Excluded(number));
        }
        out.extend(NumberRange::new(low, self.high).map(Condition::Number));
    }
}
fn anything_but(reader: &mut Reader<'_>) -> Result<Condition> {
    let excluded = match reader.kind()? {
        Kind::List => {
            let takes = "a list of texts, numbers, booleans or nulls";
            elements(reader, takes, |reader| {
                let kind = reader.kind()?;
                Ok(Condition::Equals(scalar(reader, kind)?))
            })?
        }
        Kind::Object => excluded_by_word(reader)?,
        kind => vec![Condition::Equals(scalar(reader, kind)?)],
    };
    Ok(Condition::AnythingBut(excluded))
}

fn excluded_by_word(reader: &mut Reader<'_>) -> Result<Vec<Condition>> {
    let start = reader.place();
    let Some((word, at)) = reader.next_key(true)? else {
        return reader.error(start, PatternProblem::OneKey);
    };
    let one: fn(&mut Reader<'_>) -> Result<Condition> = match &*word {
        "prefix" => |reader| affix(reader, &PREFIX),
        "suffix" => |reader| affix(reader, &SUFFIX),
        "wildcard" => wildcard,
        "equals-ignore-case" => |reader| {
            let text = text(reader, "equals-ignore-case", "a text or a list of texts")?;
            Ok(Condition::EqualsIgnoreCase(fold_case(&text).into()))
        },
        other => {
            let (outer, inner) = ("anything-but", other.to_owned());
            return reader.error(at, PatternProblem::Inside { outer, inner });
        }
    };
    let excluded = match reader.kind()? {
        Kind::List => elements(reader, "a list of texts", one)?,
        _ => vec![one(reader)?],
    };
    match reader.next_key(false)? {
        None => Ok(excluded),
        Some((_, at)) => reader.error(at, PatternProblem::OneKey),
    }
}

/// What `one` reads of each element; at least one of them, none of them a list or, for scalars, an object.
fn elements(
    reader: &mut Reader<'_>,
    takes: &'static str,
    one: impl Fn(&mut Reader<'_>) -> Result<Condition>,
) -> Result<Vec<Condition>> {
    let start = reader.place();
    let mut all = Vec::new();
    while reader.next_element(all.is_empty())? {
        let place = reader.place();
        if matches!(reader.kind()?, Kind::List | Kind::Object) {
            let condition = "anything-but";
            return reader.error(place, PatternProblem::Takes { condition, takes });
        }
        all.push(one(reader)?);
    }
    if all.is_empty() {
        return reader.error(start, PatternProblem::EmptyList);
    }
    Ok(all)
}
