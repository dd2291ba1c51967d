//! A reader for configurations and metadata: JSON by RFC 8259, strict, into a
//! tree. For documents of any size take a crate such as serde_json instead.

use std::fmt;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it is written, so that none loses digits; `parse` it.
    Number(String),
    /// A string, without its escapes.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Object),
}

/// A JSON object, in its order. A name that occurs twice is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Value)>);

/// How deep arrays and objects may nest.
const DEPTH: usize = 64;

impl Value {
    /// Reads one value and nothing else.
    pub fn parse(json: &[u8]) -> Result<Value, String> {
        let text = std::str::from_utf8(json).map_err(|e| format!("JSON: {e}"))?;
        let mut p = Parser { text, at: 0 };
        let value = p.value(DEPTH).and_then(|v| if p.peek().is_none() { Ok(v) } else { Err("more than one value") });
        value.map_err(|what| format!("JSON: {what} at byte {}", p.at))
    }

    fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }
}

impl Object {
    /// Reads one object and nothing else.
    pub fn parse(json: &[u8]) -> Result<Object, String> {
        match Value::parse(json)? {
            Value::Object(object) => Ok(object),
            other => Err(format!("JSON: {} where an object is needed", other.kind())),
        }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// The names and values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v))
    }

    /// The string of a name; `None` if it is absent, an error if it is no string.
    pub fn text(&self, name: &str) -> Result<Option<&str>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(s)) => Ok(Some(s)),
            Some(other) => wrong(name, other, "a string"),
        }
    }

    /// The number of a name, likewise: `config.number::<u32>("minWords")?`.
    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(n)) => match n.parse() {
                Ok(n) => Ok(Some(n)),
                Err(_) => Err(format!("{}: {n} is not in its range", quote(name))),
            },
            Some(other) => wrong(name, other, "a number"),
        }
    }

    /// The boolean of a name, likewise.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(b)) => Ok(Some(*b)),
            Some(other) => wrong(name, other, "a boolean"),
        }
    }

    /// Refuses names that are not listed.
    pub fn only(&self, names: &[&str]) -> Result<(), String> {
        match self.0.iter().find(|(n, _)| !names.contains(&n.as_str())) {
            Some((n, _)) => Err(format!("unknown key {}, not one of {}", quote(n), names.join(", "))),
            None => Ok(()),
        }
    }
}

fn wrong<T>(name: &str, got: &Value, want: &str) -> Result<T, String> {
    Err(format!("{}: {} where {want} is needed", quote(name), got.kind()))
}

/// A string as JSON, with its quotes.
pub fn quote(s: &str) -> String {
    struct Quoted<'a>(&'a str);
    impl fmt::Display for Quoted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for c in self.0.chars() {
                match c {
                    '"' => f.write_str("\\\"")?,
                    '\\' => f.write_str("\\\\")?,
                    '\0'..='\x1f' => write!(f, "\\u{:04x}", c as u32)?,
                    c => fmt::Write::write_char(f, c)?,
                }
            }
            Ok(())
        }
    }
    format!("\"{}\"", Quoted(s))
}

struct Parser<'a> {
    text: &'a str,
    at: usize, // always at a character's start
}

type Parsed<T> = Result<T, &'static str>;

