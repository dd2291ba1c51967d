//! The exports of the ABI. [`kernel!`](crate::kernel!) calls this module; nothing
//! else has to.

use crate::frame::Frame;
pub use crate::frame::FrameError;
use crate::host;
use crate::output::Output;
use crate::Kernel;
use std::cell::UnsafeCell;

/// Exports a type that implements [`Kernel`](crate::Kernel) from the module. To be
/// used once in a crate of type `cdylib`.
#[macro_export]
macro_rules! kernel {
    ($kernel:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            static GUEST: $crate::guest::Guest<$kernel> = $crate::guest::Guest::new();

            #[no_mangle]
            extern "C" fn k1_abi() -> i64 {
                $crate::guest::abi()
            }
            #[no_mangle]
            extern "C" fn k1_buffer(least: usize) -> *mut u8 {
                unsafe { GUEST.buffer(least) }
            }
            #[no_mangle]
            extern "C" fn k1_init(ptr: *const u8, len: usize) -> i64 {
                unsafe { GUEST.init(ptr, len) }
            }
            #[no_mangle]
            extern "C" fn k1_run(ptr: *const u8, len: usize) -> i64 {
                unsafe { GUEST.run(ptr, len) }
            }
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&[u8]) -> Result<$kernel, String> = <$kernel as $crate::Kernel>::new;
    };
}

/// A kernel and its answers, apart from memory and exports.
pub struct Session<K> {
    kernel: K,
    output: Output,
}

impl<K: Kernel> Session<K> {
    /// Makes the kernel from its configuration.
    pub fn new(config: &[u8]) -> Result<Self, String> {
        Ok(Session { kernel: K::new(config)?, output: Output::new() })
    }

    /// Makes room for out frames of so many bytes, if there is memory for it.
    pub fn reserve(&mut self, room: usize) {
        self.output.reserve(room);
    }

    /// Answers the records of an input frame with an out frame.
    #[inline]
    pub fn run(&mut self, frame: &[u8]) -> Result<&[u8], FrameError> {
        let frame = Frame::parse(frame)?;
        self.output.begin(frame.len());
        for record in frame.records() {
            let record = record?;
            let mark = self.output.record(&record);
            if let Err(err) = self.kernel.handle(&record, &mut self.output) {
                self.output.fail(mark, &err);
            }
        }
        Ok(self.output.finish())
    }
}

/// What a module keeps between calls.
pub struct Guest<K>(UnsafeCell<State<K>>);

struct State<K> {
    input: Vec<Block>,
    session: Option<Session<K>>,
}

/// What the input buffer is made of, for its alignment.
#[repr(align(16))]
struct Block(
    #[allow(dead_code)] // the host writes it
    [u8; 16],
);

// SAFETY: a module has one thread, and the host's calls never overlap.
unsafe impl<K> Sync for Guest<K> {}

const BAD_CONFIG: i32 = 1;
const BAD_FRAME: i32 = 2;
const PANIC: i32 = 3;

/// Export `k1_abi`, the first call of all: needs no features and makes panics say
/// their text and place through `fail`, since this target has no stderr.
pub fn abi() -> i64 {
    std::panic::set_hook(Box::new(|info| host::fail(PANIC, &info.to_string())));
    0
}

