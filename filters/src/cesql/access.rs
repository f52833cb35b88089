//! What the parts of an expression need of an event.

use super::{
    Value,
    attribute::Attribute,
    function::Function,
    need::Need,
    node::{Call, Chain, In, Kind, Like, Node, Operator, Precedence},
};
use crate::{Condition, Scalar};

const LEAST: i64 = i32::MIN as i64;
const MOST: i64 = i32::MAX as i64;

impl Node {
    /// What it needs to be this Boolean, itself or cast, without an error.
    pub(super) fn need_boolean(&self, wanted: bool) -> Need {
        if let Some(value) = self.literal() {
            let holds = value.cast_boolean() == Ok(wanted);
            return if holds { Need::anything() } else { Need::Never };
        }
        match &self.kind {
            Kind::Attribute(attribute) => Need::one_of(attribute, booleans(wanted)),
            Kind::Exists(attribute) if wanted => Need::exists(attribute),
            Kind::Exists(attribute) if attribute.is_required() => Need::Never,
            Kind::Not(operand) => operand.need_boolean(!wanted),
            Kind::Like(like) => like.need(wanted != like.negated),
            Kind::In(set) => set.need(wanted != set.negated),
            Kind::Call(call) => call.need_boolean(wanted),
            Kind::Chain(chain) => chain.need_boolean(wanted),
            _ => self.need_value(),
        }
    }

    /// What it needs to have any value without an error.
    fn need_value(&self) -> Need {
        match &self.kind {
            Kind::Attribute(attribute) => Need::exists(attribute),
            Kind::Not(operand) | Kind::Negate(operand) => operand.need_value(),
            Kind::Like(like) => like.operand.need_value(),
            Kind::In(set) => {
                let first = set
                    .set
                    .first()
                    .map_or_else(Need::anything, Node::need_value);
                set.operand.need_value().and(first)
            }
            Kind::Call(call) => call.need_value(),
            Kind::Chain(chain) => chain.need_value(),
            Kind::Boolean(_) | Kind::Integer(_) | Kind::Text(_) | Kind::Exists(_) => {
                Need::anything()
            }
        }
    }

    fn literal(&self) -> Option<Value<'_>> {
        match &self.kind {
            Kind::Boolean(value) => Some(Value::Boolean(*value)),
            Kind::Integer(value) => Some(Value::Integer(*value)),
            Kind::Text(text) => Some(Value::String((&**text).into())),
            _ => None,
        }
    }

    fn attribute(&self) -> Option<&Attribute> {
        match &self.kind {
            Kind::Attribute(attribute) => Some(attribute),
            _ => None,
        }
    }
}

impl Like {
    fn need(&self, matches: bool) -> Need {
        let conditions = self.pattern.conditions().filter(|_| matches);
        let (Some(attribute), Some(conditions)) = (self.operand.attribute(), conditions) else {
            return self.operand.need_value();
        };
        let each = conditions
            .into_iter()
            .map(|condition| Need::one_of(attribute, [condition]));
        each.fold(Need::anything(), Need::and)
    }
}

impl In {
    fn need(&self, found: bool) -> Need {
        let operand = self.operand.need_value();
        if !found {
            return self
                .set
                .iter()
                .map(Node::need_value)
                .fold(operand, Need::and);
        }
        let literals: Option<Vec<_>> = self.set.iter().map(Node::literal).collect();
        match (self.operand.attribute(), literals) {
            (Some(attribute), Some(literals)) => {
                Need::one_of(attribute, literals.into_iter().flat_map(texts_cast_to))
            }
            _ => operand.and(
                self.set
                    .first()
                    .map_or_else(Need::anything, Node::need_value),
            ),
        }
    }
}

impl Call {
    fn need_boolean(&self, wanted: bool) -> Need {
        match (self.function, &*self.arguments) {
            (Some(Function::Bool), [argument]) => argument.need_boolean(wanted),
            _ => self.need_value(),
        }
    }

    fn need_value(&self) -> Need {
        if self.function.is_none() {
            return Need::Never;
        }
        let each = self.arguments.iter().map(Node::need_value);
        each.fold(Need::anything(), Need::and)
    }
}

impl Chain {
    fn need_boolean(&self, wanted: bool) -> Need {
        match (self.precedence(), &*self.links) {
            (Some(Precedence::Logic), _) => {
                let (if_true, if_false) = self.need_logic();
                if wanted { if_true } else { if_false }
            }
            (Some(Precedence::Comparison), [link]) => {
                let operator = if wanted {
                    link.operator
                } else {
                    link.operator.opposite()
                };
                compared(&self.first, operator, &link.operand)
            }
            _ => self.need_value(),
        }
    }

