// Package http claims what clients POST to an address.
//
// What comes in: http:127.0.0.1:8080/work. What goes out: a pipeline.Source that
// never ends. A request has one item, or several as JSON Lines, in the format of
// `waybill enqueue`; format: jsonl takes any JSON values as bodies, format: raw
// the whole request.
//
// When a client is told that its work was accepted, it is true:
//
//   - without a checkpoint nothing outlives the process, so the answer waits for
//     the end of the items: 200 and their outcomes. A client that goes away before
//     its item has begun takes it back.
//   - with a checkpoint the items are on disk before the answer: 202 and their
//     ids. A later run goes on with those that have not ended.
//
// All items of a request are accepted or none. Items that no slot is free for
// wait in a buffer (?buffer=64); when it is full the answer is 429 with
// Retry-After. While the run drains it is 503.
//
// An Idempotency-Key, in the header or in the item, makes a second request for
// the same work an answer about the first. The last 10,000 keys are known.
//
// Only this machine can connect, unless the URL says ?public=true, and web pages
// cannot: requests of a browser from elsewhere are refused. With token: a request
// must have it as its bearer token.
package http
