//! The input frame of the ABI, from the guest's side.

use crate::record::Record;
use std::convert::TryInto;
use std::fmt;

pub(crate) const MAGIC: u32 = 0x0001_314b; // "K1", version 1
pub(crate) const HEADER: usize = 40;
pub(crate) const RECORD: usize = 40;

/// What is wrong with an input frame.
#[derive(Debug, PartialEq, Eq)]
pub enum FrameError {
    /// It has fewer bytes than a header.
    Short,
    /// It is not of version 1.
    Magic,
    /// It has flags that version 1 does not know.
    Flags,
    /// Its total is not its length.
    Total,
    /// It has no room for its records.
    Count,
    /// A range of the record with this index leaves it.
    Range(u32),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad input frame: ")?;
        match self {
            FrameError::Short => f.write_str("shorter than its header"),
            FrameError::Magic => f.write_str("unknown magic"),
            FrameError::Flags => f.write_str("unknown flags"),
            FrameError::Total => f.write_str("total is not its length"),
            FrameError::Count => f.write_str("the records do not fit"),
            FrameError::Range(i) => write!(f, "record {i} leaves it"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Whether what the host promises of a frame (`spec/kernel-abi.md`, Input frame) is
/// checked: its lengths and ranges. In WebAssembly it is the host itself that wrote the
/// frame, a moment ago, into memory whose bounds hold whatever a number in it says, and
/// the checks would cost as much as a small kernel. Native builds take frames from tests.
const CHECKED: bool = cfg!(not(target_arch = "wasm32"));

/// A frame whose header has been checked: it has room for `n` descriptors.
pub(crate) struct Frame<'a> {
    bytes: &'a [u8],
    n: usize,
}

impl<'a> Frame<'a> {
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        if CHECKED && bytes.len() < HEADER {
            return Err(FrameError::Short);
        }
        // SAFETY: the frame has a header.
        let h = unsafe { &*bytes.as_ptr().cast::<[u8; HEADER]>() };
        let (n, version) = (u32_at(h, 8), u64_at(h, 0)); // the last field first, as in Output::op
        if version as u32 != MAGIC {
            return Err(FrameError::Magic);
        }
        if version >> 32 != 0 {
            return Err(FrameError::Flags);
        }
        if CHECKED && u32_at(h, 12) as usize != bytes.len() {
            return Err(FrameError::Total);
        }
        if CHECKED && HEADER as u64 + RECORD as u64 * u64::from(n) > bytes.len() as u64 {
            return Err(FrameError::Count);
        }
        Ok(Frame { bytes, n: n as usize })
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.n
    }

    /// The records in order, each checked as it is reached.
    #[inline]
    pub fn records(&self) -> impl Iterator<Item = Result<Record<'a>, FrameError>> + 'a {
        let bytes = self.bytes;
        (0..self.n).map(move |i| {
            let at = HEADER + RECORD * i;
            // SAFETY: parse has seen that n descriptors lie in the frame, and i < n.
            let d = unsafe { &*bytes.as_ptr().add(at).cast::<[u8; RECORD]>() };
            record(bytes, d, i as u32)
        })
    }
}

#[inline]
fn record<'a>(frame: &'a [u8], d: &[u8; RECORD], index: u32) -> Result<Record<'a>, FrameError> {
    let part = |at: usize| {
        let range = u64_at(d, at);
        let (start, n) = (range as u32, (range >> 32) as u32);
        // The sum cannot wrap in 64 bits.
        if CHECKED && u64::from(start) + u64::from(n) > frame.len() as u64 {
            return Err(FrameError::Range(index));
        }
        // SAFETY: start + n <= frame.len(), checked or promised.
        Ok(unsafe { std::slice::from_raw_parts(frame.as_ptr().add(start as usize), n as usize) })
    };
    Ok(Record {
        index,
        meta: part(32)?,
        stream: u64_at(d, 24).into(),
        seed: u64_at(d, 24),
        time: u64_at(d, 16),
        value: part(8)?,
        value_range: u64_at(d, 8),
        key: part(0)?,
    })
}

#[inline]
pub(crate) fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(b[at..at + 4].try_into().unwrap())
}

#[inline]
pub(crate) fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(b[at..at + 8].try_into().unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{encode, Item};

    fn frame() -> Vec<u8> {
        encode(&[Item::new("one").key("k").meta("{}").time(1 << 40).seed(u64::MAX), Item::new("")])
    }

    #[test]
    fn reads_what_the_host_wrote() {
        let bytes = frame();
        let frame = Frame::parse(&bytes).unwrap();
        let records: Vec<_> = frame.records().map(Result::unwrap).collect();
        assert_eq!(frame.len(), 2);
        assert_eq!((records[0].key(), records[0].value(), records[0].meta()), (&b"k"[..], &b"one"[..], &b"{}"[..]));
        assert_eq!((records[0].time(), records[0].seed()), (1 << 40, u64::MAX));
        assert_eq!((records[1].key(), records[1].value(), records[1].seed()), (&b""[..], &b""[..], 0));
    }

    #[test]
    fn refuses_a_bad_header() {
        let put = |at: usize, v: u32| {
            let mut b = frame();
            b[at..at + 4].copy_from_slice(&v.to_le_bytes());
            Frame::parse(&b).err()
        };
        assert_eq!(Frame::parse(&frame()[..39]).err(), Some(FrameError::Short));
        assert_eq!(put(0, 0x0002_314b), Some(FrameError::Magic));
        assert_eq!(put(4, 1), Some(FrameError::Flags));
        assert_eq!(put(12, 8), Some(FrameError::Total));
        assert_eq!(put(8, 1000), Some(FrameError::Count));
        assert_eq!(put(8, 0x0666_6667), Some(FrameError::Count)); // times 40 is 24 in 32 bits
        assert_eq!(put(8, 2), None);
    }

    #[test]
    fn refuses_ranges_outside() {
        for at in [0, 8, 32] {
            for (offset, length) in [(0, 1000), (1000, 0), (u32::MAX, 2), (2, u32::MAX)] {
                let mut b = frame();
                let d = HEADER + RECORD + at;
                b[d..d + 4].copy_from_slice(&u32::to_le_bytes(offset));
                b[d + 4..d + 8].copy_from_slice(&u32::to_le_bytes(length));
                let last = Frame::parse(&b).unwrap().records().last().unwrap();
                assert_eq!(last.err(), Some(FrameError::Range(1)), "{at}: {offset}+{length}");
            }
        }
    }
}
