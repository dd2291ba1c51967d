//! The frames of spec/vectors/kernel/frames.json: those that a guest must read, and
//! those that it must refuse.

use std::cell::RefCell;
use std::fs;
use waybill::guest::Session;
use waybill::json::{Object, Value};
use waybill::{Error, Kernel, Output, Record};

type Seen = (String, String, String, u64, u64);

thread_local!(static SEEN: RefCell<Vec<Seen>> = RefCell::default());

struct Probe;

impl Kernel for Probe {
    fn new(_: &[u8]) -> Result<Self, String> {
        Ok(Probe)
    }

    fn handle(&mut self, r: &Record, _: &mut Output) -> Result<(), Error> {
        let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
        let seen = (text(r.key()), text(r.value()), text(r.meta()), r.time(), r.seed());
        SEEN.with(|s| s.borrow_mut().push(seen));
        Ok(())
    }
}

fn vectors(list: &str) -> Vec<Object> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../spec/vectors/kernel/frames.json");
    let all = Object::parse(&fs::read(file).unwrap()).unwrap();
    match all.get(list) {
        Some(Value::Array(frames)) => frames.iter().map(object).collect(),
        other => panic!("{list} is {other:?}"),
    }
}

fn object(value: &Value) -> Object {
    match value {
        Value::Object(o) => o.clone(),
        other => panic!("{other:?} is no object"),
    }
}

fn frame(vector: &Object) -> Vec<u8> {
    let hex = vector.text("hex").unwrap().unwrap();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn wanted(vector: &Object) -> Vec<Seen> {
    let records = match vector.get("records") {
        Some(Value::Array(records)) => records.iter().map(object),
        other => panic!("records are {other:?}"),
    };
    let text = |r: &Object, name: &str| r.text(name).unwrap().unwrap_or("").to_string();
    let number = |r: &Object, name: &str| r.text(name).unwrap().map_or(0, |n| n.parse().unwrap());
    let seen =
        |r: Object| (text(&r, "key"), text(&r, "value"), text(&r, "meta"), number(&r, "time"), number(&r, "seed"));
    records.map(seen).collect()
}

#[test]
fn good_frames_are_read() {
    let vectors = vectors("in");
    assert!(vectors.len() >= 4);
    for vector in vectors {
        SEEN.with(|s| s.borrow_mut().clear());
        let mut session = Session::<Probe>::new(b"{}").unwrap();
        session.run(&frame(&vector)).unwrap();
        assert_eq!(SEEN.with(|s| s.borrow().clone()), wanted(&vector), "{:?}", vector.text("name"));
    }
}

#[test]
fn bad_frames_are_refused() {
    let vectors = vectors("badIn");
    assert!(vectors.len() >= 8);
    for vector in vectors {
        let mut session = Session::<Probe>::new(b"{}").unwrap();
        assert!(session.run(&frame(&vector)).is_err(), "{:?}", vector.text("name"));
    }
}
