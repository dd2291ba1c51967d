package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/waybill-dev/waybill/pipeline"
)

// migration leads from one schema version to the next.
type migration struct {
	ddl string
	// fill, if it is set, does afterwards what SQL cannot say.
	fill func(ctx context.Context, c *sql.Conn) error
}

// migrations returns the steps: the i-th leads from version i to i+1, the number
// in PRAGMA user_version. Released ones never change.
func migrations() []migration {
	return []migration{{ddl: version1}, {ddl: version2, fill: fillLanes}}
}

// version1. Payloads are apart because SQLite rewrites a whole row on each
// update, and an item's row changes with each claim. Partial indexes keep ended
// items out of the way of claims.
const version1 = `
CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES('epoch', 0), ('dropped', 0); -- the highest token of a dropped item
CREATE TABLE queues(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE items(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  queue INTEGER NOT NULL REFERENCES queues(id),
  id TEXT NOT NULL,
  key TEXT,
  idem TEXT,
  state INTEGER NOT NULL DEFAULT 0, -- 0 ready, 1 leased, 2 done, 3 dead
  hold INTEGER NOT NULL DEFAULT 0,  -- of ready ones: 0 claimable, 1 delayed, 2 behind its key
  priority INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  expired INTEGER NOT NULL DEFAULT 0, -- of ready ones: 1 the last lease ran out; of leased ones: and no attempt was left
  max_attempts INTEGER NOT NULL,
  token INTEGER NOT NULL DEFAULT 0,
  owner TEXT NOT NULL DEFAULT '',
  enqueued INTEGER NOT NULL,        -- times are Unix milliseconds, 0 is none
  not_before INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  lease_until INTEGER NOT NULL DEFAULT 0,
  ended INTEGER NOT NULL DEFAULT 0,
  result TEXT NOT NULL DEFAULT '',
  digest TEXT NOT NULL DEFAULT '',
  traceparent TEXT NOT NULL DEFAULT '',
  tracestate TEXT NOT NULL DEFAULT '');
CREATE TABLE payloads(seq INTEGER PRIMARY KEY, meta TEXT, body BLOB);
CREATE TABLE events(
  n INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  what TEXT NOT NULL,
  kind TEXT NOT NULL, code TEXT NOT NULL, stage TEXT NOT NULL, error TEXT NOT NULL);
CREATE UNIQUE INDEX items_id ON items(queue, id);
CREATE UNIQUE INDEX items_idem ON items(queue, idem) WHERE idem IS NOT NULL;
CREATE INDEX items_claimable ON items(queue, priority DESC, seq) WHERE state=0 AND hold=0;
CREATE INDEX items_held ON items(queue, hold, not_before) WHERE state=0 AND hold>0;
CREATE INDEX items_deadline ON items(queue, deadline) WHERE state=0 AND hold=1 AND deadline>0;
CREATE INDEX items_leased ON items(queue, lease_until) WHERE state=1;
CREATE INDEX items_key ON items(queue, key, state, hold, seq) WHERE key IS NOT NULL AND state<2;
CREATE INDEX items_state ON items(queue, state, seq);
CREATE INDEX events_item ON events(seq, n);
`

// version2 adds lanes, cancelled items, scopes and ends of idempotency keys,
// paused queues and records, and refuses what version 1 would get wrong. It also takes the index of all states away: two
// of its entries changed with each claim and each acknowledgement, while those
// that remain count as well.
const version2 = `
ALTER TABLE queues ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN lane INTEGER;                          -- pipeline.LaneOf(key); without a key NULL
ALTER TABLE items ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN idem_held INTEGER NOT NULL DEFAULT 0;   -- 1: the queue knows the item by its idempotency key
ALTER TABLE items ADD COLUMN idem_active INTEGER NOT NULL DEFAULT 0; -- 1: until it has ended
ALTER TABLE items ADD COLUMN idem_until INTEGER NOT NULL DEFAULT 0;
UPDATE items SET idem_held=1 WHERE idem IS NOT NULL;
DROP INDEX items_idem;
CREATE UNIQUE INDEX items_idem ON items(queue, idem) WHERE idem_held=1;
DROP INDEX items_claimable;
CREATE INDEX items_free ON items(queue, priority DESC, seq) WHERE state=0 AND hold=0 AND lane IS NULL;
CREATE INDEX items_keyed ON items(queue, priority DESC, seq) WHERE state=0 AND hold=0 AND lane IS NOT NULL;
CREATE INDEX items_lane ON items(queue, lane, priority DESC, seq) WHERE state=0 AND hold=0 AND lane IS NOT NULL;
DROP INDEX items_state;
CREATE INDEX items_ended ON items(queue, state, seq) WHERE state>=2;
CREATE TABLE records(
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL,
  revision INTEGER NOT NULL,
  until INTEGER NOT NULL) WITHOUT ROWID; -- Unix milliseconds, 0 is for ever
CREATE INDEX records_until ON records(until) WHERE until>0;
INSERT INTO meta VALUES('revision', 0); -- the last one of any record
-- Processes of version 1 that are still open know no lanes: what they enqueued with a key would be anybody's.
CREATE TRIGGER items_lanes BEFORE INSERT ON items WHEN NEW.key IS NOT NULL AND NEW.lane IS NULL
BEGIN SELECT RAISE(ABORT, 'this file was brought to a newer schema version; stop the processes of the older release'); END;
`

// fillLanes gives the items with a key their lane.
func fillLanes(ctx context.Context, c *sql.Conn) error {
	rows, err := c.QueryContext(ctx, `SELECT DISTINCT key FROM items WHERE key IS NOT NULL`)
	if err != nil {
		return err
	}
	var keys []string
	err = eachRow(rows, func(r *sql.Rows) error {
		var key string
		err := r.Scan(&key)
		keys = append(keys, key)
		return err
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	if _, err := c.ExecContext(ctx, `CREATE TEMP TABLE lanes(key TEXT PRIMARY KEY, lane INTEGER NOT NULL) WITHOUT ROWID`); err != nil {
		return err
	}
	add, err := c.PrepareContext(ctx, `INSERT INTO lanes VALUES(?,?)`)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if _, err := add.ExecContext(ctx, key, pipeline.LaneOf(key)); err != nil {
			return errors.Join(err, add.Close())
		}
	}
	if err := add.Close(); err != nil {
		return err
	}
	_, err = c.ExecContext(ctx, `UPDATE items SET lane=(SELECT lane FROM lanes WHERE lanes.key=items.key) WHERE key IS NOT NULL;
		DROP TABLE temp.lanes`)
	return err
}