impl<K: Kernel> Guest<K> {
    /// A guest before its first call.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Guest(UnsafeCell::new(State { input: Vec::new(), session: None }))
    }

    /// Export `k1_buffer`. The output gets as much room as the input, so a kernel
    /// whose answers are not longer than its records needs no memory during `k1_run`,
    /// and each call costs the same fuel as the first.
    ///
    /// # Safety
    /// As an export: no call of the guest is under way.
    pub unsafe fn buffer(&self, least: usize) -> *mut u8 {
        let State { input, session } = &mut *self.0.get();
        let blocks = least / 16 + usize::from(least % 16 != 0 || least == 0);
        if input.capacity() < blocks {
            *input = Vec::new(); // freed first: its content is not needed
            let rounded = blocks.checked_next_power_of_two().unwrap_or(blocks);
            if input.try_reserve_exact(rounded).or_else(|_| input.try_reserve_exact(blocks)).is_err() {
                return std::ptr::null_mut();
            }
            if let Some(session) = session {
                session.reserve(input.capacity() * 16);
            }
        }
        input.as_mut_ptr().cast()
    }

    /// Export `k1_init`.
    ///
    /// # Safety
    /// As an export: no call of the guest is under way, and `ptr` has `len` bytes.
    pub unsafe fn init(&self, ptr: *const u8, len: usize) -> i64 {
        match Session::new(std::slice::from_raw_parts(ptr, len)) {
            Ok(new) => {
                let State { input, session } = &mut *self.0.get();
                session.insert(new).reserve(input.capacity() * 16);
                0
            }
            Err(message) => refuse(BAD_CONFIG, &message),
        }
    }

    /// Export `k1_run`.
    ///
    /// # Safety
    /// As `init`.
    #[inline]
    pub unsafe fn run(&self, ptr: *const u8, len: usize) -> i64 {
        // The address is that of a static, which the compiler must not know: it would make a
        // constant address of each field, and an engine would check the bounds of each.
        let mut state = self.0.get();
        state = std::ptr::read_volatile(&state);
        let session = match &mut (*state).session {
            Some(session) => session,
            None => return refuse(BAD_FRAME, "k1_run before k1_init"),
        };
        match session.run(std::slice::from_raw_parts(ptr, len)) {
            Ok(out) => (out.as_ptr() as u64 as i64) << 32 | out.len() as i64,
            Err(err) => refuse(BAD_FRAME, &err.to_string()),
        }
    }
}

/// Says why through `fail` and returns the negative answer.
#[cold]
fn refuse(code: i32, message: &str) -> i64 {
    host::fail(code, message);
    -i64::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use crate::{Error, Output, Record};

    struct Picky;

    impl Kernel for Picky {
        fn new(config: &[u8]) -> Result<Self, String> {
            match config {
                b"{}" => Ok(Picky),
                _ => Err("no configuration is known".into()),
            }
        }

        fn handle(&mut self, _: &Record, out: &mut Output) -> Result<(), Error> {
            out.keep();
            Ok(())
        }
    }

    #[test]
    fn the_buffer_is_aligned_and_kept() {
        let guest = Guest::<Picky>::new();
        let first = unsafe { guest.buffer(100) };
        assert_eq!(first as usize % 16, 0);
        assert_eq!(unsafe { guest.buffer(64) }, first);
        let large = unsafe { guest.buffer(1 << 20) };
        unsafe { large.add((1 << 20) - 1).write(1) };
        assert!(unsafe { guest.buffer(usize::MAX) }.is_null());
    }

    #[test]
    fn refusals_say_why() {
        let host = Host::reset();
        let guest = Guest::<Picky>::new();
        assert!(unsafe { guest.run(b"".as_ptr(), 0) } < 0);
        assert!(unsafe { guest.init(b"[]".as_ptr(), 2) } < 0);
        assert_eq!(unsafe { guest.init(b"{}".as_ptr(), 2) }, 0);
        assert!(unsafe { guest.run(b"short".as_ptr(), 5) } < 0);
        let want = [
            "fail 2: k1_run before k1_init",
            "fail 1: no configuration is known",
            "fail 2: bad input frame: shorter than its header",
        ];
        assert_eq!(host.logs(), want);
    }

    #[test]
    fn a_panic_says_its_text_and_place() {
        let host = Host::reset();
        let before = std::panic::take_hook();
        abi();
        let result = std::panic::catch_unwind(|| panic!("oh {}", 1));
        std::panic::set_hook(before);
        assert!(result.is_err());
        assert!(host.logs()[0].contains("oh 1") && host.logs()[0].contains("guest.rs:"), "{:?}", host.logs());
    }
}
