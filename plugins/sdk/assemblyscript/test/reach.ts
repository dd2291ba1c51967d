// A kernel for tests: it does with its capabilities what each record says,
// "order name [argument]". plugins/testdata/reach is the same in Go.

import { Answer, Config, Kernel, Output, Record, Request, blob, http, putState, secret, serve, state } from "./waybill";
export * from "./waybill/abi";

class Reach extends Kernel {
  handle(record: Record, out: Output): void {
    const words = record.text.split(" ");
    const order = words[0];
    const name = words[1];
    const argument = words.slice(2).join(" ");
    if (order == "http") return fetch(name, argument, out);
    if (order == "blob") return give(blob(name), out);
    if (order == "secret") return give(secret(name), out);
    if (order == "get") return give(state(name), out);
    const error = putState(name, Uint8Array.wrap(String.UTF8.encode(argument)));
    if (error.length > 0) out.fail(error);
    else out.putText("");
  }
}

function give(answer: Answer, out: Output): void {
  if (answer.ok) out.put(answer.bytes);
  else out.fail(answer.error);
}

function fetch(url: string, body: string, out: Output): void {
  const request = new Request(url);
  request.method = "POST";
  request.credential = "api";
  request.headers.set("X-Asked", '"yes"');
  request.body = Uint8Array.wrap(String.UTF8.encode(body));
  const response = http(request);
  if (!response.ok) return out.fail(response.error);
  const found: string[] = [];
  const names = response.headers.keys();
  for (let i = 0; i < names.length; i++) {
    if (names[i].startsWith("x-")) found.push(names[i] + "=" + response.headers.get(names[i]));
  }
  found.sort();
  const head = Uint8Array.wrap(String.UTF8.encode(response.status.toString() + " " + found.join(",") + " "));
  const all = new Uint8Array(head.length + response.body.length);
  all.set(head);
  all.set(response.body, head.length);
  out.put(all);
}

serve((config: Config): Kernel => new Reach());