impl<'a> Parser<'a> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r'].as_ref()).len();
        self.rest().bytes().next()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Parsed<()> {
        if self.peek() != Some(byte) {
            return Err(what);
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Parsed<Value> {
        match self.peek() {
            Some(b'{' | b'[') if depth == 0 => Err("nested too deep"),
            Some(b'{') => self.object(depth - 1),
            Some(b'[') => self.array(depth - 1),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err("no value"),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Parsed<Value> {
        if !self.rest().starts_with(word) {
            return Err("no value");
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Parsed<Value> {
        let mut object = Object::default();
        self.at += 1;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(object));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err("no name");
            }
            let name = self.string()?;
            if object.get(&name).is_some() {
                return Err("a name that occurs twice");
            }
            self.expect(b':', "no colon")?;
            object.0.push((name, self.value(depth)?));
            if self.peek() != Some(b',') {
                self.expect(b'}', "no comma and no }")?;
                return Ok(Value::Object(object));
            }
            self.at += 1;
        }
    }

    fn array(&mut self, depth: usize) -> Parsed<Value> {
        let mut values = Vec::new();
        self.at += 1;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(values));
        }
        loop {
            values.push(self.value(depth)?);
            if self.peek() != Some(b',') {
                self.expect(b']', "no comma and no ]")?;
                return Ok(Value::Array(values));
            }
            self.at += 1;
        }
    }

    fn number(&mut self) -> Parsed<Value> {
        let start = self.at;
        self.skip(b"-");
        match self.digits() {
            0 => return Err("no digits"),
            n if n > 1 && self.text.as_bytes()[self.at - n] == b'0' => return Err("a leading zero"),
            _ => {}
        }
        if self.skip(b".") && self.digits() == 0 {
            return Err("no digits");
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            if self.digits() == 0 {
                return Err("no digits");
            }
        }
        Ok(Value::Number(self.text[start..self.at].into()))
    }

    /// Skips one of the bytes, if it is next.
    fn skip(&mut self, any: &[u8]) -> bool {
        let found = self.rest().bytes().next().map_or(false, |b| any.contains(&b));
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> usize {
        let n = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.at += n;
        n
    }

    fn string(&mut self) -> Parsed<String> {
        let mut out = String::new();
        self.at += 1;
        loop {
            let rest = self.rest();
            let n = rest.find(|c| matches!(c, '"' | '\\' | '\0'..='\x1f')).ok_or("no end of a string")?;
            out.push_str(&rest[..n]);
            self.at += n + 1;
            match rest.as_bytes()[n] {
                b'"' => return Ok(out),
                b'\\' => out.push(self.escape()?),
                _ => return Err("a control character"),
            }
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let c = self.rest().bytes().next().ok_or("no end of a string")?;
        let plain = match c {
            b'"' | b'\\' | b'/' => c,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(),
            _ => return Err("an unknown escape"),
        };
        self.at += 1;
        Ok(char::from(plain))
    }

    /// `uXXXX`, or two of them for a surrogate pair.
    fn unicode(&mut self) -> Parsed<char> {
        let unit = |p: &mut Self| {
            let digits = p.rest().get(1..5).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            p.at += 5;
            digits.and_then(|d| u32::from_str_radix(d, 16).ok())
        };
        let first = unit(self).ok_or("a bad \\u escape");
        let first = first.map_err(|e| self.rewind(e))?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or("half a surrogate pair");
        }
        if !self.rest().starts_with("\\u") {
            return Err("half a surrogate pair");
        }
        self.at += 1;
        let second = unit(self).ok_or("a bad \\u escape");
        match second.map_err(|e| self.rewind(e))? {
            low @ 0xdc00..=0xdfff => {
                char::from_u32(0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00)).ok_or("half a surrogate pair")
            }
            _ => Err("half a surrogate pair"),
        }
    }

    /// Goes back before an escape that was not one, so that `at` stays in the text.
    fn rewind(&mut self, what: &'static str) -> &'static str {
        self.at -= 5;
        what
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind() {
        let o = Object::parse(br#" { "s" : "a\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00z" , "n":-1.5e+3,"i":42,"t":true,"f":false,"z":null,"a":[1,[],{}] } "#);
        let o = o.unwrap();
        assert_eq!(o.text("s"), Ok(Some("a\"\\/\u{8}\u{c}\n\r\t\u{e4}\u{1f600}z")));
        assert_eq!(o.number::<f64>("n"), Ok(Some(-1500.0)));
        assert_eq!(o.number::<u8>("i"), Ok(Some(42)));
        assert_eq!((o.flag("t"), o.flag("f"), o.flag("none")), (Ok(Some(true)), Ok(Some(false)), Ok(None)));
        assert_eq!(o.get("z"), Some(&Value::Null));
        let one = Value::Number("1".into());
        assert_eq!(o.get("a"), Some(&Value::Array(vec![one, Value::Array(vec![]), Value::Object(Object::default())])));
        assert_eq!(o.iter().count(), 7);
    }

    #[test]
    #[rustfmt::skip] // it would put each on a line
    fn refuses_what_is_no_json() {
        for bad in [
            "", " ", "{", "}", "{} {}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1,\"a\":2}", "[1,]", "[1 2]", "[",
            "01", "-", "1.", ".5", "1e", "+1", "tru", "nul", "\"", "\"\\x\"", "\"\n\"", "\"\\u12\"", "\"\\u12", "\"\\ud800\"",
            "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\\ud800\\u00\"", "\"\\u00e\u{e4}\"", "\"\\u+123\"", "\u{a0}1", "\"\\",
        ] {
            let got = Value::parse(bad.as_bytes());
            assert!(got.is_err(), "{bad:?}: {got:?}");
        }
        assert!(Value::parse(b"\"\xff\"").is_err());
        assert_eq!(Value::parse(b"[1}").unwrap_err(), "JSON: no comma and no ] at byte 2");
    }

    #[test]
    fn refuses_deep_nesting() {
        let nested = |n| "[".repeat(n) + &"]".repeat(n);
        assert!(Value::parse(nested(DEPTH).as_bytes()).is_ok());
        assert!(Value::parse(nested(DEPTH + 1).as_bytes()).is_err());
        assert!(Value::parse("[".repeat(1 << 20).as_bytes()).is_err());
    }

    #[test]
    fn names_the_wrong_key() {
        let o = Object::parse(br#"{"a":1,"b":"x","c":300}"#).unwrap();
        assert_eq!(o.text("a").unwrap_err(), "\"a\": a number where a string is needed");
        assert_eq!(o.flag("b").unwrap_err(), "\"b\": a string where a boolean is needed");
        assert_eq!(o.number::<u8>("c").unwrap_err(), "\"c\": 300 is not in its range");
        assert_eq!(o.only(&["a", "b"]).unwrap_err(), "unknown key \"c\", not one of a, b");
        assert_eq!(o.only(&["c", "b", "a"]), Ok(()));
        assert_eq!(Object::parse(b"[]").unwrap_err(), "JSON: an array where an object is needed");
    }

    #[test]
    fn quotes_what_it_reads_back() {
        let s = "a\"\\\n\0\u{1f}\u{7f}\u{e4}\u{1f600}";
        assert_eq!(Value::parse(quote(s).as_bytes()), Ok(Value::String(s.into())));
    }
}
