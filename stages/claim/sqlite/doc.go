// Package sqlite is the embedded queue: one file, no server, several processes.
// It implements spec/claim-protocol.md over modernc.org/sqlite, which is SQLite
// translated to Go.
//
// What comes in: the calls of pipeline.Queue, QueueTools and Records. What goes
// out: a SQLite file that every SQLite tool can open. It knows nothing of stages
// and runs.
//
// Writes go through one goroutine per opened queue (writer.go). It gathers all
// callers that wait into one transaction, so that the price of an fsync is
// shared; each caller still gets its own answer. Reads use connections of
// their own and see the last commit. Other processes are kept apart by BEGIN
// IMMEDIATE and a busy timeout.
//
// What is durable when: an enqueue, an acknowledgement, what operators change and
// a record are on disk when the call returns (synchronous=FULL). A claim, a renewal, a
// release and the reaper's work are only handed to the operating system
// (synchronous=NORMAL): they survive the death of every process and may be
// undone by a power cut, which kills the holders of the leases too. The item is
// then simply ready again. Its fencing token must not be given out twice even
// so, therefore each opened queue starts its tokens above a number that it
// made durable first (see Queue.begin).
//
// The clock is the store's: it is read once per transaction, inside the write
// lock. All processes on one file are on one machine (WAL needs shared memory),
// so this is one clock.
//
// A ready item is claimable when its column hold is 0. The other values say
// why it is not: 1, it waits for its time; 2, an older item of its key has not
// ended. The column is kept in step inside each transaction, so that a claim
// is a walk down a partial index, however many items wait or have ended. Items
// without a key have one such index, those with a key have two, the second by
// lane: a claim for some lanes merges one walk per lane (pick.go) and never
// sees what waits in others.
//
// The schema has versions (migrations.go). An older file is brought up to date by
// whoever opens it first, in one transaction; a program that does not know the
// new version cannot open it and, if it is running, claims nothing more.
//
// Every call is one transaction, so a process that dies leaves nothing half-way.
// Only Compact has several, each of which is whole by itself.
package sqlite
