use crate::error::Error;
use crate::record::Record;
use std::fmt;
use std::io;
use std::ops::{Bound, RangeBounds};

pub(crate) const HEADER: usize = 16;
pub(crate) const OP: usize = 24;

pub(crate) const KEEP: u16 = 0;
pub(crate) const SLICE: u16 = 1;
pub(crate) const PUT: u16 = 2;
pub(crate) const ERR: u16 = 3;

/// Takes the operations that answer a record. They go out in this order.
///
/// It is one buffer, kept from batch to batch: the header, a slot for each
/// operation, and behind them the bytes that go out. Slots that stay empty are a
/// gap in the arena, which the ABI allows; so nothing is copied twice.
pub struct Output {
    frame: Vec<u8>, // what was ever reserved; all of it is initialised
    slots: usize,
    ops: usize,
    end: usize, // of the bytes written
    head: u64,  // of the next operation: its source and, in the highest 16 bits, its port
    value: u64, // of the record: offset and, in the higher half, length
}

/// Where an answer began, so that a failed record can take it back.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    ops: usize,
    end: usize,
    slots: usize,
}

impl Output {
    /// The record goes on as it came. Its bytes stay with the host.
    #[inline]
    pub fn keep(&mut self) {
        self.slot();
        self.op(KEEP, [0; 4]);
    }

