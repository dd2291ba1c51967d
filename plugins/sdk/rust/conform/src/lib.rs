//! The conformance kernel, which is the same in every SDK: what it does with a
//! record depends on the first byte of the value.

use waybill::{counter, json::Object, log, Error, Kernel, Level, Output, Record};

struct Conform {
    prefix: Vec<u8>,
}

impl Kernel for Conform {
    fn new(config: &[u8]) -> Result<Self, String> {
        let config = Object::parse(config)?;
        config.only(&["prefix"])?;
        Ok(Conform { prefix: config.text("prefix")?.unwrap_or("").into() })
    }

    fn handle(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        let (order, rest) = match record.value().split_first() {
            Some((order, rest)) => (order, rest),
            None => return Ok(()),
        };
        let text = || String::from_utf8_lossy(rest);
        match order {
            b'#' => out.keep(),
            b'=' => out.slice(1..),
            b'!' => return Err(Error::permanent(format_args!("refused: {}", text()))),
            b'?' => return Err(Error::retry(format_args!("later: {}", text()))),
            b'~' => return Err(Error::skip(format_args!("skipped: {}", text()))),
            b'@' => report(record, out),
            b',' => parts(rest, out),
            b'$' => panic!("as the record asks for"),
            b'+' => {
                log(Level::Info, rest);
                counter(1, rest.len() as i64);
                out.keep();
            }
            _ => out.put_with(|w| {
                w.extend_from_slice(&self.prefix);
                w.extend_map(record.value(), |b| b.to_ascii_uppercase());
            }),
        }
        Ok(())
    }
}

fn report(record: &Record, out: &mut Output) {
    out.put_with(|w| {
        w.extend_from_slice(b"key=");
        w.extend_from_slice(record.key());
        w.extend_from_slice(b" meta=");
        w.extend_from_slice(record.meta());
        write!(w, " time={} seed={} rand={}", record.time(), record.seed(), record.rand());
    });
}

fn parts(list: &[u8], out: &mut Output) {
    let parts = list.split(|b| *b == b',').filter(|p| !p.is_empty());
    for (i, part) in parts.enumerate() {
        out.put_key(i.to_string().as_bytes(), part);
    }
}

waybill::kernel!(Conform);
