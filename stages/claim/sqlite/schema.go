package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/waybill-dev/waybill/pipeline"
)

// applicationID marks our files ("wayb"), see PRAGMA application_id.
const applicationID = 0x77617962

// errEmpty: the file has no schema, and nobody asked for one.
var errEmpty = errors.New("the file has no schema")

// migrations[i] leads from version i to i+1, the number in PRAGMA user_version.
// Released ones never change.
//
// Payloads are apart because SQLite rewrites a whole row on each update, and an
// item's row changes with each claim. Partial indexes keep ended items out of
// the way of claims.
var migrations = [...]string{`
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
`}

// checkSchema refuses files that are not ours or are newer, and brings older
// ones up to date.
func checkSchema(ctx context.Context, c *sql.Conn, create bool) error {
	app, version, tables, err := schemaOf(ctx, c)
	switch {
	case err != nil:
		return err
	case app == 0 && version == 0 && tables == 0 && !create:
		return errEmpty
	case app == applicationID && version == len(migrations):
		return nil
	case app != applicationID && (app != 0 || version != 0 || tables != 0):
		return pipeline.Fail("not-a-queue", "the file is a SQLite database of another program").
			WithHint("name a file that does not exist yet")
	case version > len(migrations):
		return pipeline.Fail("newer-queue", "the file has schema version %d, this program knows up to %d", version, len(migrations)).
			WithHint("use the release of waybill that wrote it, or a newer one")
	}
	return migrate(ctx, c)
}

// migrate runs what is missing in one transaction. Another process may have
// been faster, so the version is read again under the write lock.
func migrate(ctx context.Context, c *sql.Conn) error {
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	_, version, _, err := schemaOf(ctx, c)
	for v := version; v < len(migrations) && err == nil; v++ {
		_, err = c.ExecContext(ctx, migrations[v])
	}
	if err == nil {
		_, err = c.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", applicationID, len(migrations)))
	}
	if err != nil {
		_, undo := c.ExecContext(ctx, "ROLLBACK")
		return errors.Join(err, undo)
	}
	return nil
}

func schemaOf(ctx context.Context, c *sql.Conn) (app, version, tables int, err error) {
	err = c.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).Scan(&app, &version, &tables)
	return app, version, tables, err
}
