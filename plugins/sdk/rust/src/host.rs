use crate::error::HostError;

/// How loud a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For the kernel's author.
    Debug = 0,
    /// Worth knowing.
    Info = 1,
    /// Something is odd, the record goes on.
    Warn = 2,
    /// Something is wrong.
    Error = 3,
}

/// Sends a message of at most 4 KiB to the host's log. What goes beyond the
/// limit of a call is dropped and counted.
pub fn log(level: Level, message: impl AsRef<[u8]>) {
    let m = message.as_ref();
    unsafe { imports::log(level as i32, m.as_ptr(), m.len()) }
}

/// Adds to one of the kernel's counters, 0 to 63.
pub fn counter(id: u32, delta: i64) {
    unsafe { imports::counter(id as i32, delta) }
}

/// The text for the negative answer or trap that follows.
pub(crate) fn fail(code: i32, message: &str) {
    unsafe { imports::fail(code, message.as_ptr(), message.len()) }
}

/// Reads a blob by its digest, `sha256:` and 64 hexadecimal digits. Needs the grant `blob`.
pub fn blob(digest: &str) -> Result<Vec<u8>, HostError> {
    answer(|buf, cap| unsafe { imports::blob(digest.as_ptr(), digest.len(), buf, cap) })
}

/// Reads a secret by its name. Needs the grant `secret`.
pub fn secret(name: &str) -> Result<Vec<u8>, HostError> {
    answer(|buf, cap| unsafe { imports::secret(name.as_ptr(), name.len(), buf, cap) })
}

/// Reads from the lane's state; `None` if there is no such key. Needs the grant `state`.
pub fn state_get(key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
    match answer(|buf, cap| unsafe { imports::state_get(key.as_ptr(), key.len(), buf, cap) }) {
        Err(HostError::NotFound(_)) => Ok(None),
        other => other.map(Some),
    }
}

/// Writes to the lane's state; an empty value deletes the key. Needs the grant `state`.
pub fn state_put(key: &[u8], value: &[u8]) -> Result<(), HostError> {
    check(unsafe { imports::state_put(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }).map(drop)
}

/// One HTTP exchange, as `http.rs` encodes it.
pub(crate) fn http(request: &[u8]) -> Result<Vec<u8>, HostError> {
    answer(|buf, cap| unsafe { imports::http(request.as_ptr(), request.len(), buf, cap) })
}

/// Collects an answer of any length: `ask` copies its beginning into the buffer
/// and returns its length, the import `rest` copies what follows.
fn answer(ask: impl FnOnce(*mut u8, usize) -> i64) -> Result<Vec<u8>, HostError> {
    let mut buf = vec![0; 1024];
    let total = check(ask(buf.as_mut_ptr(), buf.len()))?;
    let got = total.min(buf.len());
    buf.resize(total, 0);
    if total > got && rest(got, &mut buf[got..]) < total - got {
        return Err(HostError::Failed("the host's answer ended early".into()));
    }
    Ok(buf)
}

fn rest(from: usize, buf: &mut [u8]) -> usize {
    let mut got = 0;
    while got < buf.len() {
        let to = &mut buf[got..];
        match unsafe { imports::rest((from + got) as i32, to.as_mut_ptr(), to.len()) } {
            n if n > 0 => got += n as usize,
            _ => break,
        }
    }
    got
}

/// The answer's length, or the error that a negative one means, with the host's message.
fn check(answer: i64) -> Result<usize, HostError> {
    if answer >= 0 {
        return Ok(answer as usize);
    }
    let mut text = [0; 1024];
    let n = rest(0, &mut text);
    let why = String::from_utf8_lossy(&text[..n]).into_owned();
    Err(match answer {
        -1 => HostError::NotGranted(why),
        -2 => HostError::NotFound(why),
        -3 => HostError::Limit(why),
        _ => HostError::Failed(why),
    })
}

#[cfg(target_arch = "wasm32")]
mod imports {
    #[link(wasm_import_module = "kernel/1")]
    extern "C" {
        pub fn log(level: i32, ptr: *const u8, len: usize);
        pub fn fail(code: i32, ptr: *const u8, len: usize);
        pub fn counter(id: i32, delta: i64);
        pub fn state_get(key: *const u8, key_len: usize, buf: *mut u8, cap: usize) -> i64;
        pub fn state_put(key: *const u8, key_len: usize, value: *const u8, value_len: usize) -> i64;
        pub fn http(ptr: *const u8, len: usize, buf: *mut u8, cap: usize) -> i64;
        pub fn blob(ptr: *const u8, len: usize, buf: *mut u8, cap: usize) -> i64;
        pub fn secret(ptr: *const u8, len: usize, buf: *mut u8, cap: usize) -> i64;
        pub fn rest(from: i32, buf: *mut u8, cap: usize) -> i64;
    }
}

#[cfg(not(target_arch = "wasm32"))]
use crate::fake as imports;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn nothing_is_granted_at_first() {
        Host::reset();
        let denied = |what: &str| HostError::NotGranted(format!("no grant of {}", what));
        assert_eq!(blob("sha256:00"), Err(denied("blob")));
        assert_eq!(secret("token"), Err(denied("secret")));
        assert_eq!(state_get(b"k"), Err(denied("state")));
        assert_eq!(state_put(b"k", b"v"), Err(denied("state")));
    }

    #[test]
    fn reads_answers_of_any_length() {
        for n in [0, 1, 1023, 1024, 1025, 5000] {
            let content: Vec<u8> = (0..n).map(|i| i as u8).collect();
            Host::reset().blob("sha256:00", &content);
            assert_eq!(blob("sha256:00"), Ok(content), "{n} bytes");
        }
        assert_eq!(blob("sha256:01"), Err(HostError::NotFound("no such blob".into())));
    }

    #[test]
    fn state_is_kept_and_deleted() {
        Host::reset().state();
        assert_eq!(state_get(b"k"), Ok(None));
        assert_eq!(state_put(b"k", b"v"), Ok(()));
        assert_eq!(state_get(b"k"), Ok(Some(b"v".to_vec())));
        assert_eq!(state_put(b"k", b""), Ok(()));
        assert_eq!(state_get(b"k"), Ok(None));
    }

    #[test]
    fn logs_and_counts() {
        let host = Host::reset();
        log(Level::Warn, "odd");
        counter(3, 2);
        counter(3, -5);
        fail(1, "why");
        assert_eq!(host.logs(), ["warn: odd", "fail 1: why"]);
        assert_eq!(host.count(3), -3);
    }

    #[test]
    fn negative_answers_are_errors() {
        Host::reset();
        assert_eq!(check(-3), Err(HostError::Limit(String::new())));
        assert_eq!(check(7), Ok(7));
    }
}
