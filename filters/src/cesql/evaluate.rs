//! What a node is worth for an event. The first error ends it.

use super::{
    EvaluationError, EventRef, Problem, Value,
    function::{Arguments, Concatenation, Failed, Function},
    node::{Call, Chain, In, Kind, Like, Node, Operator},
};

type Result<'a> = std::result::Result<Value<'a>, EvaluationError>;

impl Node {
    /// Its value; beside an error it is the failing function's own if that is this node, else the zero value of the type
    /// that this node has.
    pub(super) fn evaluate<'a>(
        &'a self,
        event: EventRef<'a>,
    ) -> (Value<'a>, Option<EvaluationError>) {
        let outcome = match &self.kind {
            Kind::Call(call) => call.call(self, event),
            _ => self.value(event).map_err(Stop::Inside),
        };
        match outcome {
            Ok(value) => (value, None),
            Err(Stop::Inside(error)) => (self.returns().zero(), Some(error)),
            Err(Stop::Itself((value, problem))) => (value, Some(self.error(problem))),
        }
    }

    pub(super) fn value<'a>(&'a self, event: EventRef<'a>) -> Result<'a> {
        let failed = |problem| self.error(problem);
        Ok(match &self.kind {
            Kind::Boolean(value) => Value::Boolean(*value),
            Kind::Integer(value) => Value::Integer(*value),
            Kind::Text(text) => Value::String((&**text).into()),
            Kind::Attribute(attribute) => {
                let value = attribute.value(event);
                value.ok_or_else(|| failed(Problem::MissingAttribute))?
            }
            Kind::Exists(attribute) => Value::Boolean(attribute.exists(event)),
            Kind::Not(operand) => {
                let value = operand.value(event)?;
                Value::Boolean(!value.cast_boolean().map_err(failed)?)
            }
            Kind::Negate(operand) => {
                let value = operand.value(event)?.cast_integer().map_err(failed)?;
                let negated = value.checked_neg().ok_or(Problem::Overflow);
                Value::Integer(negated.map_err(failed)?)
            }
            Kind::Like(like) => like.value(event)?,
            Kind::In(set) => set.value(event)?,
            Kind::Chain(chain) => chain.value(self, event)?,
            Kind::Call(call) => match call.call(self, event) {
                Ok(value) => value,
                Err(Stop::Inside(error)) => return Err(error),
                Err(Stop::Itself((_, problem))) => return Err(failed(problem)),
            },
        })
    }

    fn error(&self, problem: Problem) -> EvaluationError {
        EvaluationError {
            problem,
            start: self.start,
            end: self.end,
        }
    }
}

impl Like {
    fn value<'a>(&'a self, event: EventRef<'a>) -> Result<'a> {
        let text = self.operand.value(event)?.cast_string();
        Ok(Value::Boolean(self.pattern.matches(&text) != self.negated))
    }
}

impl In {
    /// Looks at the set from left to right and no further than to the first equal value.
    fn value<'a>(&'a self, event: EventRef<'a>) -> Result<'a> {
        let wanted = self.operand.value(event)?;
        for element in &self.set {
            let value = element.value(event)?;
            let value = value.cast(wanted.value_type());
            if value.map_err(|problem| element.error(problem))? == wanted {
                return Ok(Value::Boolean(!self.negated));
            }
        }
        Ok(Value::Boolean(self.negated))
    }
}

impl Chain {
    fn value<'a>(&'a self, node: &Node, event: EventRef<'a>) -> Result<'a> {
        let failed = |problem| node.error(problem);
        let mut left = self.first.value(event)?;
        for link in &self.links {
            if let Operator::And | Operator::Or = link.operator {
                let decided = left.cast_boolean().map_err(failed)?;
                left = Value::Boolean(decided);
                if decided == (link.operator == Operator::Or) {
                    continue;
                }
            }
            let right = link.operand.value(event)?;
            left = link.operator.apply(left, &right).map_err(failed)?;
        }
        Ok(left)
    }
}

