// Command wiretest is a MongoDB server for tests: it keeps everything in memory
// and, if asked to, in a journal that survives its kill, and knows the commands
// that the queue driver sends, no others.
//
// What comes in: OP_MSG messages of any MongoDB driver, over loopback. What goes
// out: the answers. Matching, updating, sorting and unique indexes are those of
// github.com/256dpi/lungo/mongokit, an independent implementation of MongoDB's
// semantics; what is ours is the framing, the commands, the journal (journal.go),
// the log behind change streams (streams.go), the indexes (index.go) and the choice
// of the documents that mongokit looks at (plan.go).
//
//	wiretest [-skew 1h] [-listen 127.0.0.1:27017] [-journal FILE] [-tls PAIR.pem] [-no-streams]
//
// It listens on a free port of 127.0.0.1 if it is not told one, prints the port,
// and ends with its standard input, so that it never outlives the test that
// started it.
//
// It is a replica set of one that commits at once: there is no failover here,
// no write conflict, no query planner, no disk. What depends on those must be
// tested against a real server (WAYBILL_TEST_MONGODB). It is a module of its own
// because lungo brings the first generation of the MongoDB driver along.
package main
