import { Config } from "./config";
import { Output } from "./output";
import { Record } from "./record";

/**
 * A configured kernel. What `handle` makes lives until the end of the batch; what
 * the constructor made lives on. A kernel that keeps new objects in its fields is
 * compiled with the runtime `minimal` (see README.md).
 */
export abstract class Kernel {
  /** Answers one record. */
  abstract handle(record: Record, out: Output): void;
}

type Factory = (config: Config) => Kernel;

let factory: Factory | null = null;

/** The configured kernel of this module: one, as exports are. For the SDK. */
export let current: Kernel | null = null;

/** Sets the kernel of this module. Call it once, at the top level. */
export function serve(make: Factory): void {
  assert(factory === null, "serve was called twice: a module has one kernel");
  factory = make;
}

/** Makes the kernel; returns what is wrong, empty if nothing is. For the SDK. */
export function configure(config: Config): string {
  if (factory === null) return "serve was not called at the top level";
  if (config.error.length == 0) current = factory!(config);
  return config.problem();
}
