//! A kernel that passes on the lines of a text that contain a word, and drops
//! texts without any.

use waybill::{json::Object, Error, Kernel, Output, Record};

struct Lines {
    word: Vec<u8>,
}

impl Kernel for Lines {
    /// Reads `with` of the pipeline file, which has the schema in kernel.json.
    fn new(config: &[u8]) -> Result<Self, String> {
        match Object::parse(config)?.text("word")? {
            None | Some("") => Err("word is empty".into()),
            Some(word) => Ok(Lines { word: word.into() }),
        }
    }

    /// Is called once for each record.
    fn handle(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        let lines = record.value().split_inclusive(|b| *b == b'\n');
        let mut found = lines.filter(|l| contains(l, &self.word)).peekable();
        if found.peek().is_some() {
            out.put_with(|w| found.for_each(|line| w.extend_from_slice(line)));
        }
        Ok(())
    }
}

fn contains(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|w| w == word)
}

waybill::kernel!(Lines);

#[cfg(test)]
mod tests {
    use super::*;
    use waybill::testing::{Harness, Item, Op};

    #[test]
    fn finds_lines() {
        let mut lines = Harness::<Lines>::new(r#"{"word":"warn"}"#).unwrap();
        let got = lines.one(Item::new("info: fine\nwarn: hot\n"));
        assert_eq!(got, [(0, Op::Put(b"".to_vec(), b"warn: hot\n".to_vec()))]);
        assert_eq!(lines.one(Item::new("fine\n")), []);
    }

    #[test]
    fn needs_a_word() {
        assert!(Harness::<Lines>::new("{}").is_err());
    }
}
