use std::borrow::Cow;

use super::{ParseError, ParseProblem};

/// The smallest part of an expression that means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword, an attribute or a function: letters, digits and `_`, with something that is no digit among them.
    Word(&'a str),
    /// Digits alone.
    Digits(&'a str),
    /// What stands between quotes.
    Text(Cow<'a, str>),
    /// One of [`SYMBOLS`].
    Symbol(&'static str),
    End,
}

/// A longer one stands before its own beginning.
const SYMBOLS: [&str; 15] = [
    "!=", "<>", ">=", "<=", "=", "<", ">", "(", ")", ",", "*", "/", "%", "+", "-",
];

/// What other languages write, and what is written here.
const FOREIGN: [(&str, &str); 6] = [
    ("==", "="),
    ("&&", "AND"),
    ("||", "OR"),
    ("^", "XOR"),
    ("!", "NOT"),
    ("&", "AND"),
];

pub(super) struct Lexer<'a> {
    text: &'a str,
    /// The first byte not yet read.
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    /// The next token and the byte where it begins. After the end it is [`Token::End`] forever.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, usize), ParseError> {
        let rest = self.rest().trim_start_matches([' ', '\t', '\r', '\n']);
        let start = self.text.len() - rest.len();
        self.at = start;
        let token = match rest.chars().next() {
            None => Token::End,
            Some(quote @ ('\'' | '"')) => return Ok((self.quoted(quote)?, start)),
            Some(char) if is_word(char) => self.word(),
            Some(char) => self.symbol(char)?,
        };
        Ok((token, start))
    }

    /// The first byte behind what was read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn word(&mut self) -> Token<'a> {
        let rest = self.rest();
        let end = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        self.at += end;
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            Token::Digits(word)
        } else {
            Token::Word(word)
        }
    }

    fn symbol(&mut self, char: char) -> Result<Token<'a>, ParseError> {
        let rest = self.rest();
        let wrong = |sign: String| ParseError::new(self.text, self.at, ParseProblem::Sign(sign));
        let foreign = FOREIGN
            .iter()
            .find(|(sign, _)| rest.starts_with(sign) && !rest.starts_with("!="));
        if let Some((sign, ours)) = foreign {
            return Err(wrong((*sign).to_owned()).nearest(Some(ours)));
        }
        let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
        let Some(symbol) = symbol else {
            return Err(wrong(char.to_string()));
        };
        self.at += symbol.len();
        Ok(Token::Symbol(symbol))
    }

    /// A backslash makes a quote a part of the text; before any other character it is a part of the text itself.
    fn quoted(&mut self, quote: char) -> Result<Token<'a>, ParseError> {
        let start = self.at;
        let inner_start = start + 1;
        let inner = self.text.get(inner_start..).unwrap_or_default();
        let mut escaped = false;
        let mut has_escapes = false;
        for (offset, char) in inner.char_indices() {
            if escaped {
                has_escapes |= char == quote;
                escaped = false;
            } else if char == '\\' {
                escaped = true;
            } else if char == quote {
                self.at = inner_start + offset + 1;
                let content = inner.get(..offset).unwrap_or_default();
                self.refuse_doubled(quote)?;
                return Ok(Token::Text(if has_escapes {
                    unescaped(content, quote).into()
                } else {
                    content.into()
                }));
            }
        }
        Err(ParseError::new(
            self.text,
            start,
            ParseProblem::Unterminated(quote),
        ))
    }

    fn refuse_doubled(&self, quote: char) -> Result<(), ParseError> {
        if self.rest().starts_with(quote) {
            let written = if quote == '"' { r#"\""# } else { r"\'" };
            let problem = ParseProblem::DoubledQuote(written);
            return Err(ParseError::new(self.text, self.at, problem));
        }
        Ok(())
    }
}

fn is_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

fn unescaped(content: &str, quote: char) -> String {
    let mut out = String::with_capacity(content.len());
    let mut chars = content.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => {
                let escaped = chars.next();
                out.extend(['\\'].iter().filter(|_| escaped != Some(quote)));
                out.extend(escaped);
            }
            _ => out.push(char),
        }
    }
    out
}

impl std::fmt::Display for Token<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Word(text) | Token::Digits(text) => write!(out, "`{}`", shown(text)),
            Token::Text(text) => write!(out, "the text '{}'", shown(text)),
            Token::Symbol(symbol) => write!(out, "`{symbol}`"),
            Token::End => out.write_str("the end"),
        }
    }
}

/// As much as a line of an error bears.
pub(super) fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(40).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}
