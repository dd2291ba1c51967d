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

// checkSchema refuses files that are not ours or are newer, and brings older
// ones up to date.
func (w *writer) checkSchema(ctx context.Context, create bool) error {
	app, version, tables, err := schemaOf(ctx, w.conn)
	switch {
	case err != nil:
		return err
	case app == 0 && version == 0 && tables == 0:
		if !create {
			return errEmpty
		}
		// Deleted pages can be given back piece by piece, see Compact. SQLite
		// takes this only before the first table.
		if _, err := w.conn.ExecContext(ctx, "PRAGMA auto_vacuum=INCREMENTAL"); err != nil {
			return err
		}
	case app != applicationID:
		return pipeline.Fail("not-a-queue", "the file is a SQLite database of another program").
			WithHint("name a file that does not exist yet")
	case version == len(migrations()):
		return nil
	}
	return w.migrate(ctx)
}

// migrate runs what is missing in one transaction. Another process may have
// been faster, so the version is read again under the write lock.
func (w *writer) migrate(ctx context.Context) error {
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := w.stepUp(ctx)
	if err == nil {
		w.point("migrate: before the commit")
		_, err = w.conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		_, undo := w.conn.ExecContext(ctx, "ROLLBACK")
		return errors.Join(err, undo)
	}
	w.point("migrate: committed")
	return nil
}

func (w *writer) stepUp(ctx context.Context) error {
	_, version, _, err := schemaOf(ctx, w.conn)
	if err != nil {
		return err
	}
	steps := migrations()
	if version > len(steps) {
		return pipeline.Fail("newer-queue", "the file has schema version %d, this program knows up to %d", version, len(steps)).
			WithHint("use the release of waybill that wrote it, or a newer one")
	}
	for _, step := range steps[version:] {
		if _, err := w.conn.ExecContext(ctx, step.ddl); err != nil {
			return err
		}
		if step.fill == nil {
			continue
		}
		if err := step.fill(ctx, w.conn); err != nil {
			return err
		}
	}
	_, err = w.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, len(steps)))
	return err
}

func schemaOf(ctx context.Context, c *sql.Conn) (app, version, tables int, err error) {
	err = c.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).Scan(&app, &version, &tables)
	return app, version, tables, err
}
