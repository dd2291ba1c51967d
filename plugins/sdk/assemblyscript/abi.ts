// The exports of the k1 ABI: `export * from "./waybill/abi"` in the entry file.

import { replaced, seal, sweep, sweepAll } from "./arena";
import { Config } from "./config";
import { headerError } from "./frame";
import { fail } from "./host";
import { configure, current } from "./kernel";
import { Output } from "./output";
import { Record } from "./record";

const REFUSED: i32 = -2;
const BAD_FRAME: i32 = -3;

/** Where the host writes. */
let input: ArrayBuffer = new ArrayBuffer(0);

export function k1_abi(): i64 {
  return 0;
}

export function k1_buffer(least: u32): usize {
  if (<u32>input.byteLength < least) {
    sweepAll();
    input = changetype<ArrayBuffer>(__new(least, idof<ArrayBuffer>()));
    replaced();
  }
  return changetype<usize>(input);
}

export function k1_init(ptr: usize, length: i32): i64 {
  const problem = configure(new Config(String.UTF8.decodeUnsafe(ptr, length)));
  if (problem.length > 0) {
    fail(REFUSED, problem);
    return REFUSED;
  }
  seal();
  return 0;
}

export function k1_run(ptr: usize, length: u32): i64 {
  sweep();
  const kernel = current;
  let problem = kernel ? headerError(ptr, length) : "k1_run before k1_init";
  if (problem.length == 0 && ptr != changetype<usize>(input)) problem = "bad input frame: not in the buffer";
  if (problem.length > 0) {
    fail(BAD_FRAME, problem);
    return BAD_FRAME;
  }
  const n = load<u32>(ptr, 8);
  const record = new Record(input);
  const out = new Output(n, length, record);
  for (let i: u32 = 0; i < n; i++) {
    record.open(i);
    if (!record.fits(length)) {
      fail(BAD_FRAME, "bad input frame: record " + i.toString() + " leaves it");
      return BAD_FRAME;
    }
    out.next();
    kernel!.handle(record, out);
  }
  return out.finish();
}