    /// What the chain needs to be true, and what to be false.
    fn need_logic(&self) -> (Need, Need) {
        let of = |node: &Node| (node.need_boolean(true), node.need_boolean(false));
        let mut left = of(&self.first);
        for link in &self.links {
            let (if_true, if_false) = left;
            let (right_true, right_false) = of(&link.operand);
            left = match link.operator {
                Operator::And => (
                    if_true.clone().and(right_true),
                    if_false.or(if_true.and(right_false)),
                ),
                Operator::Or => (
                    if_true.or(if_false.clone().and(right_true)),
                    if_false.and(right_false),
                ),
                _ => (
                    if_true
                        .clone()
                        .and(right_false.clone())
                        .or(if_false.clone().and(right_true.clone())),
                    if_true.and(right_true).or(if_false.and(right_false)),
                ),
            };
        }
        left
    }

    fn need_value(&self) -> Need {
        let skippable = |operator| matches!(operator, Operator::And | Operator::Or);
        let each = self.links.iter().filter(|link| !skippable(link.operator));
        let each = each.map(|link| link.operand.need_value());
        each.fold(self.first.need_value(), Need::and)
    }
}

impl Operator {
    /// The comparison that holds where this one does not.
    fn opposite(self) -> Operator {
        match self {
            Operator::Equal => Operator::NotEqual,
            Operator::NotEqual => Operator::Equal,
            Operator::Less => Operator::GreaterOrEqual,
            Operator::LessOrEqual => Operator::Greater,
            Operator::Greater => Operator::LessOrEqual,
            Operator::GreaterOrEqual => Operator::Less,
            other => other,
        }
    }

    /// The comparison with its sides exchanged.
    fn mirrored(self) -> Operator {
        match self {
            Operator::Less => Operator::Greater,
            Operator::LessOrEqual => Operator::GreaterOrEqual,
            Operator::Greater => Operator::Less,
            Operator::GreaterOrEqual => Operator::LessOrEqual,
            other => other,
        }
    }
}

fn compared(left: &Node, operator: Operator, right: &Node) -> Need {
    match (
        left.attribute(),
        left.literal(),
        right.attribute(),
        right.literal(),
    ) {
        (Some(attribute), _, _, Some(literal)) if operator == Operator::Equal => {
            Need::one_of(attribute, cast_to(&literal))
        }
        // The attribute's own type decides how the literal is cast.
        (_, Some(literal), Some(attribute), _) if operator == Operator::Equal => {
            Need::one_of(attribute, texts_cast_to(literal))
        }
        (Some(attribute), _, _, Some(literal)) if operator != Operator::NotEqual => {
            ordered(attribute, operator, &literal)
        }
        (_, Some(literal), Some(attribute), _) if operator != Operator::NotEqual => {
            ordered(attribute, operator.mirrored(), &literal)
        }
        _ => left.need_value().and(right.need_value()),
    }
}

fn ordered(attribute: &Attribute, operator: Operator, literal: &Value<'_>) -> Need {
    let Ok(bound) = literal.cast_integer().map(i64::from) else {
        return Need::Never;
    };
    Need::one_of(
        attribute,
        match operator {
            Operator::Less => integers(LEAST, bound - 1),
            Operator::LessOrEqual => integers(LEAST, bound),
            Operator::Greater => integers(bound + 1, MOST),
            _ => integers(bound, MOST),
        },
    )
}

/// What an attribute is like that is equal to this when it is cast to its type.
fn cast_to(literal: &Value<'_>) -> Vec<Condition> {
    match literal {
        Value::Boolean(value) => booleans(*value),
        Value::Integer(value) => integers((*value).into(), (*value).into()),
        Value::String(text) => vec![text_is(text)],
    }
}

/// The texts of all attributes to whose type this can be cast and is equal then.
fn texts_cast_to(literal: Value<'_>) -> Vec<Condition> {
    let integer = literal
        .cast_integer()
        .map(|value| text_is(&value.to_string()));
    let boolean = literal
        .cast_boolean()
        .map(|value| text_is(if value { "true" } else { "false" }));
    let mut texts = vec![text_is(&literal.cast_string())];
    for text in [integer, boolean].into_iter().flatten() {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

fn text_is(text: &str) -> Condition {
    Condition::Equals(Scalar::Text(text.into()))
}

/// What an attribute is like that is this Boolean, or cast to one.
fn booleans(value: bool) -> Vec<Condition> {
    if value {
        vec![
            Condition::EqualsIgnoreCase("true".into()),
            Condition::Integer(LEAST, -1),
            Condition::Integer(1, MOST),
        ]
    } else {
        vec![
            Condition::EqualsIgnoreCase("false".into()),
            Condition::Integer(0, 0),
        ]
    }
}

/// What an attribute is like that is an integer between these two, or cast to one: `TRUE` is 1, `FALSE` is 0.
fn integers(low: i64, high: i64) -> Vec<Condition> {
    let mut conditions = Vec::new();
    if low <= high {
        conditions.push(Condition::Integer(low, high));
    }
    let range = low..=high;
    for (integer, text) in [(0, "false"), (1, "true")] {
        if range.contains(&integer) {
            conditions.push(text_is(text));
        }
    }
    conditions
}