    /// A part of the record's value goes on: the bytes in `range`, which stay with
    /// the host too.
    ///
    /// # Panics
    /// If the range leaves the value.
    #[inline]
    pub fn slice(&mut self, range: impl RangeBounds<usize>) {
        let len = (self.value >> 32) as usize;
        let start = match range.start_bound() {
            Bound::Included(&n) => n,
            Bound::Excluded(&n) => n + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&n) => n + 1,
            Bound::Excluded(&n) => n,
            Bound::Unbounded => len,
        };
        assert!(start <= end && end <= len, "slice {start}..{end} of a value of {len} bytes");
        self.slot();
        // The value's range lies in a frame below 4 GiB, so its parts fit u32.
        self.op(SLICE, [0, 0, self.value as u32 + start as u32, (end - start) as u32]);
    }

    /// New bytes go on under the record's key.
    #[inline]
    pub fn put(&mut self, value: &[u8]) {
        self.put_key(b"", value);
    }

    /// New bytes go on under a new key; an empty one means the record's own.
    #[inline]
    pub fn put_key(&mut self, key: &[u8], value: &[u8]) {
        self.put_key_with(key, |w| w.extend_from_slice(value));
    }

    /// The bytes of `value` go on, each as `f` makes it. The loop is made of SIMD
    /// instructions where `f` allows.
    #[inline]
    pub fn put_map(&mut self, value: &[u8], f: impl Fn(u8) -> u8) {
        self.put_with(|w| w.extend_map(value, f));
    }

    /// What `write` writes goes on under the record's key:
    /// `out.put_with(|w| write!(w, "{} bytes", n))`.
    #[inline]
    pub fn put_with(&mut self, write: impl FnOnce(&mut Writer)) {
        self.put_key_with(b"", write);
    }

    /// What `write` writes goes on under a new key.
    #[inline]
    pub fn put_key_with(&mut self, key: &[u8], write: impl FnOnce(&mut Writer)) {
        self.emit(PUT, key, write);
    }

    /// The next operation leaves by this output port: an index into `ports` of the
    /// manifest. Without it an operation leaves by port 0.
    #[inline]
    pub fn port(&mut self, port: u16) -> &mut Self {
        self.head = u64::from(self.head as u32) | u64::from(port) << 48;
        self
    }

    #[inline]
    fn emit(&mut self, code: u16, key: &[u8], write: impl FnOnce(&mut Writer)) {
        self.slot();
        let at = self.end;
        if !key.is_empty() {
            self.extend(key.len()).copy_from_slice(key);
        }
        let value = self.end;
        write(&mut Writer(self));
        self.op(code, [at as u32, (value - at) as u32, value as u32, (self.end - value) as u32]);
    }

    /// Makes room for n more bytes in the arena and returns them.
    #[inline]
    fn extend(&mut self, n: usize) -> &mut [u8] {
        let (at, end) = (self.end, self.end + n);
        if end > self.frame.len() {
            self.grow(end);
        }
        self.end = end;
        // SAFETY: at <= end, and the frame was just made long enough. A sum that wraps
        // would need a slice as long as the address space beside the frame.
        unsafe { self.frame.get_unchecked_mut(at..end) }
    }

    #[cold]
    fn grow(&mut self, least: usize) {
        self.reserve(least.max(self.frame.len().saturating_mul(2)));
        if self.frame.len() < least {
            self.frame.resize(least, 0); // ends the kernel if there is no memory
        }
    }

    /// Makes room for a frame of so many bytes, if there is memory for it.
    pub(crate) fn reserve(&mut self, room: usize) {
        let more = room.saturating_sub(self.frame.len());
        if more > 0 && self.frame.try_reserve_exact(more).is_ok() {
            self.frame.resize(room, 0);
        }
    }

    /// Makes sure of a slot for the next operation.
    #[inline]
    fn slot(&mut self) {
        if self.ops == self.slots {
            self.widen();
        }
    }

    /// Doubles the slots and moves the arena away.
    #[cold]
    fn widen(&mut self) {
        let (arena, more) = (HEADER + OP * self.slots, self.slots.max(8));
        self.extend(OP * more);
        let written = self.end - OP * more;
        self.frame.copy_within(arena..written, arena + OP * more);
        self.slots += more;
        for op in self.frame[HEADER..HEADER + OP * self.ops].chunks_exact_mut(OP) {
            if matches!(u16::from_le_bytes([op[4], op[5]]), PUT | ERR) {
                for at in [8, 16] {
                    let moved = crate::frame::u32_at(op, at) + (OP * more) as u32;
                    op[at..at + 4].copy_from_slice(&moved.to_le_bytes());
                }
            }
        }
    }

    /// Fills the slot with an operation; ranges are those of key and value.
    #[inline]
    fn op(&mut self, code: u16, ranges: [u32; 4]) {
        debug_assert!(self.ops < self.slots);
        let head = self.head | u64::from(code) << 32;
        // SAFETY: slot() was called before, so ops < slots, and all slots lie in the
        // frame since begin() or widen().
        let op = unsafe { &mut *self.frame.as_mut_ptr().add(HEADER + OP * self.ops).cast::<[u8; OP]>() };
        // The last field first: an engine that has checked the bounds for it knows
        // those before it to be good.
        op[16..24].copy_from_slice(&pair(ranges[2], ranges[3]).to_le_bytes());
        op[8..16].copy_from_slice(&pair(ranges[0], ranges[1]).to_le_bytes());
        op[0..8].copy_from_slice(&head.to_le_bytes());
        self.ops += 1;
        self.port(0);
    }

    pub(crate) const fn new() -> Self {
        Output { frame: Vec::new(), slots: 0, ops: 0, end: 0, head: 0, value: 0 }
    }

    /// Begins the answer to n records.
    #[inline]
    pub(crate) fn begin(&mut self, n: usize) {
        self.slots = n;
        self.ops = 0;
        self.end = 0;
        self.extend(HEADER + OP * n);
    }

    /// Begins the answer to one record.
    #[inline]
    pub(crate) fn record(&mut self, record: &Record) -> Mark {
        self.head = u64::from(record.index);
        self.value = record.value_range;
        Mark { ops: self.ops, end: self.end, slots: self.slots }
    }

    /// Takes back what was answered since the mark and fails the record instead.
    #[cold]
    pub(crate) fn fail(&mut self, since: Mark, err: &Error) {
        self.ops = since.ops;
        self.end = since.end + OP * (self.slots - since.slots);
        self.port(err.port());
        self.emit(ERR, b"", |w| w.extend_from_slice(err.message().as_bytes()));
    }

    /// The out frame, unchanged until the next begin.
    #[inline]
    pub(crate) fn finish(&mut self) -> &[u8] {
        let arena = HEADER + OP * self.slots;
        let total = if self.end > arena { self.end } else { HEADER + OP * self.ops };
        self.frame[8..16].copy_from_slice(&[0; 8]);
        self.frame[0..8].copy_from_slice(&pair(self.ops as u32, total as u32).to_le_bytes());
        &self.frame[..total]
    }
}

/// Two numbers of 32 bits as one of 64, the first in the lower half.
#[inline]
fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// Appends the bytes of a new value. It is a `std::io::Write` too, and
/// `write!(w, ...)` works without an import and cannot fail.
pub struct Writer<'a>(&'a mut Output);

