/**
 * The AssemblyScript SDK for Waybill kernels. A kernel is a class with a method
 * `handle`, registered once at the top level; the module exports ./waybill/abi:
 *
 *     import { Config, Kernel, Output, Record, serve } from "./waybill";
 *     export * from "./waybill/abi";
 *
 *     class Upper extends Kernel {
 *       handle(record: Record, out: Output): void {
 *         out.putText(record.text.toUpperCase());
 *       }
 *     }
 *
 *     serve((config: Config): Kernel => new Upper());
 *
 * What crosses the border is in spec/kernel-abi.md. README.md has the flags.
 */
export { Config } from "./config";
export { Kernel, serve } from "./kernel";
export { Random, Record } from "./record";
export { Output } from "./output";
export { Level, count, log } from "./host";
export { Answer, NOT_FOUND, NOT_GRANTED, OVER_LIMIT, Request, Response, blob, http, putState, secret, state } from "./capability";
