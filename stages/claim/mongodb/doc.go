// Package mongodb is the queue that many machines share: one database of a
// MongoDB replica set or cluster. It implements spec/claim-protocol.md over
// go.mongodb.org/mongo-driver/v2.
//
// What comes in: the calls of pipeline.Queue. What goes out: documents that
// every MongoDB tool can read; docs/queues.md describes them. It knows nothing
// of stages and runs.
//
// Correctness rests on two things: a conditional update of a single document is
// atomic, and a unique index has a value once. There is no transaction, change
// stream or TTL index. Every write asks for a majority. The store's clock is
// the primary's: hello tells it, and each process keeps the offset (clock.go).
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
// gives up the turn. Then settle gives the turn to the oldest ready item. A
// process may die between the two, and the key would stand still. Therefore the
// first write also sets mark, to a random value, and the second step ends with
// clearing that mark; the reaper settles the keys of all marks that it finds.
// Whatever makes another item the first in its key goes that way: enqueue, ack,
// nack, retry, the reaper. An item that is dropped while it has the turn, or a
// mark, becomes gone, with a mark, and is deleted after the turn has passed on: in
// a document that is deleted at once there would be nothing to find.
//
// Why settling twice at a time is harmless: giving the turn is conditional on
// the item being behind, and the index refuses it while another has it. Taking
// it from a younger item is conditional on that item being ready, so never from
// a worker. Whoever loses looks again. If a process dies after taking the turn
// away, nobody has it, and the mark that made it settle is still there. Why a
// mark is not cleared too early: whoever clears it has settled after it was set,
// and clears only its own value; one that was set meanwhile has another.
//
// # All or none
//
// An enqueue of several items first inserts them as staged, which nobody sees.
// The insert of one document into the collection batches, with the batch's id as
// its unique _id, decides that they are to be. Then they become visible in their
// order. If the writer dies before the decision, a reaper inserts the opposite
// decision after a minute and deletes them; if it dies after it, the reaper makes
// them visible. There is only one decision, whoever is faster, and a writer that
// comes too late is told so. Between decision and visibility a reader may see the
// first items of a batch without the last.
package mongodb
