package main

// mutant is a driver without one guard.
type mutant struct {
	guard, driver string
	tests         []string // one of them fails
	changes       []change
}

// change replaces a text of one of the driver's files. The text is there once.
type change struct{ file, old, new string }

// conformance names tests of the suite that every driver runs.
func conformance(names ...string) []string {
	for i, name := range names {
		names[i] = "TestConformance/" + name
	}
	return names
}

// table lists all mutants, guard by guard.
func table() []mutant {
	var out []mutant
	for _, m := range [...]func() []mutant{token, holder, attempts, clock, ready, renewal, turn} {
		out = append(out, m()...)
	}
	return out
}

// token: every write of a worker names the token of its claim.
func token() []mutant {
	tests := conformance("stale writes fail")
	return []mutant{
		{"token", "sqlite", tests, []change{
			{"finish.go", "AND token=? AND state=1`\n\nconst findLease", "AND ?>=0 AND state=1`\n\nconst findLease"},
		}},
		{"token", "mongodb", tests, []change{
			{"document.go", `"queue": q.name, "claims": claims, "salt": salt}`, `"queue": q.name, "claims": bson.M{"$gte": claims * 0, "$ne": -1 - salt}}`},
		}},
		{"token", "nats", tests, []change{
			{"finish.go", "x.st.State == pipeline.StateLeased && x.st.Token == uint64(it.Token)", "x.st.State == pipeline.StateLeased"},
		}},
	}
}

// holder: every write of a worker asks that the item is still leased.
func holder() []mutant {
	tests := conformance("stale writes fail", "acknowledging again", "cancel what is leased")
	return []mutant{
		{"holder", "sqlite", tests, []change{
			{"finish.go", "AND token=? AND state=1`\n\nconst findLease", "AND token=?`\n\nconst findLease"},
		}},
		{"holder", "mongodb", tests, []change{
			{"document.go", `f["state"] = stateLeased`, `f["state"] = bson.M{"$ne": ""}`},
		}},
		{"holder", "nats", tests, []change{
			{"finish.go", "x.st.State == pipeline.StateLeased && x.st.Token == uint64(it.Token)", "x.st.Token == uint64(it.Token)"},
		}},
	}
}

// attempts: the write of the claim counts the attempt.
func attempts() []mutant {
	tests := conformance("leases expire", "expired attempts are used up")
	return []mutant{
		{"attempts in the claim", "sqlite", tests, []change{
			{"claim.go", "nextAttempts = `attempts+NOT` + condemned", "nextAttempts = `attempts`"},
		}},
		{"attempts in the claim", "mongodb", tests, []change{
			{"claim.go", `bson.M{"claims": 1, "attempts": 1}}`, `bson.M{"claims": 1}}`},
			{"claim.go", "\td.Attempts--\n\tv := q.judge", "\tv := q.judge"},
			{"claim.go", `bson.M{"attempts": v.attempt() - 1}`, `bson.M{"attempts": 0}`},
			{"verdict.go", `bson.M{"claims": 1, "attempts": v.attempt()}`, `bson.M{"claims": 1}`},
		}},
		{"attempts in the claim", "nats", tests, []change{
			{"claim.go", "\t\tnext.Attempts++\n", ""},
		}},
	}
}

// clock: the time is the store's, and not that of the worker's machine. In the
// suite that is one that the tests move; the servers' own are in the drivers'
// tests.
func clock() []mutant {
	return []mutant{
		{"the store's clock", "sqlite", conformance("a worker whose clock is wrong"), []change{
			{"writer.go", "now: w.clock().UnixMilli()", "now: time.Now().UnixMilli()"},
		}},
		{"the store's clock", "mongodb", []string{"TestServerClock"}, []change{
			{"store.go", "NewDateTimeFromTime(s.conn.Now())", "NewDateTimeFromTime(time.Now())"},
		}},
		{"the store's clock", "nats", []string{"TestClock"}, []change{
			{"clock.go", "return c.server.Add(time.Since(c.heard)).UnixMilli()", "return time.Now().UnixMilli()"},
		}},
	}
}

// ready: a claim takes only what is ready at the moment of its write.
func ready() []mutant {
	tests := conformance("claims are atomic", "keys under load")
	return []mutant{
		{"claim only if ready", "sqlite", tests, []change{
			{"pick.go", "items INDEXED BY items_free WHERE queue=?1 AND state=0 AND hold=0 AND lane IS NULL", "items WHERE queue=?1 AND state<2 AND hold=0 AND lane IS NULL"},
		}},
		{"claim only if ready", "mongodb", tests, []change{
			{"verdict.go", `"state": stateReady, "attempts": v.attempts, "expired": v.expired, "at": bson.M{"$lte": now},`, ""},
		}},
		{"claim only if ready", "nats", tests, []change{
			{"claim.go", "return mine && x.ready() &&", "return mine && !x.gone &&"},
		}},
	}
}

// renewal: a lease that was lost is not renewed.
func renewal() []mutant {
	tests := conformance("renewal", "stale writes fail")
	return []mutant{
		{"renewal's condition", "sqlite", tests, []change{
			{"finish.go", "SET lease_until=?` + onLease", "SET lease_until=? WHERE queue=? AND id=? AND ?>=0`"},
		}},
		{"renewal's condition", "mongodb", tests, []change{
			{"finish.go", "SetFilter(q.onLease(it)).SetUpdate(until)", `SetFilter(bson.M{"_id": q.docID(it.ID)}).SetUpdate(until)`},
		}},
		{"renewal's condition", "nats", tests, []change{
			{"finish.go", "if !holds(x, items[i]) {", "if items[i] == nil {"},
		}},
	}
}

// turn: an item of a key is claimed only when it has the key's turn.
func turn() []mutant {
	tests := conformance("one of a key at a time, in order", "keys under load", "keys after retry and drop")
	return []mutant{
		{"the key's turn", "sqlite", tests, []change{
			{"enqueue.go", "AND NOT EXISTS (SELECT 1 FROM items` + ofKey + ` AND state=1)`", "AND NOT EXISTS (SELECT 1 FROM items` + ofKey + ` AND state=9)`"},
		}},
		{"the key's turn", "mongodb", tests, []change{
			{"keys.go", `bson.M{"state": stateReady, "turn": key}`, `bson.M{"state": stateReady}`},
		}},
		{"the key's turn", "nats", tests, []change{
			{"claim.go", "mine := x.key == nil || x.key.leased == 0 && x.key.head() == x", "mine := true"},
			{"turn.go", "return x.key == nil || x.key.leased == 0 && !x.key.busy && x.key.head() == x", "return true"},
		}},
	}
}
