package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/waybill-dev/waybill/pipeline"
)

// exportPage bounds what Export holds in memory: bodies are up to 1 MiB.
const exportPage = 32

// Export calls yield for each whole entry, oldest first. It reads page by page,
// each as of one moment: what changes meanwhile is exported as it was or as it
// is.
func (q *Queue) Export(ctx context.Context, f pipeline.Filter, yield func(pipeline.Entry) error) error {
	left, last := f.Limit, int64(0)
	for {
		f.Limit = exportPage
		if left > 0 {
			f.Limit = min(left, exportPage)
		}
		page, err := q.page(ctx, f, &last)
		if err != nil {
			return q.fail("export", err)
		}
		for _, e := range page {
			if err := yield(e); err != nil {
				return err
			}
		}
		if left -= len(page); len(page) < f.Limit || left == 0 {
			return nil
		}
	}
}

// page reads whole entries behind the last one, and moves it on.
func (q *Queue) page(ctx context.Context, f pipeline.Filter, last *int64) ([]pipeline.Entry, error) {
	t, err := q.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer t.Rollback()
	where, args := q.where(f, q.now(), fmt.Sprintf(` AND i.seq>%d`, *last))
	return q.wholeEntries(ctx, t, where, args, last)
}

// wholeEntries reads entries with bodies and history; last becomes the place of
// the last one.
func (q *Queue) wholeEntries(ctx context.Context, t *sql.Tx, where string, args []any, last *int64) ([]pipeline.Entry, error) {
	rows, err := t.QueryContext(ctx, `SELECT `+entryColumns+`, p.body FROM items i JOIN payloads p USING(seq)`+where, args...)
	if err != nil {
		return nil, err
	}
	var out []pipeline.Entry
	var seqs []int64
	err = eachRow(rows, func(r *sql.Rows) error {
		var body []byte
		seq, e, err := q.scanEntry(r, &body)
		e.Body = body
		out, seqs = append(out, e), append(seqs, seq)
		return err
	})
	for i := range out {
		if err != nil {
			break
		}
		*last = seqs[i]
		out[i].History, err = history(ctx, t, seqs[i])
		if n := len(out[i].History); n > 0 && out[i].State == pipeline.StateDead {
			out[i].Error = out[i].History[n-1].Error
		}
	}
	return out, err
}
