// The frames of spec/kernel-abi.md, from the guest's side.

export const HEADER_SIZE: usize = 40;
export const RECORD_SIZE: usize = 40;
export const OUT_HEADER_SIZE: u32 = 16;
export const OP_SIZE: u32 = 24;

/** "K1", version 1. */
const MAGIC: u32 = 0x0001314b;

/** What is wrong with the header of a frame; empty if nothing is. */
export function headerError(frame: usize, length: u32): string {
  if (length < <u32>HEADER_SIZE) return "bad input frame: " + length.toString() + " bytes";
  if (load<u32>(frame) != MAGIC) return "bad input frame: magic " + load<u32>(frame).toString();
  if (load<u32>(frame, 4) != 0) return "bad input frame: unknown flags";
  if (load<u32>(frame, 12) != length) return "bad input frame: total is not its length";
  if (<u64>HEADER_SIZE + <u64>RECORD_SIZE * <u64>load<u32>(frame, 8) > <u64>length) {
    return "bad input frame: the records do not fit";
  }
  return "";
}
