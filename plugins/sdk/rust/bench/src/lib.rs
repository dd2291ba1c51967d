//! What the benchmarks run: a filter that moves no bytes, and a map over all bytes.
//!
//! `{"op":"filter"}` keeps records whose value begins with an even byte;
//! `{"op":"map"}` answers with the value in ASCII upper case.

use waybill::{json::Object, Error, Kernel, Output, Record};

enum Bench {
    Filter,
    Map,
}

impl Kernel for Bench {
    fn new(config: &[u8]) -> Result<Self, String> {
        let config = Object::parse(config)?;
        config.only(&["op"])?;
        match config.text("op")? {
            Some("filter") => Ok(Bench::Filter),
            Some("map") => Ok(Bench::Map),
            _ => Err("\"op\": filter or map is needed".into()),
        }
    }

    fn handle(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        match self {
            Bench::Filter => {
                if matches!(record.value().first(), Some(b) if b % 2 == 0) {
                    out.keep();
                }
            }
            Bench::Map => out.put_map(record.value(), |b| b.to_ascii_uppercase()),
        }
        Ok(())
    }
}

waybill::kernel!(Bench);
