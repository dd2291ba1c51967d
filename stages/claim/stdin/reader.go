package stdin

import (
	"io"
	"sync"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

const (
	// ahead is how many lines wait for a free slot. It is what the engine claims
	// at a time.
	ahead = 32
	// lookAgain is how soon a claim that found nothing is worth repeating: the
	// producer tells nobody.
	lookAgain = 50 * time.Millisecond
)

// reader reads lines in a goroutine of its own, because a read of standard
// input waits for the producer and nothing can end it. Such a read may outlive
// Close; it then ends with the process.
type reader struct {
	in     io.Reader
	format string
	lines  chan read
	closed chan struct{}
	start  sync.Once
}

type read struct {
	rec *local.Record
	err error
}

var _ local.Records = (*reader)(nil)

func newReader(in io.Reader, format string) *reader {
	return &reader{in: in, format: format, lines: make(chan read, ahead-1), closed: make(chan struct{})}
}

// run reads until the input ends or nobody wants more. An error of the input is
// the last thing that is handed over, again and again.
func (r *reader) run() {
	defer close(r.lines)
	for rec, err := range local.Lines(r.in, "stdin", r.format) {
		if err != nil {
			err = pipeline.Fail("bad-input", "stdin: %w", err)
		}
		for again := true; again; again = err != nil {
			select {
			case r.lines <- read{rec, err}:
			case <-r.closed:
				return
			}
		}
	}
}

// Next begins to read at the first call, so that a pipeline that cannot start
// takes nothing from its producer.
func (r *reader) Next() (*local.Record, error) {
	r.start.Do(func() { go r.run() })
	select {
	case got, ok := <-r.lines:
		if !ok {
			return nil, io.EOF
		}
		return got.rec, got.err
	default:
		return nil, nil
	}
}

// Coming is 1 until the input has ended: nobody knows how much there is.
func (r *reader) Coming() (int64, time.Time) { return 1, time.Now().Add(lookAgain) }

func (r *reader) Close() error {
	close(r.closed)
	return nil
}
