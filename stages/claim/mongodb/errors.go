package mongodb

import (
	"fmt"

	"github.com/waybill-dev/waybill/pipeline"
)

// fail gives an error of the store its kind and hint, and names the queue and what
// it was about to do; see mongoconn.Conn.Fail.
func (q *Queue) fail(what string, err error) error {
	return q.conn.Fail(fmt.Sprintf("queue %q: %s", q.name, what), err)
}

// lost adds the item to ErrLeaseLost.
func (q *Queue) lost(it *pipeline.Item) error {
	return fmt.Errorf("queue %q: item %s, attempt %d: %w", q.name, it.ID, it.Attempt, pipeline.ErrLeaseLost)
}
