package plugins

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/host"
	"github.com/waybill-dev/waybill/plugins/internal/k1"
)

// maxChildren bounds the items that a kernel may make of one.
const maxChildren = 10_000

// metaPort is the metadata that names the port through which a kernel sent the
// item, for the `when` of later stages.
const metaPort = "port"

// input makes the record that the kernel sees of an item. The clock is the
// item's creation and the seed a hash of its id and input, so that a retry, a
// replay and another machine see the same.
func (s *stage) input(it *pipeline.Item) (k1.Record, error) {
	value, err := s.value(it)
	if err != nil {
		return k1.Record{}, err
	}
	if err := spend(it, len(value)); err != nil {
		return k1.Record{}, err
	}
	r := k1.Record{Key: []byte(it.Key), Value: value, Seed: seed(it.ID, value)}
	if !it.Enqueued.IsZero() {
		r.Time = uint64(it.Enqueued.UnixNano())
	}
	if len(it.Meta) > 0 {
		if r.Meta, err = json.Marshal(it.Meta); err != nil {
			return r, pipeline.Fail("kernel-input", "metadata: %w", err)
		}
	}
	return r, nil
}

func (s *stage) value(it *pipeline.Item) ([]byte, error) {
	if s.config.Input == inputBody {
		b, err := it.Body.Content()
		if err != nil {
			return nil, pipeline.Fail("kernel-input", "%w", err)
		}
		return b, nil
	}
	a := it.Artifact(s.config.Input)
	if a == nil {
		return nil, pipeline.Fail("kernel-input", "the item has no artifact %q", s.config.Input).
			WithHint("an earlier stage must make it, or use `when` to skip items without it")
	}
	return a.Data, nil
}

func seed(id string, value []byte) uint64 {
	h := sha256.New()
	_, _ = io.WriteString(h, id) // a hash never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(value)
	var sum [sha256.Size]byte
	return binary.LittleEndian.Uint64(h.Sum(sum[:0]))
}

// spend charges bytes that cross into or out of the kernel.
func spend(it *pipeline.Item, n int) error {
	return it.Budget.Spend(pipeline.UnitIO, int64(n))
}

// finish does to the item what the kernel said: one operation changes it,
// several make children, none ends it as skipped.
func (s *stage) finish(it *pipeline.Item, ops []k1.Op) error {
	it.DependOn(s.dependency)
	size := 0
	for _, op := range ops {
		if op.Code == k1.Err {
			return s.recordError(op)
		}
		size += len(op.Value)
	}
	if err := spend(it, size); err != nil {
		return err
	}
	switch {
	case len(ops) == 0:
		return pipeline.SkipItem("kernel %s dropped the item", s.kernel.Name)
	case len(ops) > maxChildren:
		return classify(&host.Failure{Code: host.CodeOutput, Kernel: s.kernel.Name, Digest: s.kernel.Digest,
			Cause: fmt.Sprintf("made %d items of one, the limit is %d", len(ops), maxChildren)})
	case len(ops) == 1:
		s.set(it, ops[0])
		return nil
	}
	children := make([]*pipeline.Item, len(ops))
	for n, op := range ops {
		children[n] = s.child(it, n, op)
		// Keys go where a queue's own would: into receipts, paths and other queues.
		if err := (&pipeline.NewItem{Key: children[n].Key}).Validate(); err != nil {
			return classify(&host.Failure{Code: host.CodeBadFrame, Kernel: s.kernel.Name, Digest: s.kernel.Digest,
				Cause: fmt.Sprintf("operation %d: %s", n, err)})
		}
	}
	for _, c := range children {
		it.Emit(c)
	}
	return nil
}

// set puts the operation's value where the configuration wants it, and the port's
// name into the metadata. KEEP into the place that it came from changes no value.
func (s *stage) set(it *pipeline.Item, op k1.Op) {
	if int(op.Port) < len(s.ports) {
		it.SetMeta(metaPort, s.ports[op.Port])
	}
	switch {
	case op.Code == k1.Keep && s.config.As == "" && s.config.Input == inputBody:
	case s.config.As == "":
		it.Body = pipeline.RawBody(op.Value, "")
	default:
		b := pipeline.RawBody(op.Value, "")
		it.SetArtifact(pipeline.Artifact{Name: s.config.As, MediaType: b.MediaType(), Data: op.Value})
	}
}

// child makes the n-th item of several. It has its parent's metadata and
// artifacts, and the key that the kernel gave it or its parent's.
func (s *stage) child(it *pipeline.Item, n int, op k1.Op) *pipeline.Item {
	c := &pipeline.Item{ID: fmt.Sprintf("%s/%d", it.ID, n), Key: it.Key, Body: it.Body, Input: it.Input}
	for name, value := range it.Meta {
		c.SetMeta(name, value)
	}
	c.Artifacts = append(c.Artifacts, it.Artifacts...)
	c.Dependencies = append(c.Dependencies, it.Dependencies...)
	if len(op.Key) > 0 {
		c.Key = string(op.Key)
	}
	s.set(c, op)
	return c
}

// maxMessage bounds the text of ERR, which goes into the item's outcome and stays
// there; it is the bound of the import fail, too.
const maxMessage = 4 << 10

// recordError is what ERR means for the item.
func (s *stage) recordError(op k1.Op) error {
	text := strings.ToValidUTF8(string(op.Value[:min(len(op.Value), maxMessage)]), "\ufffd")
	if op.Port == k1.ErrSkip {
		return pipeline.SkipItem("kernel %s: %s", s.kernel.Name, text)
	}
	f := &host.Failure{Code: host.CodeError, Kernel: s.kernel.Name, Digest: s.kernel.Digest, Cause: text}
	e := classify(f)
	if op.Port == k1.ErrRetry {
		return &pipeline.Error{Kind: pipeline.Retry, Code: f.Code, Err: f}
	}
	return e
}

// failed makes the item's error of a failed call. The log gets what does not
// fit into an error's line: all frames and the last of stderr.
func (s *stage) failed(it *pipeline.Item, err error) error {
	var f *host.Failure
	if errors.As(err, &f) {
		s.env.Log.Warn("kernel failed", "item", it.ID, "kernel", f.Kernel, "code", f.Code, "cause", f.Cause,
			"message", f.Message, "frames", f.Frames, "stderr", f.Stderr)
	}
	return classify(err)
}

// classify makes a pipeline error of a failure. A kernel's answer is a function
// of its input, so trying again cannot help; only wall time depends on what
// else the machine does.
func classify(err error) error {
	var f *host.Failure
	if !errors.As(err, &f) {
		return err
	}
	e := &pipeline.Error{Kind: pipeline.Permanent, Code: f.Code, Err: err}
	switch f.Code {
	case host.CodeTimeout:
		e.Kind = pipeline.Retry
		e.Hint = "raise limits.timeout, or give the kernel less"
	case host.CodeFuel:
		e.Hint = "raise limits.fuel, or give the kernel less"
	case host.CodeBudget:
		e.Hint = "raise run.budget.fuel or do less per item"
	case host.CodeMemory:
		e.Hint = "raise limits.memory, or give the kernel less"
	case host.CodeOutput:
		e.Hint = "raise limits.output"
	}
	return e
}
