//! Kernels for Waybill pipelines, compiled to WebAssembly.
//!
//! A kernel is a type that implements [`Kernel`], named to [`kernel!`]:
//!
//! ```
//! use waybill::{Error, Kernel, Output, Record};
//!
//! struct Upper;
//!
//! impl Kernel for Upper {
//!     fn new(_config: &[u8]) -> Result<Self, String> {
//!         Ok(Upper)
//!     }
//!     fn handle(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
//!         out.put_map(record.value(), |b| b.to_ascii_uppercase());
//!         Ok(())
//!     }
//! }
//!
//! waybill::kernel!(Upper);
//! ```
//!
//! What comes in: batches of records (`record.rs`, read from `frame.rs`). What goes
//! out: operations about them (`output.rs`) or an [`Error`] for one of them. What
//! the host offers besides is in `host.rs` and `http.rs`; only what a kernel uses
//! becomes an import of its module. `guest.rs` joins it all to the exports of the
//! ABI, whose contract is `spec/kernel-abi.md`.
//!
//! The crate knows no clock and no randomness but those of the record, so that a
//! kernel's answer is a function of its input. [`testing`] runs kernels natively.

#![warn(missing_docs)]

mod error;
#[cfg(not(target_arch = "wasm32"))]
mod fake;
mod frame;
pub mod guest;
mod host;
pub mod http;
pub mod json;
mod output;
mod record;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use error::{Error, HostError};
pub use host::{blob, counter, log, secret, state_get, state_put, Level};
pub use output::{Output, Writer};
pub use record::Record;

/// A configured kernel.
pub trait Kernel: Sized {
    /// Makes the kernel from the stage's `with`: a JSON object, `{}` if there is
    /// none ([`json::Object`] reads it). An error keeps the pipeline from starting.
    fn new(config: &[u8]) -> Result<Self, String>;

    /// Answers one record with operations on `out`; none at all drops it. An error
    /// fails this record alone and takes back what was answered to it.
    ///
    /// The answer must be a function of the record: a record may meet any instance
    /// of the kernel, with any others before it.
    fn handle(&mut self, record: &Record, out: &mut Output) -> Result<(), Error>;
}
