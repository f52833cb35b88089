use super::{
    MAX_DEPTH, MAX_EXPRESSION_BYTES, MAX_LIKE_BYTES, ParseError, ParseProblem,
    attribute::Attribute,
    function::Function,
    lexer::{Lexer, Token, shown},
    like::LikePattern,
    nearest::nearest,
    node::{Call, Chain, In, Kind, Like, Link, Node, Operator, Precedence},
};

const OPERATOR: &str = "an operator (AND, OR, XOR, =, !=, <, LIKE, IN, +, …) or the end";
const OPERAND: &str = "an attribute, a value, a function or `(`";
const OPERATOR_WORDS: [&str; 6] = ["AND", "OR", "XOR", "NOT", "LIKE", "IN"];
const KEYWORDS: [&str; 9] = [
    "AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "FALSE",
];

/// Reads a whole text as one expression.
pub(super) fn parse(text: &str) -> Result<Node, ParseError> {
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(ParseError::new(text, 0, ParseProblem::TooLong));
    }
    let mut parser = Parser::new(text)?;
    let part = parser.chain(Precedence::Logic)?;
    match parser.token {
        Token::End => Ok(part.node),
        _ => Err(parser.operator_expected()),
    }
}

/// A node and how many stand on one another in it, itself included: what bounds recursion wherever nodes are walked.
struct Part {
    node: Node,
    height: usize,
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// What comes next, and where it begins.
    token: Token<'a>,
    at: usize,
    /// Where what was read last ends.
    end: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Parser<'a>, ParseError> {
        let mut lexer = Lexer::new(text);
        let (token, at) = lexer.next()?;
        Ok(Parser {
            text,
            lexer,
            token,
            at,
            end: 0,
            depth: 0,
        })
    }

    /// Operands and the operators between them that bind at least so tightly.
    fn chain(&mut self, loosest: Precedence) -> Result<Part, ParseError> {
        let mut left = self.membership()?;
        while let Some(operator) = self.operator()
            && operator.precedence() >= loosest
        {
            self.advance()?;
            let right = self.chain(operator.precedence().tighter())?;
            left = self.linked(left, operator, right)?;
        }
        if let Kind::Chain(chain) = &mut left.node.kind {
            chain.links.shrink_to_fit();
        }
        Ok(left)
    }

    fn operator(&self) -> Option<Operator> {
        Some(match self.token {
            Token::Word(word) if word.eq_ignore_ascii_case("AND") => Operator::And,
            Token::Word(word) if word.eq_ignore_ascii_case("OR") => Operator::Or,
            Token::Word(word) if word.eq_ignore_ascii_case("XOR") => Operator::Xor,
            Token::Symbol("=") => Operator::Equal,
            Token::Symbol("!=" | "<>") => Operator::NotEqual,
            Token::Symbol("<") => Operator::Less,
            Token::Symbol("<=") => Operator::LessOrEqual,
            Token::Symbol(">") => Operator::Greater,
            Token::Symbol(">=") => Operator::GreaterOrEqual,
            Token::Symbol("+") => Operator::Add,
            Token::Symbol("-") => Operator::Subtract,
            Token::Symbol("*") => Operator::Multiply,
            Token::Symbol("/") => Operator::Divide,
            Token::Symbol("%") => Operator::Remainder,
            _ => return None,
        })
    }

    /// An operator applied from left to right, so that a chain on the left may simply grow.
    fn linked(&self, left: Part, operator: Operator, right: Part) -> Result<Part, ParseError> {
        let start = left.node.start;
        let link = Link {
            operator,
            operand: right.node,
        };
        let grows = |chain: &Chain| chain.precedence() == Some(operator.precedence());
        let (chain, height) = match left.node.kind {
            Kind::Chain(mut chain) if grows(&chain) => {
                chain.links.push(link);
                (chain, left.height.max(right.height + 1))
            }
            kind => {
                let first = Node { kind, ..left.node };
                let links = vec![link];
                (
                    Box::new(Chain { first, links }),
                    left.height.max(right.height) + 1,
                )
            }
        };
        self.part(Kind::Chain(chain), start, height)
    }

    /// `… LIKE 'a%'`, `… NOT IN (1, 2)`.
    fn membership(&mut self) -> Result<Part, ParseError> {
        let mut left = self.unary()?;
        loop {
            let negated = self.is_word("NOT");
            if negated {
                self.advance()?;
            }
            left = if self.is_word("LIKE") {
                self.advance()?;
                self.like(left, negated)?
            } else if self.is_word("IN") {
                self.advance()?;
                self.set(left, negated)?
            } else if negated {
                return Err(self.expected("LIKE or IN after NOT", &["LIKE", "IN"]));
            } else {
                return Ok(left);
            };
        }
    }

    fn like(&mut self, left: Part, negated: bool) -> Result<Part, ParseError> {
        let Token::Text(text) = &self.token else {
            return Err(self.expected("a text in quotes after LIKE", &[]));
        };
        if text.len() > MAX_LIKE_BYTES {
            return Err(self.wrong(ParseProblem::LikeTooLong));
        }
        let pattern = LikePattern::parse(text);
        self.advance()?;
        let (start, height) = (left.node.start, left.height + 1);
        let like = Like {
            operand: left.node,
            pattern,
            negated,
        };
        self.part(Kind::Like(Box::new(like)), start, height)
    }

    fn set(&mut self, left: Part, negated: bool) -> Result<Part, ParseError> {
        if self.token != Token::Symbol("(") {
            return Err(self.expected("`(` after IN, as in `IN ('a', 'b')`", &[]));
        }
        self.advance()?;
        if self.token == Token::Symbol(")") {
            return Err(self.expected("a value: the set after IN is never empty", &[]));
        }
        let (set, height) = self.list()?;
        let (start, height) = (left.node.start, left.height.max(height) + 1);
        let operand = left.node;
        let set = In {
            operand,
            set,
            negated,
        };
        self.part(Kind::In(Box::new(set)), start, height)
    }

    /// What stands between `(`, which has been read, and `)`, which is.
    fn list(&mut self) -> Result<(Box<[Node]>, usize), ParseError> {
        let mut nodes = Vec::new();
        let mut height = 0;
        if self.token != Token::Symbol(")") {
            loop {
                let part = self.nested(|parser| parser.chain(Precedence::Logic))?;
                height = height.max(part.height);
                nodes.push(part.node);
                if self.token != Token::Symbol(",") {
                    break;
                }
                self.advance()?;
            }
        }
        self.close()?;
        Ok((nodes.into(), height))
    }

    fn close(&mut self) -> Result<(), ParseError> {
        if self.token != Token::Symbol(")") {
            return Err(self.expected("an operator, `,` or `)`", &OPERATOR_WORDS));
        }
        self.advance()
    }

    fn unary(&mut self) -> Result<Part, ParseError> {
        let start = self.at;
        let negates = self.token == Token::Symbol("-");
        if negates || self.token == Token::Symbol("+") {
            self.advance()?;
            if let Token::Digits(_) = self.token
                && self.at == self.end
            {
                return self.integer(start);
            }
            if !negates {
                return Err(self.expected("digits right behind the sign `+`", &[]));
            }
        } else if self.is_word("NOT") {
            self.advance()?;
        } else {
            return self.operand();
        }
        let part = self.nested(Parser::unary)?;
        let operand = Box::new(part.node);
        let kind = if negates {
            Kind::Negate(operand)
        } else {
            Kind::Not(operand)
        };
        self.part(kind, offset(start), part.height + 1)
    }

    /// Digits, whose sign begins at `start`.
    fn integer(&mut self, start: usize) -> Result<Part, ParseError> {
        let end = self.lexer.position();
        let written = self.text.get(start..end).unwrap_or_default();
        let Ok(value) = written.parse() else {
            let problem = ParseProblem::Integer(shown(written));
            return Err(ParseError::new(self.text, start, problem));
        };
        self.advance()?;
        self.part(Kind::Integer(value), offset(start), 1)
    }

    fn operand(&mut self) -> Result<Part, ParseError> {
        let start = self.at;
        let kind = match &self.token {
            Token::Digits(_) => return self.integer(start),
            Token::Text(text) => Kind::Text(text.as_ref().into()),
            Token::Symbol("(") => return self.parenthesis(),
            Token::Word(word) => return self.word(word),
            _ => return Err(self.expected(OPERAND, &[])),
        };
        self.advance()?;
        self.part(kind, offset(start), 1)
    }

    fn parenthesis(&mut self) -> Result<Part, ParseError> {
        self.advance()?;
        let part = self.nested(|parser| parser.chain(Precedence::Logic))?;
        if self.token == Token::Symbol(",") {
            return Err(self.expected("`)`: only IN and functions take several values", &[]));
        }
        self.close()?;
        Ok(part)
    }

    fn word(&mut self, word: &'a str) -> Result<Part, ParseError> {
        let start = self.at;
        let keyword = KEYWORDS.iter().find(|it| it.eq_ignore_ascii_case(word));
        let kind = match keyword {
            Some(&"EXISTS") => return self.exists(),
            Some(&"TRUE") => Kind::Boolean(true),
            Some(&"FALSE") => Kind::Boolean(false),
            Some(_) => return Err(self.expected(OPERAND, &[])),
            None => {
                self.advance()?;
                if self.token == Token::Symbol("(") {
                    return self.call(word, start);
                }
                let attribute = self.attribute(word, start)?;
                return self.part(Kind::Attribute(attribute), offset(start), 1);
            }
        };
        self.advance()?;
        self.part(kind, offset(start), 1)
    }

    fn exists(&mut self) -> Result<Part, ParseError> {
        let start = self.at;
        self.advance()?;
        let (Token::Word(name) | Token::Digits(name)) = self.token else {
            return Err(self.expected("the name of an attribute after EXISTS", &[]));
        };
        let attribute = self.attribute(name, self.at)?;
        self.advance()?;
        self.part(Kind::Exists(attribute), offset(start), 1)
    }

    /// Names fold case: events write them in lower case.
    fn attribute(&self, word: &str, at: usize) -> Result<Attribute, ParseError> {
        let name = word.to_ascii_lowercase();
        let keyword = KEYWORDS.iter().any(|it| it.eq_ignore_ascii_case(word));
        if keyword || !crate::is_attribute_name(&name) {
            let problem = ParseProblem::Name(shown(word));
            return Err(ParseError::new(self.text, at, problem));
        }
        Ok(Attribute::named(&name))
    }

    /// A function that does not exist is an error of evaluation, not of the text.
    fn call(&mut self, name: &str, start: usize) -> Result<Part, ParseError> {
        if !name
            .bytes()
            .all(|it| it.is_ascii_alphabetic() || it == b'_')
            || name.starts_with('_')
        {
            let problem = ParseProblem::Expected {
                expected: "a function's name, of letters and `_`",
                found: format!("`{}`", shown(name)),
            };
            return Err(ParseError::new(self.text, start, problem));
        }
        self.advance()?;
        let (arguments, height) = self.list()?;
        let function = Function::named(name, arguments.len());
        let call = Call {
            function,
            arguments,
        };
        self.part(Kind::Call(Box::new(call)), offset(start), height + 1)
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Parser<'a>) -> Result<Part, ParseError>,
    ) -> Result<Part, ParseError> {
        if self.depth == MAX_DEPTH {
            return Err(self.wrong(ParseProblem::TooDeep));
        }
        self.depth += 1;
        let part = read(self);
        self.depth -= 1;
        part
    }

    /// A node that ends where the last token did.
    fn part(&self, kind: Kind, start: u32, height: usize) -> Result<Part, ParseError> {
        if height > MAX_DEPTH {
            return Err(self.wrong(ParseProblem::TooDeep));
        }
        let end = offset(self.end);
        let node = Node { kind, start, end };
        Ok(Part { node, height })
    }

    fn advance(&mut self) -> Result<(), ParseError> {
        self.end = self.lexer.position();
        (self.token, self.at) = self.lexer.next()?;
        Ok(())
    }

    fn is_word(&self, keyword: &str) -> bool {
        matches!(self.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn operator_expected(&self) -> ParseError {
        self.expected(OPERATOR, &OPERATOR_WORDS)
    }

    fn expected(&self, expected: &'static str, words: &[&'static str]) -> ParseError {
        let word = match self.token {
            Token::Word(word) => nearest(word, words),
            _ => None,
        };
        let found = self.token.to_string();
        self.wrong(ParseProblem::Expected { expected, found })
            .nearest(word)
    }

    fn wrong(&self, problem: ParseProblem) -> ParseError {
        ParseError::new(self.text, self.at, problem)
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("no expression is longer than MAX_EXPRESSION_BYTES")
}
