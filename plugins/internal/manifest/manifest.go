package manifest

import "encoding/json"

// State is what a kernel keeps between calls.
type State string

const (
	// StatePure kernels keep nothing: the host may put one back to its image
	// before any call.
	StatePure State = "pure"
	// StateLane kernels keep their memory from call to call of one lane.
	StateLane State = "lane"
	// StateIsolated kernels are put back before every record and get one record
	// per call.
	StateIsolated State = "isolated"
)

// Capabilities that a kernel may want.
const (
	WantHTTP   = "http"
	WantBlob   = "blob"
	WantSecret = "secret"
	WantState  = "state"
)

// Manifest is what a kernel says about itself.
type Manifest struct {
	Name        string `json:"name"`    // [a-z0-9-]+
	Version     string `json:"version"` // semantic versioning
	Description string `json:"description,omitempty"`
	// State is StatePure if the manifest says nothing.
	State State `json:"state,omitempty"`
	// Reuse is the promise of a pure kernel that a call leaves nothing behind
	// which later answers or their fuel could show: the host may skip the reset.
	Reuse bool `json:"reuse,omitempty"`
	// Ports are the names of output ports 0, 1, ...; without them there is one,
	// without a name.
	Ports []string `json:"ports,omitempty"`
	// Wants lists the capabilities that the kernel needs.
	Wants []string `json:"wants,omitempty"`
	// Config is the JSON Schema of the configuration; nil: anything goes.
	Config  json.RawMessage `json:"config,omitempty"`
	Samples []Sample        `json:"samples,omitempty"`
	// Warmup names the sample that runs once before the memory image is taken.
	Warmup string `json:"warmup,omitempty"`

	schema *schema
}

// Sample is a record with the answer that it must have; also the format of the
// golden cases beside a kernel (cases/*.json).
type Sample struct {
	Name string `json:"name"`
	// Config is the kernel's configuration; nil stands for {}.
	Config json.RawMessage `json:"config,omitempty"`
	Key    string          `json:"key,omitempty"`
	Value  string          `json:"value,omitempty"`
	// Value64 stands in place of Value for bytes that are not text.
	Value64 []byte            `json:"value64,omitempty"`
	Meta    map[string]string `json:"meta,omitempty"`
	Time    uint64            `json:"time,omitempty"` // nanoseconds since 1970
	Seed    uint64            `json:"seed,omitempty"`
	// Want are the operations in order; none, and no Error: the record is
	// dropped.
	Want  []Want     `json:"want,omitempty"`
	Error *WantError `json:"error,omitempty"`
	// Fuel is what the call costs, exactly; 0: not looked at.
	Fuel int64 `json:"fuel,omitempty"`
}

// Operations of Want.
const (
	OpKeep  = "keep"
	OpSlice = "slice"
	OpPut   = "put"
)

// Want is one operation of a sample's answer.
type Want struct {
	Op    string `json:"op"`
	Key   string `json:"key,omitempty"` // of OpPut; empty: the record's own
	Value string `json:"value,omitempty"`
	// Value64 stands in place of Value.
	Value64 []byte `json:"value64,omitempty"`
	Port    string `json:"port,omitempty"` // empty: port 0
}

// Kinds of WantError.
const (
	ErrorPermanent = "permanent"
	ErrorRetry     = "retry"
	ErrorSkip      = "skip"
)

// WantError is the failure that a sample's record must end in.
type WantError struct {
	Message string `json:"message,omitempty"`
	Kind    string `json:"kind,omitempty"` // ErrorPermanent if the manifest says nothing
}

// Bytes returns the record's value.
func (s *Sample) Bytes() []byte { return either(s.Value, s.Value64) }

// Bytes returns the operation's value.
func (w *Want) Bytes() []byte { return either(w.Value, w.Value64) }

func either(text string, bytes []byte) []byte {
	if bytes != nil {
		return bytes
	}
	return []byte(text)
}

// ConfigJSON returns the sample's configuration as the kernel gets it.
func (s *Sample) ConfigJSON() []byte {
	if s.Config == nil {
		return []byte("{}")
	}
	return s.Config
}
