import { RECORD_SIZE, HEADER_SIZE } from "./frame";

/**
 * One input of a batch. It is valid during the call of `handle` only, and so are
 * the arrays that it gives: views of the input frame, which must not be changed.
 */
export class Record {
  /** The record's place in its batch. */
  index: u32 = 0;
  private descriptor: usize = 0;

  constructor(private frame: ArrayBuffer) {}

  /** Points at record i of the frame. For the SDK. */
  open(i: u32): void {
    this.index = i;
    this.descriptor = changetype<usize>(this.frame) + HEADER_SIZE + RECORD_SIZE * <usize>i;
  }

  /** Whether all ranges lie inside a frame of so many bytes. For the SDK. */
  fits(total: u32): bool {
    return this.inside(0, total) && this.inside(8, total) && this.inside(32, total);
  }

  private inside(at: usize, total: u32): bool {
    const d = this.descriptor + at;
    return <u64>load<u32>(d) + <u64>load<u32>(d, 4) <= <u64>total;
  }

  /** The item's key; empty if it has none. */
  get key(): Uint8Array {
    return this.part(0);
  }

  /** The item's body, or the artifact that the pipeline chose. */
  get value(): Uint8Array {
    return this.part(8);
  }

  /** The item's metadata: a JSON object of strings, or empty. */
  get meta(): Uint8Array {
    return this.part(32);
  }

  private part(at: usize): Uint8Array {
    const d = this.descriptor + at;
    return Uint8Array.wrap(this.frame, load<u32>(d), load<u32>(d, 4));
  }

  /** The value's address and length, for code that goes without arrays. */
  get valueAt(): usize {
    return changetype<usize>(this.frame) + load<u32>(this.descriptor, 8);
  }

  get valueLength(): i32 {
    return load<u32>(this.descriptor, 12);
  }

  /** Where the value stands in the frame. For the SDK. */
  get valueOffset(): u32 {
    return load<u32>(this.descriptor, 8);
  }

  /** The value as text. */
  get text(): string {
    return String.UTF8.decodeUnsafe(this.valueAt, this.valueLength);
  }

  /** When the item was created, in nanoseconds since 1970: the only time that a kernel knows. */
  get time(): u64 {
    return load<u64>(this.descriptor, 16);
  }

  /** A number that is a function of the item. */
  get seed(): u64 {
    return load<u64>(this.descriptor, 24);
  }

  /** A random source that starts from the seed, the same in every language. */
  random(): Random {
    return new Random(this.seed);
  }
}

/** SplitMix64 (Steele, Lea, Flood 2014, with Vigna's constants). */
export class Random {
  constructor(private state: u64) {}

  /** The next number. */
  next(): u64 {
    this.state += 0x9e3779b97f4a7c15;
    let z = this.state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
}
