// The conformance kernel: the same small kernel exists in every language that
// has an SDK, and gives the same bytes on the vectors
// (spec/vectors/kernel/conform.json). The first byte of the value is an order.

import { Config, Kernel, Level, Output, Record, count, log, serve } from "./waybill";
export * from "./waybill/abi";

const COUNTED = 1;
const COMMA: u8 = 0x2c;

class Conform extends Kernel {
  private prefix: ArrayBuffer;

  constructor(prefix: string) {
    super();
    this.prefix = String.UTF8.encode(prefix);
  }

  handle(record: Record, out: Output): void {
    if (record.valueLength == 0) return;
    const value = record.value;
    switch (value[0]) {
      case 0x23: // #
        return out.keep();
      case 0x3d: // =
        return out.slice(1, value.length);
      case 0x21: // !
        return out.fail("refused: " + rest(record));
      case 0x3f: // ?
        return out.retry("later: " + rest(record));
      case 0x7e: // ~
        return out.skip("skipped: " + rest(record));
      case 0x40: // @
        return this.report(record, out);
      case COMMA:
        return this.parts(value, out);
      case 0x24: // $
        throw new Error("as ordered");
      case 0x2b: // +
        log(Level.Info, rest(record));
        count(COUNTED, value.length - 1);
        return out.keep();
      default:
        return this.upper(record, out);
    }
  }

  /** Answers with everything that the record has besides its value. */
  private report(record: Record, out: Output): void {
    const key = String.UTF8.decode(record.key.slice(0).buffer);
    const meta = String.UTF8.decode(record.meta.slice(0).buffer);
    out.putText(
      "key=" + key + " meta=" + meta + " time=" + record.time.toString() +
      " seed=" + record.seed.toString() + " rand=" + record.random().next().toString());
  }

  /** Makes one result of each part that is not empty. */
  private parts(value: Uint8Array, out: Output): void {
    let index = 0;
    for (let from = 1, to = 1; to <= value.length; to++) {
      if (to < value.length && value[to] != COMMA) continue;
      if (to > from) out.put(value.subarray(from, to), (index++).toString());
      from = to + 1;
    }
  }

  private upper(record: Record, out: Output): void {
    const prefix = this.prefix.byteLength;
    const to = out.make(prefix + record.valueLength);
    memory.copy(to, changetype<usize>(this.prefix), prefix);
    upperCase(to + prefix, record.valueAt, record.valueLength);
  }
}

/** Copies bytes with a to z made upper-case, 16 at a time. */
function upperCase(to: usize, from: usize, length: usize): void {
  let i: usize = 0;
  for (; i + 16 <= length; i += 16) {
    const bytes = v128.load(from + i);
    const letters = v128.and(i8x16.ge_u(bytes, i8x16.splat(0x61)), i8x16.le_u(bytes, i8x16.splat(0x7a)));
    v128.store(to + i, v128.xor(bytes, v128.and(letters, i8x16.splat(0x20))));
  }
  for (; i < length; i++) {
    const c = load<u8>(from + i);
    store<u8>(to + i, c >= 0x61 && c <= 0x7a ? c ^ 0x20 : c);
  }
}

function rest(record: Record): string {
  return String.UTF8.decodeUnsafe(record.valueAt + 1, record.valueLength - 1);
}

serve((config: Config): Kernel => new Conform(config.text("prefix")));
