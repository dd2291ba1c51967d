// What a kernel reaches of the world, each only if its manifest wants it and the
// pipeline's `grant` gives it.

import { Parser, quote } from "./json";

@external("kernel/1", "http")
declare function importHTTP(ptr: usize, length: i32, buffer: usize, size: i32): i64;

@external("kernel/1", "blob")
declare function importBlob(ptr: usize, length: i32, buffer: usize, size: i32): i64;

@external("kernel/1", "secret")
declare function importSecret(ptr: usize, length: i32, buffer: usize, size: i32): i64;

@external("kernel/1", "state_get")
declare function importStateGet(key: usize, length: i32, buffer: usize, size: i32): i64;

@external("kernel/1", "state_put")
declare function importStatePut(key: usize, length: i32, value: usize, size: i32): i64;

@external("kernel/1", "rest")
declare function importRest(from: i32, buffer: usize, size: i32): i64;

/** How much of an answer is received at first; the rest is fetched by a second call. */
const FIRST: i32 = 4096;

/** What errors begin with that a kernel may tell apart (startsWith); the host's own words follow, or stand alone. */
export const NOT_GRANTED = "not granted by the pipeline";
export const NOT_FOUND = "not found";
export const OVER_LIMIT = "over a limit of the pipeline";

/** What the host answered. */
export class Answer {
  /** What went wrong; empty if nothing did. */
  error: string = "";
  bytes: Uint8Array = new Uint8Array(0);

  get ok(): bool {
    return this.error.length == 0;
  }

  get text(): string {
    return String.UTF8.decodeUnsafe(this.bytes.dataStart, this.bytes.length);
  }
}

/** An HTTP request, which the host sends. */
export class Request {
  method: string = "GET";
  headers: Map<string, string> = new Map<string, string>();
  /** A credential of the grant, by name. The host adds it; the kernel never sees it. */
  credential: string = "";
  body: Uint8Array = new Uint8Array(0);

  /** The host of the URL must be among those granted. */
  constructor(public url: string) {}
}

/** The answer to a Request. A status of 400 or more is no error. */
export class Response {
  error: string = "";
  status: i32 = 0;
  /** Names are in lower case. */
  headers: Map<string, string> = new Map<string, string>();
  body: Uint8Array = new Uint8Array(0);

  get ok(): bool {
    return this.error.length == 0;
  }
}

/** Sends a request through the host. */
export function http(request: Request): Response {
  const head = String.UTF8.encode(headOf(request));
  const message = new Uint8Array(4 + head.byteLength + request.body.length);
  store<u32>(message.dataStart, head.byteLength);
  message.set(Uint8Array.wrap(head), 4);
  message.set(request.body, 4 + head.byteLength);
  const buffer = new ArrayBuffer(FIRST);
  return decode(receive(importHTTP(message.dataStart, message.length, changetype<usize>(buffer), FIRST), buffer));
}

/** Content of the granted store by its digest, "sha256:...". */
export function blob(digest: string): Answer {
  const name = String.UTF8.encode(digest);
  const buffer = new ArrayBuffer(FIRST);
  return receive(importBlob(changetype<usize>(name), name.byteLength, changetype<usize>(buffer), FIRST), buffer);
}

/** A granted secret. */
export function secret(name: string): Answer {
  const utf8 = String.UTF8.encode(name);
  const buffer = new ArrayBuffer(FIRST);
  return receive(importSecret(changetype<usize>(utf8), utf8.byteLength, changetype<usize>(buffer), FIRST), buffer);
}

/** What putState stored under a key. */
export function state(key: string): Answer {
  const utf8 = String.UTF8.encode(key);
  const buffer = new ArrayBuffer(FIRST);
  return receive(importStateGet(changetype<usize>(utf8), utf8.byteLength, changetype<usize>(buffer), FIRST), buffer);
}

/** Stores a value under a key; an empty one deletes the key. Returns what went wrong, or nothing. */
export function putState(key: string, value: Uint8Array): string {
  const utf8 = String.UTF8.encode(key);
  const code = importStatePut(changetype<usize>(utf8), utf8.byteLength, value.dataStart, value.length);
  return code < 0 ? errorOf(code) : "";
}

function headOf(request: Request): string {
  let head = '{"method":' + quote(request.method) + ',"url":' + quote(request.url);
  const names = request.headers.keys();
  for (let i = 0; i < names.length; i++) {
    head += (i == 0 ? ',"headers":{' : ",") + quote(names[i]) + ":" + quote(request.headers.get(names[i]));
  }
  if (names.length > 0) head += "}";
  if (request.credential.length > 0) head += ',"credential":' + quote(request.credential);
  return head + "}";
}

/** Reads status, length of the headers, headers, body. */
function decode(answer: Answer): Response {
  const response = new Response();
  response.error = answer.error;
  if (!answer.ok) return response;
  const bytes = answer.bytes;
  const length: u64 = bytes.length >= 8 ? load<u32>(bytes.dataStart, 4) : u32.MAX_VALUE;
  if (8 + length > <u64>bytes.length) {
    response.error = "a damaged response";
    return response;
  }
  const end = 8 + <i32>length;
  const parser = new Parser(String.UTF8.decodeUnsafe(bytes.dataStart + 8, <usize>length));
  const values = parser.object();
  const names = values.keys();
  for (let i = 0; i < names.length; i++) response.headers.set(names[i], values.get(names[i]).text);
  response.error = parser.error;
  response.status = load<u32>(bytes.dataStart);
  response.body = bytes.subarray(end);
  return response;
}

/** Turns an import's answer, of which the beginning is in the buffer, into bytes. */
function receive(n: i64, first: ArrayBuffer): Answer {
  const answer = new Answer();
  if (n < 0) {
    answer.error = errorOf(n);
  } else if (n <= FIRST) {
    answer.bytes = Uint8Array.wrap(first, 0, <i32>n);
  } else {
    const all = new Uint8Array(<i32>n);
    memory.copy(all.dataStart, changetype<usize>(first), FIRST);
    const left = <i32>n - FIRST;
    if (importRest(FIRST, all.dataStart + FIRST, left) != left) answer.error = "the host lost its answer";
    answer.bytes = all;
  }
  return answer;
}

/** The error that a negative answer stands for, with the host's message. */
function errorOf(code: i64): string {
  const buffer = new ArrayBuffer(1024);
  const n = importRest(0, changetype<usize>(buffer), buffer.byteLength);
  const why = n > 0 ? String.UTF8.decodeUnsafe(changetype<usize>(buffer), <usize>min(n, buffer.byteLength)) : "";
  const kind = code == -1 ? NOT_GRANTED : code == -2 ? NOT_FOUND : code == -3 ? OVER_LIMIT : "";
  if (kind.length == 0) return why.length > 0 ? why : "failed in the host";
  return why.length > 0 ? kind + ": " + why : kind;
}
