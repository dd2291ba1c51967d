// Package nats is the queue on NATS JetStream: on a cluster that many machines
// share, or on a server embedded in this process. It implements
// spec/claim-protocol.md.
//
// What comes in: the calls of pipeline.Queue, QueueTools and Records. What goes
// out: one stream per queue, and one for the records, which the nats command line
// can read. It knows nothing of stages and runs.
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
//	waybill.Q.pause         whether the queue rests
//	waybill-records.NAME    a record; in the stream waybill_records
//
// The small part of each is a header, so that a process can follow a stream
// without its bodies. An item's sequence is that of its item message, and a
// claim's token that of its own state message: sequences only grow, also across
// restarts and the reuse of a dropped id. What is moved or imported brings tokens
// of another store: its decision says the highest, and later ones are above it.
//
// Whose an idempotency key is, the items say: the last one that was enqueued with
// it, until it has ended (scope active) or its time is over. The message on the
// key's subject is there for its sequence, which the next enqueuer of the key must
// know.
//
// # Replica
//
// Each process follows the stream (an ordered consumer, headers only) and keeps
// every item in memory, without body and history, some 500 bytes each: this is
// the order of claims, the turn of each key, and the counts (replica.go,
// turn.go). It proposes; the condition of the write decides. After a conflict
// the process reads on to the message that was in the way, which the server names,
// or to the stream's end (barrier, stream.go), and decides anew.
// Hence a claim costs the same whether a thousand items wait or a million. What
// waits is kept by priority and lane (heaps.go): a process that has some lanes
// only never meets the items of the others. The same reading wakes who waits for
// work.
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
//	ack, nack, retry,    nothing: one write
//	 cancel, pause
//	enqueue, one item    nothing: one write
//	enqueue, several     messages of an undecided batch,     the reaper after a minute, or whoever wants
//	 each message        which nobody shows or claims        the id or key after 5 s: batch = undone
//	 the batch           nothing: the decision is made
//	import               as enqueue, several
//	move: marks here     items that nobody claims or changes the reaper after a minute: batch there = undone,
//	 messages there      the same, and as enqueue, several    if it is not decided, and the marks are cleared
//	 the batch there     items that both queues count, and   the same reaper: the batch is decided, so the items
//	                     only the other one hands out         here are dropped
//	 tombstones here     as drop
//	drop, compact:       messages of an item that is gone    the sweep: item, idem, and a day later the tombstone
//	 tombstone
//	record               nothing: one write
//
// A move (move.go) has one moment, the decision in the other queue's stream. Its
// mark is part of the item's state, with the name of that queue and of the batch,
// and the decision is never deleted: a mark that is found years later is still
// answered. Between the decision and the last tombstone both queues count the
// items; only the other one hands them out.
//
// An undo and a late commit race for the batch's subject, which must be empty:
// the first decision stands, and an enqueuer that comes too late begins anew.
//
// If the answer to a write is lost it is repeated. The second try then meets its
// own message as a conflict, and knows it by the nonce.
//
// A connection may be dead with no end of it in sight. It is tried with a ping, and
// a write that stalls ends it (dead.go); what waits for an answer is repeated on the
// next connection.
//
// A claim is handed out when its own message has been read back. Whatever was
// written before it is known then: a queue that was paused takes it back. So what
// Pause reports is true in every process, though none asks before it claims.
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
// Who was beaten to an item chooses for a second by lot among the first eight of the
// highest priority (turn.go), so that processes do not all write for the same one.
// An enqueue reads on before it refuses an id or says that an idempotency key is
// known: the item may be gone, or have ended, in another process.
//
// # Time
//
// There is one clock, that of the stream's leader: every barrier asks for it, and
// the best answer of the last minute is kept beside the monotonic clock. It is
// never ahead of the server's, so no lease is taken early. When another node
// becomes the leader, its clock is the clock; nodes need NTP as any cluster does.
// The clock of the records is that of their stream's leader.
//
// # Durability
//
// The embedded server flushes each write before it confirms it. A server of your
// own does so with sync_interval: always; without it, three replicas in places
// that do not lose power together are what keeps an acknowledgement.
package nats
