use crate::error::Error;
use std::cell::Cell;

/// One record. Its bytes stand in the input frame; nothing is copied.
#[derive(Debug)]
pub struct Record<'a> {
    pub(crate) index: u32,
    pub(crate) value_range: u64, // as in its descriptor: offset, length
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) meta: &'a [u8],
    pub(crate) time: u64,
    pub(crate) seed: u64,
    pub(crate) stream: Cell<u64>,
}

impl<'a> Record<'a> {
    /// The key; empty if it has none.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The value as text. Other bytes than UTF-8 are a permanent failure.
    pub fn text(&self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.value).map_err(|e| Error::permanent(format_args!("value: {e}")))
    }

    /// The metadata: a JSON object of strings (see [`crate::json::Object`]), or empty.
    #[inline]
    pub fn meta(&self) -> &'a [u8] {
        self.meta
    }

    /// The record's time, in nanoseconds since 1970-01-01T00:00:00Z. It is the
    /// same in every attempt and replay.
    #[inline]
    pub fn time(&self) -> u64 {
        self.time
    }

    /// The record's seed, as repeatable as its time.
    #[inline]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next number of the SplitMix64 stream (Steele, Lea, Flood: Fast Splittable
    /// Pseudorandom Number Generators, 2014) that begins with the record's seed.
    #[inline]
    pub fn rand(&self) -> u64 {
        let state = self.stream.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.stream.set(state);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &[u8], seed: u64) -> Record<'_> {
        Record { index: 0, value_range: 0, key: b"", value, meta: b"", time: 0, seed, stream: seed.into() }
    }

    #[test]
    fn rand_is_splitmix64() {
        let r = record(b"", 1234567); // the published test of the reference implementation
        let got: Vec<u64> = (0..3).map(|_| r.rand()).collect();
        assert_eq!(got, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
        assert_eq!(r.seed(), 1234567);
    }

    #[test]
    fn text_refuses_other_bytes() {
        assert_eq!(record("ä".as_bytes(), 0).text().unwrap(), "ä");
        assert!(record(b"\xff", 0).text().unwrap_err().message().starts_with("value: invalid utf-8"));
    }
}
