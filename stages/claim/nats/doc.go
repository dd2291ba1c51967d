// Package nats is the queue on NATS JetStream: on a cluster that many machines
// share, or on a server embedded in this process. It implements
// spec/claim-protocol.md.
//
// What comes in: the calls of pipeline.Queue. What goes out: one stream per
// queue, which the nats command line can read. It knows nothing of stages and
// runs.
//
// JetStream's own work queues have no priorities, no exclusivity by key, no
// query, and no condition on a message that is being delivered. What it has is a
// conditional write: a message is stored only if the last one on its subject, or
// on a wildcard, has an expected sequence. That is all that correctness rests on
// here. No consumer's acknowledgements, no redelivery, no dedupe window and no
// atomic batch (in 2.12.0 it checks the wrong subject) are in its path.
//
// # Messages
//
// The stream keeps the last message of each subject, for ever:
//
//	waybill.Q.item.ID       what an enqueue said; never rewritten
//	waybill.Q.state.KEY.ID  where the item stands, with its history; absent: ready, never claimed
//	waybill.Q.idem.IDEM     whose idempotency key this is
//	waybill.Q.batch.B       whether a call that took several messages has happened
//
// The small part of each is a header, so that a process can follow a stream
// without its bodies. An item's sequence is that of its item message, and a
// claim's token that of its own state message: sequences only grow, also across
// restarts and the reuse of a dropped id.
//
// # Replica
//
// Each process follows the stream (an ordered consumer, headers only) and keeps
// every item in memory, without body and history, some 500 bytes each: this is
// the order of claims, the turn of each key, and the counts (replica.go,
// turn.go). It proposes; the condition of the write decides. After a conflict
// the process reads on to the stream's end (barrier, stream.go) and decides anew.
// Hence a claim costs the same whether a thousand items wait or a million.
//
// # Conditions
//
// A transition of an item without a key expects the item's last state message. A
// transition of an item with a key expects the last state message of the whole
// key (a wildcard): whoever claims has then seen every earlier transition of the
// key, all of its older items, and two claims of one key cannot both be written.
// An enqueue of one item expects that its subject is empty.
//
//	write                crash after it leaves               repaired by
//	claim                a lease nobody holds                the reaper, when it expires
//	ack, nack, retry     nothing: one write
//	enqueue, one item    nothing: one write
//	enqueue, several     messages of an undecided batch,     the reaper after a minute, or whoever wants
//	 each message        which nobody shows or claims        the id or key after 5 s: batch = undone
//	 the batch           nothing: the decision is made
//	drop: tombstone      messages of an item that is gone    the sweep: item, idem, and a day later the tombstone
//
// An undo and a late commit race for the batch's subject, which must be empty:
// the first decision stands, and an enqueuer that comes too late begins anew.
//
// If the answer to a write is lost it is repeated. The second try then meets its
// own message as a conflict, and knows it by the nonce.
//
// # What a read sees
//
// Stats, Pending, List and Show first read everything that the stream had when
// they were called. Each item is counted once, in a state that it had then or
// later, so the counts add up in every answer. They are of one moment if nobody
// writes meanwhile; if somebody does, two items may be seen some milliseconds
// apart, because JetStream does not deliver what a later message of the same
// subject has replaced. A claim looks at what has been read so far, and reads on
// only if that is not enough: a higher priority that another process enqueued a
// moment ago may come one claim late. The order of a key does not depend on it.
//
// # Time
//
// There is one clock, that of the stream's leader: every barrier asks for it, and
// the best answer of the last minute is kept beside the monotonic clock. It is
// never ahead of the server's, so no lease is taken early. When another node
// becomes the leader, its clock is the clock; nodes need NTP as any cluster does.
//
// # Durability
//
// The embedded server flushes each write before it confirms it. A server of your
// own does so with sync_interval: always; without it, three replicas in places
// that do not lose power together are what keeps an acknowledgement.
package nats
