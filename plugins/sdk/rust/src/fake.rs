//! The imports of the ABI on the native target, for tests.

use std::cell::RefCell;
use std::collections::BTreeMap;

type Http = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, String>>;
type Map = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
struct World {
    logs: Vec<String>,
    counters: BTreeMap<i32, i64>,
    state: Option<Map>,
    blobs: Option<Map>,
    secrets: Option<Map>,
    http: Option<Http>,
    last: Vec<u8>,
}

thread_local!(static WORLD: RefCell<World> = RefCell::default());

/// What the host offers to kernels in the test's thread: at first only logs and
/// counters, then what the test gives it.
pub struct Host(());

impl Host {
    /// Forgets everything before.
    pub fn reset() -> Self {
        WORLD.with(|w| w.replace(World::default()));
        Host(())
    }

    /// Grants state, empty at first.
    pub fn state(self) -> Self {
        self.with(|w| w.state = Some(Map::new()))
    }

    /// Grants blobs and adds one.
    pub fn blob(self, digest: &str, content: &[u8]) -> Self {
        self.with(|w| drop(w.blobs.get_or_insert_with(Map::new).insert(digest.into(), content.into())))
    }

    /// Grants secrets and adds one.
    pub fn secret(self, name: &str, value: &str) -> Self {
        self.with(|w| drop(w.secrets.get_or_insert_with(Map::new).insert(name.into(), value.into())))
    }

    /// Grants HTTP: `answer` takes a request and gives a response, both encoded as
    /// in the ABI, or a failure's text. It must not call the host.
    pub fn http(self, answer: impl Fn(&[u8]) -> Result<Vec<u8>, String> + 'static) -> Self {
        self.with(|w| w.http = Some(Box::new(answer)))
    }

    /// What was logged: `level: message`, and `fail code: message`.
    pub fn logs(&self) -> Vec<String> {
        WORLD.with(|w| w.borrow().logs.clone())
    }

    /// The sum of a counter.
    pub fn count(&self, id: u32) -> i64 {
        WORLD.with(|w| w.borrow().counters.get(&(id as i32)).copied().unwrap_or(0))
    }

    fn with(self, change: impl FnOnce(&mut World)) -> Self {
        WORLD.with(|w| change(&mut w.borrow_mut()));
        self
    }
}

pub(crate) unsafe fn log(level: i32, ptr: *const u8, len: usize) {
    let level = ["debug", "info", "warn", "error"][level as usize];
    let line = format!("{level}: {}", String::from_utf8_lossy(bytes(ptr, len)));
    WORLD.with(|w| w.borrow_mut().logs.push(line));
}

pub(crate) unsafe fn fail(code: i32, ptr: *const u8, len: usize) {
    let line = format!("fail {code}: {}", String::from_utf8_lossy(bytes(ptr, len)));
    WORLD.with(|w| w.borrow_mut().logs.push(line));
}

pub(crate) unsafe fn counter(id: i32, delta: i64) {
    WORLD.with(|w| *w.borrow_mut().counters.entry(id).or_default() += delta);
}

pub(crate) unsafe fn state_get(key: *const u8, key_len: usize, buf: *mut u8, cap: usize) -> i64 {
    look_up("state", |w| &w.state, bytes(key, key_len), buf, cap)
}

pub(crate) unsafe fn state_put(key: *const u8, key_len: usize, value: *const u8, value_len: usize) -> i64 {
    let (key, value) = (bytes(key, key_len), bytes(value, value_len));
    let granted = WORLD.with(|w| match &mut w.borrow_mut().state {
        None => false,
        Some(state) => {
            if value.is_empty() {
                state.remove(key);
            } else {
                state.insert(key.into(), value.into());
            }
            true
        }
    });
    if granted { 0 } else { refuse(-1, "no grant of state") }
}

pub(crate) unsafe fn http(ptr: *const u8, len: usize, buf: *mut u8, cap: usize) -> i64 {
    let answer = WORLD.with(|w| w.borrow().http.as_ref().map(|answer| answer(bytes(ptr, len))));
    match answer {
        None => refuse(-1, "no grant of http"),
        Some(Ok(answer)) => deliver(answer, buf, cap),
        Some(Err(message)) => refuse(-4, &message),
    }
}

pub(crate) unsafe fn blob(ptr: *const u8, len: usize, buf: *mut u8, cap: usize) -> i64 {
    look_up("blob", |w| &w.blobs, bytes(ptr, len), buf, cap)
}

pub(crate) unsafe fn secret(ptr: *const u8, len: usize, buf: *mut u8, cap: usize) -> i64 {
    look_up("secret", |w| &w.secrets, bytes(ptr, len), buf, cap)
}

pub(crate) unsafe fn rest(from: i32, buf: *mut u8, cap: usize) -> i64 {
    let last = WORLD.with(|w| w.borrow().last.get(from as usize..).map(<[u8]>::to_vec)).unwrap_or_default();
    let n = last.len().min(cap);
    std::ptr::copy_nonoverlapping(last.as_ptr(), buf, n);
    n as i64
}

unsafe fn look_up(what: &str, map: impl Fn(&World) -> &Option<Map>, key: &[u8], buf: *mut u8, cap: usize) -> i64 {
    let found = WORLD.with(|w| map(&w.borrow()).as_ref().map(|m| m.get(key).cloned()));
    match found {
        None => refuse(-1, &format!("no grant of {}", what)),
        Some(None) => refuse(-2, &format!("no such {}", what)),
        Some(Some(value)) => deliver(value, buf, cap),
    }
}

/// Keeps the message of a negative answer for `rest`.
fn refuse(code: i64, message: &str) -> i64 {
    WORLD.with(|w| w.borrow_mut().last = message.into());
    code
}

/// Copies the beginning of an answer, keeps it for `rest` and returns its length.
unsafe fn deliver(answer: Vec<u8>, buf: *mut u8, cap: usize) -> i64 {
    let n = answer.len();
    std::ptr::copy_nonoverlapping(answer.as_ptr(), buf, n.min(cap));
    WORLD.with(|w| w.borrow_mut().last = answer);
    n as i64
}

unsafe fn bytes<'a>(ptr: *const u8, len: usize) -> &'a [u8] {
    std::slice::from_raw_parts(ptr, len)
}
