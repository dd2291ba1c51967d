// Package cluster makes the processes that run on one queue act together: who is
// there, which key lanes each may claim, how much of a stage all of them do at a
// time, and which version of the pipeline runs. There is no leader and no
// election.
//
// What comes in is pipeline.Records, conditional writes on small shared values,
// and what the engine has in hand; what goes out is a set of lanes, permits, and
// the word to stop. Everything rests on one thing, the session:
//
//	session   a record with a time to live that its process renews (session.go)
//	worker    what the session's record says: host, pipeline, counters (worker.go)
//	lanes     one table, lane by session (lanes.go)
//	permits   one table per limit, how many each session holds (permits.go)
//	rate      one record per limit, a GCRA whose slots are reserved in chunks (rate.go)
//	version   one record per pipeline, the version that runs (version.go)
//
// What a session holds is valid as long as the session is. A session that has
// ended never comes back: its name is not used again, and whoever takes something
// over from it first writes to its record under the condition that it is absent,
// so that no late renewal can succeed. So nothing has to be counted down when a
// process dies, and nothing rests on how fresh a reading is: only on conditional
// writes. A process stops using what it holds before its session ends, counted on
// its own monotonic clock from before the last renewal began. That these clocks
// run at about the same rate is all that is assumed of them.
//
// A process that drains says so in its record and gives its lanes up as its items end;
// one whose calls do not return leaves its session to end in the store by itself, so
// that nobody has their permits before.
//
// A write whose answer was lost may still come into force later. Therefore what
// was given up in such a write is not used again until another write on the same
// record has succeeded.
//
// Record names (parts escaped, see part):
//
//	workers/QUEUE/SESSION                       the worker; TTL
//	lanes/QUEUE/table                           who holds which lane
//	versions/QUEUE/PIPELINE                     the version that runs
//	limits/QUEUE/PIPELINE/STAGE/KEY/permits     who holds how many permits; TTL
//	limits/QUEUE/PIPELINE/STAGE/KEY/rate        when the next call may begin; TTL
//
// The package knows no driver, no stage and nothing of the engine.
package cluster
