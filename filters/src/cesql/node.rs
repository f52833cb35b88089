use super::{attribute::Attribute, function::Function, like::LikePattern, value::Type};

/// A part of an expression, and the bytes it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean(bool),
    Integer(i32),
    Text(Box<str>),
    Attribute(Attribute),
    Exists(Attribute),
    Not(Box<Node>),
    Negate(Box<Node>),
    Like(Box<Like>),
    In(Box<In>),
    Call(Box<Call>),
    Chain(Box<Chain>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Like {
    pub(super) operand: Node,
    pub(super) pattern: LikePattern,
    pub(super) negated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct In {
    pub(super) operand: Node,
    pub(super) set: Box<[Node]>,
    pub(super) negated: bool,
}

/// `function` is `None` where no function has this name and this many arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) function: Option<Function>,
    pub(super) arguments: Box<[Node]>,
}

/// Operators of one precedence, applied from left to right: long chains need no depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) first: Node,
    pub(super) links: Vec<Link>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) operator: Operator,
    pub(super) operand: Node,
}

/// What stands between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    And,
    Or,
    Xor,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// How tightly an operator binds; those of one rank are applied from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precedence {
    Logic,
    Comparison,
    Sum,
    Product,
    /// Above every operator between two operands.
    Operand,
}

impl Precedence {
    pub(super) fn tighter(self) -> Precedence {
        match self {
            Precedence::Logic => Precedence::Comparison,
            Precedence::Comparison => Precedence::Sum,
            Precedence::Sum => Precedence::Product,
            Precedence::Product | Precedence::Operand => Precedence::Operand,
        }
    }
}

impl Operator {
    pub(super) fn precedence(self) -> Precedence {
        match self {
            Operator::And | Operator::Or | Operator::Xor => Precedence::Logic,
            Operator::Add | Operator::Subtract => Precedence::Sum,
            Operator::Multiply | Operator::Divide | Operator::Remainder => Precedence::Product,
            _ => Precedence::Comparison,
        }
    }
}

impl Node {
    /// The type of its result. A missing attribute alone counts as a Boolean, as the specification says.
    pub(super) fn returns(&self) -> Type {
        match &self.kind {
            Kind::Integer(_) | Kind::Negate(_) => Type::Integer,
            Kind::Text(_) => Type::String,
            Kind::Call(call) => call.function.map_or(Type::Boolean, Function::returns),
            Kind::Chain(chain) => chain.returns(),
            _ => Type::Boolean,
        }
    }
}

impl Node {
    /// What it holds beside itself, without the nodes below it, which stand in it or in a list of its own.
    pub(super) fn heap_bytes(&self) -> usize {
        let size = size_of::<Node>();
        match &self.kind {
            Kind::Text(text) => text.len(),
            Kind::Attribute(attribute) | Kind::Exists(attribute) => attribute.heap_bytes(),
            Kind::Not(_) | Kind::Negate(_) => size,
            Kind::Like(like) => size_of::<Like>() + like.pattern.heap_bytes(),
            Kind::In(set) => size_of::<In>() + set.set.len() * size,
            Kind::Call(call) => size_of::<Call>() + call.arguments.len() * size,
            Kind::Chain(chain) => size_of::<Chain>() + chain.links.len() * size_of::<Link>(),
            Kind::Boolean(_) | Kind::Integer(_) => 0,
        }
    }
}

impl Chain {
    /// All its operators have one precedence.
    pub(super) fn precedence(&self) -> Option<Precedence> {
        self.links.first().map(|link| link.operator.precedence())
    }

    fn returns(&self) -> Type {
        match self.precedence() {
            Some(Precedence::Sum | Precedence::Product) => Type::Integer,
            _ => Type::Boolean,
        }
    }
}
