// Memory stays flat over any number of calls. With the runtime `stub`, which
// only ever allocates, everything that a call makes is given back at once at
// the beginning of the next one: no garbage collector runs and none is in the
// module. With the runtime `minimal` the collector runs there instead; that is
// for kernels whose objects change from call to call.

/** Bytes before a block that hold its size: the layout of the compiler's std/rt/common. */
const OVERHEAD: usize = sizeof<usize>();

/** Whether the runtime is `stub`: 0 in the compiler's shared/runtime. */
const STUB: bool = <i32>ASC_RUNTIME == 0;

/** An empty block behind everything that k1_init made; 0 before. */
let base: usize = 0;

/** An empty block behind everything that lives on. */
let mark: usize = 0;

/** Keeps all that there is. */
export function seal(): void {
  if (!STUB) return;
  base = heap.alloc(0);
  mark = base;
}

/** Frees what was made since `seal` or `replaced`. No object of a call may be in reach. */
export function sweep(): void {
  if (!STUB) {
    __collect();
  } else if (mark != 0) {
    cut(mark);
    mark = heap.alloc(0);
  }
}

/** Frees the input buffer too, if it was made after `seal`. */
export function sweepAll(): void {
  if (!STUB || base == 0) return;
  cut(base);
  base = heap.alloc(0);
}

/** Keeps the input buffer that was made after `sweepAll`. */
export function replaced(): void {
  if (!STUB || base == 0) return;
  mark = heap.alloc(0);
}

/** Makes the block at `from` the last one and frees it: stub frees only the last block. */
function cut(from: usize): void {
  const last = heap.alloc(0);
  const end = last + load<usize>(last - OVERHEAD);
  store<usize>(from - OVERHEAD, end - from);
  heap.free(from);
}
