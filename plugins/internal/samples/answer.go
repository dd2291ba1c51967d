package samples

import (
	"unicode/utf8"

	"github.com/waybill-dev/waybill/plugins/internal/k1"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// Answer is what a kernel did with a record, in the terms of a sample.
type Answer struct {
	Want  []manifest.Want
	Error *manifest.WantError
	// Failure is why there is no answer: a trap, used up fuel, a bad frame. No
	// sample can want that.
	Failure error
	Fuel    int64
}

// translate puts the operations of one record into a sample's terms. One that
// fails the record voids the others.
func (r *Runner) translate(ops []k1.Op) ([]manifest.Want, *manifest.WantError) {
	var out []manifest.Want
	for _, op := range ops {
		if op.Code == k1.Err {
			return nil, &manifest.WantError{Message: string(op.Value), Kind: kindOf(op.Port)}
		}
		out = append(out, r.want(op))
	}
	return out, nil
}

func kindOf(port uint16) string {
	switch port {
	case k1.ErrRetry:
		return manifest.ErrorRetry
	case k1.ErrSkip:
		return manifest.ErrorSkip
	}
	return manifest.ErrorPermanent
}

func (r *Runner) want(op k1.Op) manifest.Want {
	w := manifest.Want{Op: manifest.OpPut, Key: string(op.Key)}
	switch op.Code {
	case k1.Keep:
		w.Op = manifest.OpKeep
	case k1.Slice:
		w.Op = manifest.OpSlice
	}
	if int(op.Port) < len(r.ports) && op.Port > 0 {
		w.Port = r.ports[op.Port]
	}
	switch {
	case op.Code == k1.Keep: // its value is the record's
	case utf8.Valid(op.Value):
		w.Value = string(op.Value)
	default:
		w.Value64 = op.Value
	}
	return w
}

// Into writes the answer into a sample as what it wants; its fuel too if the
// sample looks at fuel.
func (a Answer) Into(s *manifest.Sample) {
	s.Want, s.Error = a.Want, a.Error
	if s.Error != nil && s.Error.Kind == manifest.ErrorPermanent {
		s.Error = &manifest.WantError{Message: s.Error.Message} // the default
	}
	if s.Fuel != 0 {
		s.Fuel = a.Fuel
	}
}