impl Writer<'_> {
    /// Appends bytes.
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.0.extend(bytes.len()).copy_from_slice(bytes);
    }

    /// Appends bytes, each as `f` makes it.
    #[inline]
    pub fn extend_map(&mut self, bytes: &[u8], f: impl Fn(u8) -> u8) {
        let to = self.0.extend(bytes.len());
        for (to, from) in to.iter_mut().zip(bytes) {
            *to = f(*from);
        }
    }

    /// Appends one byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }

    /// Appends formatted text; see `write!`.
    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) {
        if fmt::Write::write_fmt(self, text).is_err() {
            panic!("a Display implementation failed");
        }
    }
}

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.extend_from_slice(s.as_bytes());
        Ok(())
    }
}

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Harness, Item, Op};
    use crate::Kernel;

    /// Answers by the value's first byte.
    struct Probe;

    impl Kernel for Probe {
        fn new(_: &[u8]) -> Result<Self, String> {
            Ok(Probe)
        }

        fn handle(&mut self, r: &Record, out: &mut Output) -> Result<(), Error> {
            let rest = &r.value()[1..];
            match r.value()[0] {
                b'k' => out.keep(),
                b's' => out.slice(1..),
                b'p' => out.port(7).put_key(b"key", rest),
                b'm' => out.put_map(rest, |b| b ^ 0x20),
                b'w' => out.put_with(|w| {
                    write!(w, "{}+{}", rest.len(), 1);
                    w.push(b'!');
                    io::Write::write_all(w, b"!").unwrap();
                }),
                b'n' => (0..r.value()[1]).for_each(|i| out.put_key(&[i], &[i; 3])),
                b'e' => {
                    (0..30).for_each(|_| out.port(9).put(rest));
                    out.port(9);
                    return Err(Error::retry("busy"));
                }
                b'x' => out.slice(..=rest.len() + 1),
                _ => {}
            }
            Ok(())
        }
    }

    fn probe() -> Harness<Probe> {
        Harness::new("{}").unwrap()
    }

    fn put(key: &[u8], value: &[u8]) -> (u16, Op) {
        (0, Op::Put(key.to_vec(), value.to_vec()))
    }

    #[test]
    fn each_operation() {
        let mut probe = probe();
        assert_eq!(probe.one(Item::new("k")), [(0, Op::Keep)]);
        assert_eq!(probe.one(Item::new("sab")), [(0, Op::Slice(b"ab".to_vec()))]);
        assert_eq!(probe.one(Item::new("pab")), [(7, Op::Put(b"key".to_vec(), b"ab".to_vec()))]);
        assert_eq!(probe.one(Item::new("mab")), [put(b"", b"AB")]);
        assert_eq!(probe.one(Item::new("wab")), [put(b"", b"2+1!!")]);
        assert_eq!(probe.one(Item::new("-")), []);
        assert_eq!(probe.one(Item::new("e")), [(1, Op::Err("busy".into()))]);
    }

    #[test]
    fn more_operations_than_records_move_the_arena() {
        for n in [0, 1, 2, 3, 9, 30, 255] {
            let got = probe().batch(&[Item::new("pbefore"), Item::new([b'n', n]), Item::new("mAFTER"), Item::new("k")]);
            assert_eq!(got[0], [(7, Op::Put(b"key".to_vec(), b"before".to_vec()))]);
            assert_eq!(got[1], (0..n).map(|i| put(&[i], &[i; 3])).collect::<Vec<_>>());
            assert_eq!(got[2..], [vec![put(b"", b"after")], vec![(0, Op::Keep)]]);
        }
    }

    #[test]
    fn a_failed_record_takes_back_its_answer_alone() {
        let items = ["pone", "ebusy", "sab", "e", "pthree", "-"].map(Item::new);
        let got = probe().batch(&items);
        let key = |value: &[u8]| vec![(7, Op::Put(b"key".to_vec(), value.to_vec()))];
        let busy = vec![(1, Op::Err("busy".to_string()))];
        assert_eq!(got, [key(b"one"), busy.clone(), vec![(0, Op::Slice(b"ab".to_vec()))], busy, key(b"three"), vec![]]);
    }

    #[test]
    fn nothing_of_a_batch_is_left_in_the_next() {
        let mut probe = probe();
        let first = probe.batch(&[Item::new("pa"), Item::new([b'n', 40]), Item::new("k")]);
        probe.batch(&vec![Item::new(vec![b'm'; 5000]); 9]);
        assert_eq!(probe.batch(&[]), Vec::<Vec<_>>::new());
        assert_eq!(probe.batch(&[Item::new("pa"), Item::new([b'n', 40]), Item::new("k")]), first);
    }

    #[test]
    #[should_panic(expected = "slice 0..3 of a value of 2 bytes")]
    fn a_slice_stays_in_the_value() {
        probe().one(Item::new("xa"));
    }

    #[test]
    fn memory_is_flat() {
        let mut out = Output::new();
        let mut sizes = Vec::new();
        for _ in 0..1000 {
            out.begin(1);
            out.put(&[1; 100]);
            out.put(&[2; 100]);
            assert_eq!(out.finish().len(), HEADER + 9 * OP + 200);
            sizes.push(out.frame.len());
        }
        sizes.dedup();
        assert_eq!(sizes.len(), 1);
    }
}
