// Package mongodb is the queue that many machines share: one database of a
// MongoDB replica set or cluster. It implements spec/claim-protocol.md over
// go.mongodb.org/mongo-driver/v2.
//
// What comes in: the calls of pipeline.Queue, QueueTools, Records and Waker. What
// goes out: documents that every MongoDB tool can read; docs/queues.md describes
// them. It knows nothing of stages and runs.
//
// Correctness rests on two things: a conditional update of a single document is
// atomic, and a unique index has a value once. No transaction, change stream or
// TTL index carries any of it. Every write asks for a majority. The store's clock
// is the primary's: hello tells it, and each process keeps the offset (stages/internal/mongoconn).
//
// # What is where
//
// Leases and events are fields of their item: a state and the reason for it are
// one write. Queues have a document each, with the last sequence and whether they
// are paused; each claim reads it first, so that a pause holds from the moment at
// which it is written. Workers, lanes and limits are records (records.go), kept
// by runtime/cluster. Runs leave receipts and metrics leave by telemetry; neither
// is kept here.
//
// # Claims
//
// Claim finds candidates by an index, updates those that are still as they were
// seen in one call, under a random token of that call, and reads back by that
// token what it got: after a lost answer, too. A single item is taken by one
// findOneAndUpdate. The fencing token is the number of the item's claims, which
// the claim's own write counts, and 20 random bits below: a claim that a
// failover undid, and the one that then gets the same number, differ. The end
// of a lease is no part of the filter: the reaper takes expired leases back, in
// every process that claims.
//
// # The turn of a key
//
// Of the items of one key only the one that has the key's turn may be claimed.
// It has it in its field turn, which a unique index covers: so at most one item
// of a key is claimable or leased, whatever any process does or fails to do. The
// state behind is that of a ready item without the turn, and the claim's filter
// does not see it: a claim need not know of keys at all.
//
// Leaving a lease is one write that ends the item, or makes it behind again, and
// gives up the turn. Then settle gives the turn to the oldest live item, unless
// that is leased: a lease ends with a settle of its own. A process may die between
// the two, and the key would stand still. Therefore the first write also sets mark,
// to a random value, and the second step ends with clearing that mark; the reaper
// settles the keys of all marks that it finds.
// Whatever makes another item the first in its key goes that way: enqueue, import,
// ack, nack, cancel, retry, the reaper, the end of a move. An item that waits for
// its turn or has it becomes gone when it is dropped, with a mark, and is deleted
// after the turn has passed on: in a document that is deleted at once there would
// be nothing to find.
//
// Why settling twice at a time is harmless: giving the turn is conditional on
// the item being behind, and the index refuses it while another has it. Taking
// it from a younger item is conditional on that item being ready, so never from
// a worker. Whoever loses looks again. If a process dies after taking the turn
// away, nobody has it, and the mark that made it settle is still there. Why a
// mark is not cleared too early: whoever clears it has settled after it was set,
// and clears only its own value; one that was set meanwhile has another. It is
// cleared in the call that gives the turn even if the item was no longer behind
// by then: whoever took it out of that state gave it the turn, or left a mark.
//
// A retried item is older than those that wait, and a younger one may have the turn
// and could be claimed. So retry has two steps (retry.go). The first makes the item
// live while it is still dead: it is recalled, whoever settles the key counts it, and
// with it goes a mark. It becomes ready in the write that gives it the turn, after
// that was taken from a younger one; or, if another has the turn that is older or
// leased, behind that. Before either, the items are counted as overtaken that somebody
// may have found to be next before: a process that has stood still since then cannot
// give them the turn any more. spec/claimmodel has all of this as a world of its own.
//
// # All or none
//
// An enqueue or import of several items first inserts them as staged, which
// nobody sees. The insert of one document into the collection batches, with the
// batch's id as its unique _id, decides that they are to be. Then they become
// visible in their order. There is only one decision, whoever is faster, and a
// writer that comes too late is told so. Between decision and visibility a reader
// may see the first items of a batch without the last. The writer does not return
// before all are visible, unless that cannot be done within a minute.
//
// A move has two documents for each item, and the same decision. The items are
// frozen: their field batch is set, and ready ones become behind, so that no claim
// finds them; they keep their key's turn, and settle gives it to nobody else while
// a frozen item is the first. Copies are staged in the other queue, whose unique
// indexes refuse ids and idempotency keys that it has. After the decision the
// copies appear, and then the originals go.
//
// # What a death leaves, and who repairs it
//
// The reaper is that of any process that claims from the queue (of a move: from
// either of the two), and Reap. It comes round every quarter of a lease; what is
// a minute old and has not grown since is abandoned.
//
//	died after                            left                          repaired by
//	a claim's write                       a lease                       the reaper, at its end
//	a single claim, before its judgement  an attempt too many, or       nobody: condemned items
//	                                      expired, which it then is     have no use for it
//	a lease's end, before the turn        a mark                        the reaper: settle, clear
//	taking a turn from a younger item     the mark of who settled       the reaper
//	gone, before the delete               a mark                        the reaper: settle, delete
//	staging or freezing                   a batch without a decision    the reaper, or an enqueue that
//	                                                                    meets it: decides against it,
//	                                                                    deletes copies, thaws originals
//	the decision                          batches has it                the reaper: carries it out
//	an original was thawed or removed     a mark                        the reaper
//	an expired idempotency key was freed  nothing: the key is free      -
//	the key of a retried item was refused the item is dead still        whoever retries again
//	a retried item was recalled           a mark                        the reaper: it makes it ready
//	a record's write                      the record, until its end     its time to live
//
// Cancel, Pause, Retry and the deletes of Drop and Compact are one conditional
// write for each item: a death between two of them leaves some done and some not.
package mongodb
