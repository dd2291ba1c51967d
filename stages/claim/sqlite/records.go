package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// maxRecord bounds a record's value.
const maxRecord = 64 << 10

// liveRecord is the condition of a record that has not ended. Parameter: now.
const liveRecord = ` (until=0 OR until>?)`

// Records returns the live records whose name begins with prefix.
func (q *Queue) Records(ctx context.Context, prefix string) ([]pipeline.Record, time.Time, error) {
	now := q.now().UnixMilli()
	// Names are ASCII: what begins with prefix is before the prefix and its last byte.
	rows, err := q.reads.QueryContext(ctx, `SELECT name, value, revision, until FROM records WHERE name>=? AND name<? AND`+liveRecord+` ORDER BY name`,
		prefix, prefix+"\x7f", now)
	var out []pipeline.Record
	if err == nil {
		err = eachRow(rows, func(r *sql.Rows) error {
			var rec pipeline.Record
			var until int64
			err := r.Scan(&rec.Name, &rec.Value, &rec.Revision, &until)
			rec.Until = instant(until)
			out = append(out, rec)
			return err
		})
	}
	if err != nil {
		return nil, time.Time{}, q.fail("records", err)
	}
	return out, instant(now), nil
}

// WriteRecord stores a value on condition of the record's revision. Revisions
// come from one counter for the whole file, so that a name never sees one twice.
func (q *Queue) WriteRecord(ctx context.Context, name string, value []byte, rev int64, ttl time.Duration) (int64, error) {
	if err := checkRecord(name, value, ttl); err != nil {
		return 0, err
	}
	if value == nil {
		value = []byte{} // nil is NULL
	}
	var next int64
	err := q.writes.do(ctx, true, func(t *tx) error {
		if err := t.expect(name, rev); err != nil {
			return err
		}
		// What has ended is in nobody's way, but it must not pile up.
		if _, err := t.exec(`DELETE FROM records INDEXED BY records_until WHERE until>0 AND until<=?`, t.now); err != nil {
			return err
		}
		err := t.query(func(r *sql.Rows) error { return r.Scan(&next) }, `UPDATE meta SET value=value+1 WHERE name='revision' RETURNING value`)
		if err != nil {
			return err
		}
		until := int64(0)
		if ttl > 0 {
			until = after(t.now, ttl)
		}
		_, err = t.exec(`INSERT OR REPLACE INTO records(name, value, revision, until) VALUES(?,?,?,?)`, name, value, next, until)
		return err
	})
	if err != nil {
		return 0, q.fail("write record", recordError(name, err))
	}
	return next, nil
}

// DeleteRecord ends a record on condition of its revision.
func (q *Queue) DeleteRecord(ctx context.Context, name string, rev int64) error {
	err := q.writes.do(ctx, true, func(t *tx) error {
		if err := t.expect(name, rev); err != nil {
			return err
		}
		_, err := t.exec(`DELETE FROM records WHERE name=?`, name)
		return err
	})
	return q.fail("delete record", recordError(name, err))
}

// expect is the condition of every write: the record's revision, 0 if it is
// absent or has ended.
func (t *tx) expect(name string, rev int64) error {
	var is int64
	err := t.query(func(r *sql.Rows) error { return r.Scan(&is) }, `SELECT revision FROM records WHERE name=? AND`+liveRecord, name, t.now)
	if err == nil && is != rev {
		err = pipeline.ErrConflict
	}
	return err
}

func recordError(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("record %q: %w", name, err)
}

func checkRecord(name string, value []byte, ttl time.Duration) error {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return r != '.' && r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}) {
			return pipeline.Fail("bad-record", "record %q: want parts of letters, digits, \".\", \"_\", \"-\", separated by \"/\"", name)
		}
	}
	if len(value) > maxRecord {
		return pipeline.Fail("bad-record", "record %q: the value has %d bytes, at most %d are allowed", name, len(value), maxRecord)
	}
	if ttl < 0 {
		return pipeline.Fail("bad-record", "record %q: a time to live of %s is over already", name, ttl)
	}
	return nil
}
