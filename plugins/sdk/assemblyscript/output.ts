import { OP_SIZE, OUT_HEADER_SIZE } from "./frame";
import { Record } from "./record";

const KEEP: u16 = 0;
const SLICE: u16 = 1;
const PUT: u16 = 2;
const ERR: u16 = 3;

const PERMANENT: u16 = 0;
const RETRY: u16 = 1;
const SKIP: u16 = 2;

/**
 * The answers to a record: any number of keep, slice and put (several make
 * several items, none drops the record), or one of fail, retry and skip. A port
 * is the number of an output port: its place among the ports of kernel.json.
 *
 * The out frame is built in place: header, room for descriptors, arena. Room
 * that is left over is a gap, which the ABI allows.
 */
export class Output {
  private buffer: ArrayBuffer;
  private end: u32; // of the frame
  private ops: u32 = 0;
  private room: u32; // descriptors that fit before the arena
  private firstOp: u32 = 0; // of the current record
  private firstByte: u32 = 0; // of its arena

  /** Begins a frame for about so many operations and bytes. For the SDK. */
  constructor(ops: u32, bytes: u32, private record: Record) {
    const room = max<u32>(ops, 1);
    const arena = OUT_HEADER_SIZE + OP_SIZE * room;
    this.room = room;
    this.end = arena;
    this.buffer = changetype<ArrayBuffer>(__new(arena + bytes, idof<ArrayBuffer>()));
  }

  /** Passes the record on as it is, without a copy. */
  keep(port: u16 = 0): void {
    this.describe(KEEP, port, 0, 0, 0, 0);
  }

  /** Passes on value[from, to), without a copy. */
  slice(from: i32, to: i32, port: u16 = 0): void {
    assert(0 <= from && from <= to && to <= this.record.valueLength, "slice outside of the value");
    this.describe(SLICE, port, 0, 0, this.record.valueOffset + from, to - from);
  }

  /**
   * Passes on new bytes, which are copied. The key counts only where a record
   * becomes several items.
   */
  put(value: Uint8Array, key: string = "", port: u16 = 0): void {
    const at = this.make(value.length, key, port);
    memory.copy(at, value.dataStart, value.length);
  }

  /** Passes on text, as UTF-8. */
  putText(text: string, key: string = "", port: u16 = 0): void {
    const n = String.UTF8.byteLength(text);
    String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, this.make(n, key, port));
  }

  /**
   * Passes on `length` new bytes that the caller fills, all of them, before its
   * next answer. The result is their address: load and store, no checks.
   */
  make(length: i32, key: string = "", port: u16 = 0): usize {
    return this.write(PUT, port, key, length);
  }

  /** Fails the record: the same input gives the same answer, so nothing is tried again. */
  fail(message: string): void {
    this.error(PERMANENT, message);
  }

  /** Fails the record for now: another attempt may succeed. */
  retry(message: string): void {
    this.error(RETRY, message);
  }

  /** Ends the record as skipped: a result, not a failure. */
  skip(reason: string): void {
    this.error(SKIP, reason);
  }

  /** Goes to the next record. For the SDK. */
  next(): void {
    this.firstOp = this.ops;
    this.firstByte = this.end - this.arena();
  }

  /** Ends the frame and returns its packed address and length. For the SDK. */
  finish(): i64 {
    const frame = changetype<usize>(this.buffer);
    store<u32>(frame, this.ops);
    store<u32>(frame, this.end, 4);
    store<u64>(frame, 0, 8);
    return (<i64>frame << 32) | <i64>this.end;
  }

  /** Takes back what was answered to the record and answers with an error. */
  private error(port: u16, message: string): void {
    this.ops = this.firstOp;
    this.end = this.arena() + this.firstByte;
    const n = String.UTF8.byteLength(message);
    String.UTF8.encodeUnsafe(changetype<usize>(message), message.length, this.write(ERR, port, "", n));
  }

  private write(op: u16, port: u16, key: string, length: i32): usize {
    if (this.ops == this.room) this.widen();
    const at = this.end;
    const keyLength = String.UTF8.byteLength(key);
    this.extend(keyLength + length);
    this.describe(op, port, at, keyLength, at + keyLength, length);
    const start = changetype<usize>(this.buffer) + at;
    String.UTF8.encodeUnsafe(changetype<usize>(key), key.length, start);
    return start + keyLength;
  }

  private describe(op: u16, port: u16, key: u32, keyLength: u32, value: u32, valueLength: u32): void {
    if (this.ops == this.room) this.widen();
    const d = changetype<usize>(this.buffer) + OUT_HEADER_SIZE + OP_SIZE * this.ops++;
    store<u32>(d, this.record.index);
    store<u16>(d, op, 4);
    store<u16>(d, port, 6);
    store<u32>(d, key, 8);
    store<u32>(d, keyLength, 12);
    store<u32>(d, value, 16);
    store<u32>(d, valueLength, 20);
  }

  private arena(): u32 {
    return OUT_HEADER_SIZE + OP_SIZE * this.room;
  }

  /** Makes the frame n bytes longer. */
  private extend(n: u32): void {
    const end = this.end + n;
    const size = <u32>this.buffer.byteLength;
    assert(end >= this.end, "the answer is larger than a frame");
    if (end > size) {
      this.buffer = changetype<ArrayBuffer>(__renew(changetype<usize>(this.buffer), max(end, size * 2)));
    }
    this.end = end;
  }

  /** Doubles the room for descriptors: the arena moves up. */
  private widen(): void {
    const from = this.arena();
    const length = this.end - from;
    const by = OP_SIZE * this.room;
    this.extend(by);
    const frame = changetype<usize>(this.buffer);
    memory.copy(frame + from + by, frame + from, length);
    this.room *= 2;
    for (let d = frame + OUT_HEADER_SIZE; d < frame + from; d += OP_SIZE) {
      const op = load<u16>(d, 4);
      if (op != PUT && op != ERR) continue;
      store<u32>(d, load<u32>(d, 8) + by, 8);
      store<u32>(d, load<u32>(d, 16) + by, 16);
    }
  }
}
