package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/durable"
	driver "modernc.org/sqlite"
)

// Primary result codes of https://www.sqlite.org/rescode.html.
const (
	codeBusy     = 5
	codeReadOnly = 8
	codeIOErr    = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

// codeNoShared is an extended one, SQLITE_IOERR_SHMSIZE: the file that processes
// share beside the WAL could not grow, which is how a full disk meets an open.
const codeNoShared = codeIOErr | 19<<8

// fail turns an error of the store into a typed one that names the file; nil
// stays nil, and so do errors that are typed already or the caller's own.
func (q *Queue) fail(what string, err error) error {
	var typed *pipeline.Error
	if err == nil || errors.As(err, &typed) || errors.Is(err, context.Canceled) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, pipeline.ErrLeaseLost) ||
		errors.Is(err, pipeline.ErrConflict) {
		return err
	}
	kind, code, hint := classify(err)
	return &pipeline.Error{Kind: kind, Code: code, Hint: hint, Err: fmt.Errorf("%s: queue %q: %s: %w", q.url, q.name, what, err)}
}

func classify(err error) (kind pipeline.Kind, code, hint string) {
	var e *driver.Error
	primary, extended := 0, 0
	if errors.As(err, &e) {
		primary, extended = e.Code()&0xff, e.Code()
	}
	switch {
	case primary == codeBusy:
		return pipeline.Unavailable, "queue-busy", "another process holds the write lock for more than 10 s"
	case primary == codeFull, extended == codeNoShared, durable.NoRoom(err):
		return pipeline.Unavailable, durable.CodeDiskFull, "make room; nothing was half-written"
	case primary == codeReadOnly, errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return pipeline.Permanent, "read-only", "the user needs the right to write the file and its folder"
	case primary == codeCantOpen:
		return pipeline.Permanent, "cannot-open", "the file and its folder must be there and writable"
	case primary == codeNotADB:
		return pipeline.Permanent, "not-a-queue", "the file is not a SQLite database; name another"
	case primary == codeCorrupt:
		return pipeline.Permanent, "corrupt", "restore the file, or salvage it with: sqlite3 FILE .recover"
	case primary == codeIOErr:
		return pipeline.Unavailable, "io-error", "the disk refuses; see the system's log"
	case errors.Is(err, errClosed):
		return pipeline.Cancelled, "closed", ""
	}
	return pipeline.Unavailable, "queue-failed", ""
}
