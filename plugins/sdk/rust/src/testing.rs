//! Runs kernels natively, in the tests of a kernel's own crate: the same frames,
//! without WebAssembly. See [`Harness`] and, for what the host offers, [`Host`].

use crate::frame::{u32_at, HEADER, MAGIC, RECORD};
use crate::guest::Session;
use crate::output;
use crate::Kernel;

pub use crate::fake::Host;

/// A record for a kernel.
#[derive(Debug, Clone, Default)]
pub struct Item {
    key: Vec<u8>,
    value: Vec<u8>,
    meta: Vec<u8>,
    time: u64,
    seed: u64,
}

impl Item {
    /// A record with a value and nothing else.
    pub fn new(value: impl AsRef<[u8]>) -> Self {
        Item { value: value.as_ref().to_vec(), ..Item::default() }
    }

    /// Sets the key.
    pub fn key(self, key: impl AsRef<[u8]>) -> Self {
        Item { key: key.as_ref().to_vec(), ..self }
    }

    /// Sets the metadata, a JSON object of strings.
    pub fn meta(self, meta: impl AsRef<[u8]>) -> Self {
        Item { meta: meta.as_ref().to_vec(), ..self }
    }

    /// Sets the time, in nanoseconds since 1970.
    pub fn time(self, time: u64) -> Self {
        Item { time, ..self }
    }

    /// Sets the seed.
    pub fn seed(self, seed: u64) -> Self {
        Item { seed, ..self }
    }
}

/// One operation of a kernel's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// The record goes on as it came.
    Keep,
    /// This part of its value goes on.
    Slice(Vec<u8>),
    /// New bytes go on; an empty key is the record's own.
    Put(Vec<u8>, Vec<u8>),
    /// The record failed with this message. The port is 0 for a permanent failure, 1
    /// for one to retry, 2 for a skipped record.
    Err(String),
}

/// A kernel under test.
///
/// ```
/// use waybill::testing::{Harness, Item, Op};
/// # use waybill::{Error, Kernel, Output, Record};
/// # struct Upper;
/// # impl Kernel for Upper {
/// #     fn new(_: &[u8]) -> Result<Self, String> { Ok(Upper) }
/// #     fn handle(&mut self, r: &Record, out: &mut Output) -> Result<(), Error> {
/// #         out.put(&r.value().to_ascii_uppercase());
/// #         Ok(())
/// #     }
/// # }
/// let mut upper = Harness::<Upper>::new("{}").unwrap();
/// assert_eq!(upper.one(Item::new("abc")), [(0, Op::Put(b"".to_vec(), b"ABC".to_vec()))]);
/// ```
pub struct Harness<K>(Session<K>);

impl<K: Kernel> Harness<K> {
    /// Makes the kernel from its configuration, a JSON object.
    pub fn new(config: &str) -> Result<Self, String> {
        Session::new(config.as_bytes()).map(Harness)
    }

    /// Answers one record: port and operation, in order.
    pub fn one(&mut self, item: Item) -> Vec<(u16, Op)> {
        self.batch(&[item]).remove(0)
    }

    /// Answers several records of one batch.
    pub fn batch(&mut self, items: &[Item]) -> Vec<Vec<(u16, Op)>> {
        let frame = encode(items);
        let out = self.0.run(&frame).expect("an own frame");
        decode(&frame, out, items.len())
    }
}

/// Encodes an input frame as the host does.
pub(crate) fn encode(items: &[Item]) -> Vec<u8> {
    let (mut descriptors, mut arena) = (Vec::new(), Vec::new());
    let base = HEADER + RECORD * items.len();
    let mut part = |bytes: &[u8], align: bool| {
        let at = base + arena.len();
        arena.extend_from_slice(bytes);
        while align && arena.len() % 8 != 0 {
            arena.push(0);
        }
        [at as u32, bytes.len() as u32].map(u32::to_le_bytes).concat()
    };
    for item in items {
        let (key, meta, value) = (part(&item.key, false), part(&item.meta, true), part(&item.value, true));
        let (time, seed) = (item.time.to_le_bytes(), item.seed.to_le_bytes());
        descriptors.extend([&key[..], &value, &time, &seed, &meta].concat());
    }
    let first = items.first().map_or((0, 0), |i| (i.time, i.seed));
    let total = base + arena.len();
    let mut frame = [MAGIC, 0, items.len() as u32, total as u32].map(u32::to_le_bytes).concat();
    frame.extend([first.0, first.1, 0].map(u64::to_le_bytes).concat());
    frame.extend(descriptors);
    frame.extend(arena);
    frame
}

/// Reads an out frame as the host does, but trusts it.
pub(crate) fn decode(input: &[u8], out: &[u8], records: usize) -> Vec<Vec<(u16, Op)>> {
    let mut answers = vec![Vec::new(); records];
    let n = u32_at(out, 0) as usize;
    assert_eq!(u32_at(out, 4) as usize, out.len());
    for d in out[output::HEADER..output::HEADER + output::OP * n].chunks_exact(output::OP) {
        let range = |frame: &[u8], at: usize| match u32_at(d, at + 4) as usize {
            0 => Vec::new(),
            len => frame[u32_at(d, at) as usize..][..len].to_vec(),
        };
        let (code, port) = (u32_at(d, 4) as u16, (u32_at(d, 4) >> 16) as u16);
        let op = match code {
            output::KEEP => Op::Keep,
            output::SLICE => Op::Slice(range(input, 16)),
            output::PUT => Op::Put(range(out, 8), range(out, 16)),
            _ => Op::Err(String::from_utf8(range(out, 16)).expect("a message in UTF-8")),
        };
        answers[u32_at(d, 0) as usize].push((port, op));
    }
    answers
}
