// The imports of kernel/1 that need no grant.

@external("kernel/1", "log")
declare function importLog(level: i32, ptr: usize, length: i32): void;

@external("kernel/1", "fail")
declare function importFail(code: i32, ptr: usize, length: i32): void;

@external("kernel/1", "counter")
declare function importCounter(id: i32, delta: i64): void;

/** The importance of a log message. */
export enum Level {
  Debug,
  Info,
  Warn,
  Error,
}

/** Writes a message to the log of the run, which bounds how much one call may write. */
export function log(level: Level, message: string): void {
  const utf8 = String.UTF8.encode(message);
  importLog(level, changetype<usize>(utf8), utf8.byteLength);
}

/** Adds to counter `id`, 0 to 63; the run logs the sums at its end. */
export function count(id: i32, delta: i64): void {
  importCounter(id, delta);
}

/** Says why the negative answer or the trap that follows happens. */
export function fail(code: i32, message: string): void {
  const utf8 = String.UTF8.encode(message);
  importFail(code, changetype<usize>(utf8), utf8.byteLength);
}

/** Stands in for the compiler's env.abort, which a sandbox does not have: see asconfig.json. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const text = message ? message : "abort";
  const where = file ? file : "?";
  fail(0, text + " (" + where + ":" + line.toString() + ":" + column.toString() + ")");
  unreachable();
}
