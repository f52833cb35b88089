use std::ops::Bound;

use super::Result;
use crate::{
    Condition, Network, Number, NumberRange, Scalar, Wildcard,
    condition::fold_case,
    pattern::{
        PatternProblem,
        reader::{Kind, Reader},
    },
};

/// The conditions of one list, at least one.
pub(super) fn list(reader: &mut Reader<'_>) -> Result<Vec<Condition>> {
    let start = reader.place();
    // Most lists have one, and a condition is large.
    let mut all = Vec::with_capacity(1);
    let mut is_first = true;
    while reader.next_element(is_first)? {
        is_first = false;
        let place = reader.place();
        match reader.kind()? {
            Kind::Object => object(reader, &mut all)?,
            Kind::List => return reader.error(place, PatternProblem::NestedList),
            _ => all.push(Condition::Equals(scalar(reader)?)),
        }
    }
    if is_first {
        return reader.error(start, PatternProblem::EmptyList);
    }
    Ok(all)
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
        "numeric" => out.extend(numeric(reader)?.into_iter().map(Condition::Number)),
        "anything-but" => out.push(anything_but(reader)?),
        other => return reader.error(at, PatternProblem::UnknownCondition(other.to_owned())),
    }
    match reader.next_key(false)? {
        None => Ok(()),
        Some((_, at)) => reader.error(at, PatternProblem::OneKey),
    }
}

fn scalar(reader: &mut Reader<'_>) -> Result<Scalar> {
    Ok(match reader.kind()? {
        Kind::Text => Scalar::Text(reader.text()?.into()),
        Kind::Number => Scalar::Number(reader.number()?),
        _ => reader.word()?.map_or(Scalar::Null, Scalar::Boolean),
    })
}

fn text(reader: &mut Reader<'_>, condition: &'static str, takes: &'static str) -> Result<String> {
    let place = reader.place();
    match reader.kind()? {
        Kind::Text => Ok(reader.text()?.into_owned()),
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
fn numeric(reader: &mut Reader<'_>) -> Result<Vec<NumberRange>> {
    let start = reader.place();
    let takes = PatternProblem::Takes {
        condition: "numeric",
        takes: "a list of operators, each followed by a number, as in `[\">\", 0, \"<=\", 5]`",
    };
    if reader.kind()? != Kind::List {
        return reader.error(start, takes);
    }
    let mut ranges: Option<Vec<NumberRange>> = None;
    while reader.next_element(ranges.is_none())? {
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
        let Some(next) = satisfying(&operator, reader.number()?) else {
            return reader.error(place, PatternProblem::Operator(operator.into()));
        };
        ranges = Some(match ranges {
            None => next,
            Some(before) => intersections(&before, &next),
        });
    }
    match ranges {
        None => reader.error(start, takes),
        Some(ranges) if ranges.is_empty() => reader.error(start, PatternProblem::NoNumber),
        Some(ranges) => Ok(ranges),
    }
}

fn satisfying(operator: &str, number: Number) -> Option<Vec<NumberRange>> {
    let (below, above) = (Bound::Unbounded, Bound::Unbounded);
    let (low, high) = match operator {
        "=" => (Bound::Included(number.clone()), Bound::Included(number)),
        "<" => (below, Bound::Excluded(number)),
        "<=" => (below, Bound::Included(number)),
        ">" => (Bound::Excluded(number), above),
        ">=" => (Bound::Included(number), above),
        "!=" => {
            let less = NumberRange::new(below, Bound::Excluded(number.clone()))?;
            let more = NumberRange::new(Bound::Excluded(number), above)?;
            return Some(vec![less, more]);
        }
        _ => return None,
    };
    Some(vec![NumberRange::new(low, high)?])
}

fn intersections(some: &[NumberRange], others: &[NumberRange]) -> Vec<NumberRange> {
    let pairs = some
        .iter()
        .flat_map(|it| others.iter().map(move |other| (it, other)));
    pairs
        .filter_map(|(it, other)| it.intersect(other))
        .collect()
}

fn anything_but(reader: &mut Reader<'_>) -> Result<Condition> {
    let excluded = match reader.kind()? {
        Kind::List => {
            let takes = "a list of texts, numbers, booleans or nulls";
            elements(reader, takes, |reader| {
                Ok(Condition::Equals(scalar(reader)?))
            })?
        }
        Kind::Object => excluded_by_word(reader)?,
        _ => vec![Condition::Equals(scalar(reader)?)],
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
