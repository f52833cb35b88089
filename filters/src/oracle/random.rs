//! Random rules and events that often have to do with each other: few keys, few values, much nesting.

/// What decides: bytes of a seed or of a fuzzer.
pub struct Choices<'a> {
    next: Box<dyn FnMut(usize) -> usize + 'a>,
}

const KEYS: [&str; 7] = ["a", "b", "c", "a.b", "", "data", "é"];
const ATTRIBUTES: [&str; 3] = ["type", "source", "data1"];
const TEXTS: [&str; 20] = [
    "",
    "a",
    "A",
    "ab",
    "abc",
    "aBc",
    "abcabc",
    "xabcx",
    "b",
    "30",
    "true",
    "10.0.0.1",
    "10.0.1.1",
    "2001:db8::1",
    "é",
    "É",
    "ſtraße",
    "STRASSE",
    "a*b",
    "a\\b",
];
const NUMBERS: [&str; 16] = [
    "30",
    "30.0",
    "3e1",
    "-30",
    "0",
    "-0.0",
    "0.1",
    "1e-1",
    "9007199254740992",
    "9007199254740993",
    "1e999999999",
    "31",
    "29.999999999999999999999",
    "1",
    "2",
    "12345678901234567890123",
];

impl<'a> Choices<'a> {
    /// From a function that gives a number below the one it is given.
    pub fn new(next: impl FnMut(usize) -> usize + 'a) -> Choices<'a> {
        Choices {
            next: Box::new(next),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next)(bound).min(bound.saturating_sub(1))
    }

    fn of<'b>(&mut self, list: &[&'b str]) -> &'b str {
        let at = self.below(list.len());
        list.get(at).copied().unwrap_or_default()
    }

    fn list(&mut self, max: usize, mut one: impl FnMut(&mut Self) -> String) -> String {
        let count = 1 + self.below(max);
        let all: Vec<String> = (0..count).map(|_| one(self)).collect();
        all.join(",")
    }

    /// The text of a pattern, nearly always a valid one.
    pub fn pattern(&mut self) -> String {
        self.fields(3, true)
    }

    fn fields(&mut self, depth: usize, is_event: bool) -> String {
        let mut keys: Vec<&str> = Vec::new();
        let mut fields = Vec::new();
        for _ in 0..=self.below(3) {
            let key = match is_event {
                true if self.below(3) > 0 => "data",
                true => self.of(&ATTRIBUTES),
                false => self.of(&KEYS),
            };
            if keys.contains(&key) {
                continue;
            }
            keys.push(key);
            let is_object = depth > 0 && (!is_event || key == "data") && self.below(3) > 0;
            let value = match is_object {
                true => self.fields(depth - 1, false),
                false => format!("[{}]", self.list(3, Choices::condition)),
            };
            fields.push(format!("{}:{value}", quoted(key)));
        }
        if depth > 0 && self.below(5) == 0 {
            let branches: Vec<String> = (0..2 + self.below(2))
                .map(|_| self.fields(depth - 1, is_event))
                .collect();
            fields.push(format!("\"$or\":[{}]", branches.join(",")));
        }
        format!("{{{}}}", fields.join(","))
    }

    fn condition(&mut self) -> String {
        match self.below(14) {
            0 => format!(r#"{{"prefix":{}}}"#, self.text()),
            1 => format!(r#"{{"suffix":{}}}"#, self.text()),
            2 => format!(r#"{{"prefix":{{"equals-ignore-case":{}}}}}"#, self.text()),
            3 => format!(r#"{{"suffix":{{"equals-ignore-case":{}}}}}"#, self.text()),
            4 => format!(r#"{{"equals-ignore-case":{}}}"#, self.text()),
            5 => format!(r#"{{"wildcard":{}}}"#, self.wildcard()),
            6 => self.numeric(),
            7 => format!(
                r#"{{"cidr":"{}"}}"#,
                self.of(&[
                    "10.0.0.0/24",
                    "10.0.0.0/8",
                    "0.0.0.0/0",
                    "2001:db8::/32",
                    "::/0"
                ])
            ),
            8 => r#"{"exists":true}"#.into(),
            9 => r#"{"exists":false}"#.into(),
            10 => self.anything_but(),
            _ => self.scalar(),
        }
    }

    fn anything_but(&mut self) -> String {
        let excluded = match self.below(5) {
            0 => format!("[{}]", self.list(3, Choices::scalar)),
            1 => format!(r#"{{"prefix":[{}]}}"#, self.list(2, Choices::text)),
            2 => format!(r#"{{"wildcard":{}}}"#, self.wildcard()),
            3 => format!(
                r#"{{"equals-ignore-case":[{}]}}"#,
                self.list(2, Choices::text)
            ),
            _ => self.scalar(),
        };
        format!(r#"{{"anything-but":{excluded}}}"#)
    }

    fn numeric(&mut self) -> String {
        let one = |it: &mut Self| {
            let operator = it.of(&["=", "!=", "<", "<=", ">", ">="]);
            format!("\"{operator}\",{}", it.of(&NUMBERS))
        };
        format!(r#"{{"numeric":[{}]}}"#, self.list(2, one))
    }

    fn wildcard(&mut self) -> String {
        let text = self.of(&[
            "*", "a*", "*c", "a*c", "*abc*", "abc*abc", "ab*bc", "a\\*b", "*\\\\*", "*é", "abc",
            "a*b*c*", "x*x",
        ]);
        quoted(text)
    }

    fn scalar(&mut self) -> String {
        match self.below(6) {
            0 => self.of(&["null", "true", "false"]).into(),
            1 | 2 => self.of(&NUMBERS).into(),
            _ => self.text(),
        }
    }

    /// A text in quotes; some characters escaped that need it not.
    fn text(&mut self) -> String {
        let text = self.of(&TEXTS);
        self.quoted(text)
    }

    fn quoted(&mut self, text: &str) -> String {
        match self.below(6) {
            0 => {
                let units = text.encode_utf16().map(|it| format!("\\u{it:04x}"));
                format!("\"{}\"", units.collect::<String>())
            }
            _ => quoted(text),
        }
    }

    /// The text of a JSON value, with white space, duplicate keys and escapes.
    pub fn json(&mut self, depth: usize) -> String {
        let space = self.of(&["", "", "", " ", "\n\t"]);
        let value = match self.below(if depth > 0 { 8 } else { 3 }) {
            0..3 => self.scalar(),
            3 | 4 => {
                let element = |it: &mut Self| it.json(depth - 1);
                match self.below(6) {
                    0 => "[]".into(),
                    _ => format!("[{}]", self.list(3, element)),
                }
            }
            _ => {
                let field = |it: &mut Self| {
                    let key = it.of(&KEYS);
                    format!("{}{space}:{}", it.quoted(key), it.json(depth - 1))
                };
                match self.below(12) {
                    0 => "{}".into(),
                    _ => format!("{{{}}}", self.list(4, field)),
                }
            }
        };
        format!("{space}{value}{space}")
    }

    /// Attributes by name, each once.
    pub fn attributes(&mut self) -> Vec<(&'static str, &'static str)> {
        let mut all = Vec::new();
        for name in ATTRIBUTES {
            if self.below(3) > 0 {
                all.push((name, self.of(&TEXTS)));
            }
        }
        all
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
