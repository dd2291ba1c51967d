package plugins

import (
	"encoding/json"
	"log/slog"
	"regexp"

	"github.com/waybill-dev/waybill/pipeline"
)

// Secret is a text with ${env:NAME} or ${file:path} in it; the value itself may
// not stand in the pipeline file. It shows in no plan, message, log or receipt.
type Secret string

// blotted is what is printed, logged and encoded in its place.
const blotted = "[secret]"

// codePlainSecret: a secret that stands in the file for everybody to read.
const codePlainSecret = "plain-secret"

// goodName is the form of the names of secrets and credentials.
var goodName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Reveal returns the value.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (Secret) String() string { return blotted }

// GoString hides the value from %#v.
func (Secret) GoString() string { return blotted }

// MarshalText hides the value from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(blotted), nil }

// LogValue hides the value from logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(blotted) }

// NodeSchema describes a text with a reference.
func (Secret) NodeSchema() json.RawMessage { return json.RawMessage(`{"$ref":"#/$defs/reference"}`) }

// UnmarshalNode reads a text with a reference. Without one the value would be in
// the file's digest, in plans and wherever the file goes.
func (s *Secret) UnmarshalNode(n *pipeline.Node) {
	var text string
	if !n.Decode(&text) {
		return
	}
	if !n.Referenced() {
		n.Problem(codePlainSecret, "write ${env:NAME} or ${file:path}", "a secret cannot stand in the pipeline file itself")
		return
	}
	*s = Secret(text)
}

var (
	_ pipeline.NodeUnmarshaler = (*Secret)(nil)
	_ pipeline.SchemaProvider  = Secret("")
	_ slog.LogValuer           = Secret("")
)