impl Operator {
    fn apply<'a>(
        self,
        left: Value<'a>,
        right: &Value<'a>,
    ) -> std::result::Result<Value<'a>, Problem> {
        Ok(match self {
            // What is left of AND and OR does not decide alone: the result is what stands right.
            Operator::And | Operator::Or => Value::Boolean(right.cast_boolean()?),
            Operator::Xor => Value::Boolean(left.cast_boolean()? != right.cast_boolean()?),
            Operator::Equal => Value::Boolean(equal(left, right)?),
            Operator::NotEqual => Value::Boolean(!equal(left, right)?),
            Operator::Less => Value::Boolean(left.cast_integer()? < right.cast_integer()?),
            Operator::LessOrEqual => Value::Boolean(left.cast_integer()? <= right.cast_integer()?),
            Operator::Greater => Value::Boolean(left.cast_integer()? > right.cast_integer()?),
            Operator::GreaterOrEqual => {
                Value::Boolean(left.cast_integer()? >= right.cast_integer()?)
            }
            _ => Value::Integer(self.compute(left.cast_integer()?, right.cast_integer()?)?),
        })
    }

    fn compute(self, left: i32, right: i32) -> std::result::Result<i32, Problem> {
        let divides = matches!(self, Operator::Divide | Operator::Remainder);
        if divides && right == 0 {
            return Err(Problem::DivisionByZero);
        }
        let result = match self {
            Operator::Add => left.checked_add(right),
            Operator::Subtract => left.checked_sub(right),
            Operator::Multiply => left.checked_mul(right),
            Operator::Divide => left.checked_div(right),
            // The remainder of the least integer by -1 is 0, though the quotient overflows.
            _ => Some(left.wrapping_rem(right)),
        };
        result.ok_or(Problem::Overflow)
    }
}

/// The type of the right operand decides how they are compared.
fn equal(left: Value<'_>, right: &Value<'_>) -> std::result::Result<bool, Problem> {
    Ok(left.cast(right.value_type())? == *right)
}

/// Why a call has no true result.
enum Stop<'a> {
    /// An argument failed, in evaluation or in its cast.
    Inside(EvaluationError),
    /// The function itself did, and gives this value.
    Itself(Failed<'a>),
}

impl Call {
    fn call<'a>(
        &'a self,
        node: &Node,
        event: EventRef<'a>,
    ) -> std::result::Result<Value<'a>, Stop<'a>> {
        let Some(function) = self.function else {
            return Err(Stop::Itself((
                Value::Boolean(false),
                Problem::MissingFunction,
            )));
        };
        if function.is_variadic() {
            return self.concatenated(function, event);
        }
        let mut arguments: Arguments<'a> = std::array::from_fn(|_| Value::Boolean(false));
        for (index, (slot, argument)) in arguments.iter_mut().zip(&self.arguments).enumerate() {
            *slot = argument.value(event).map_err(Stop::Inside)?;
            if let Some(wanted) = function.takes(index) {
                let given = std::mem::replace(slot, Value::Boolean(false));
                let cast = given.cast(wanted);
                *slot = cast.map_err(|problem| Stop::Inside(node.error(problem)))?;
            }
        }
        function.call(arguments).map_err(Stop::Itself)
    }

    fn concatenated<'a>(
        &'a self,
        function: Function,
        event: EventRef<'a>,
    ) -> std::result::Result<Value<'a>, Stop<'a>> {
        let too_long = |problem| Stop::Itself((function.returns().zero(), problem));
        let mut texts = self
            .arguments
            .iter()
            .map(|argument| argument.value(event).map(Value::cast_string));
        let delimiter = match function {
            Function::ConcatWs => texts.next().transpose().map_err(Stop::Inside)?,
            _ => None,
        };
        let mut out = Concatenation::default();
        for (index, text) in texts.enumerate() {
            let text = text.map_err(Stop::Inside)?;
            if let Some(delimiter) = delimiter.as_deref().filter(|_| index > 0) {
                out.push(delimiter).map_err(too_long)?;
            }
            out.push(&text).map_err(too_long)?;
        }
        Ok(out.finish())
    }
}
