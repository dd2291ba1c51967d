package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/cas"
)

// Config is the stage's part of a pipeline file.
type Config struct {
	// Where to: the URL of an object store, such as file:var/objects or
	// mongodb://a,b,c/jobs, or a list of them. Relative paths are relative to the
	// pipeline file.
	To Places `yaml:"to"`
	// Acknowledged copies of each object, on distinct places. With one folder
	// they are replicas below it, on the same disk; a database (mongodb:) keeps
	// its own and is one place; with a list there must be at least as many places.
	Copies int `yaml:"copies,optional"`
	// What to store: "body", "artifacts" for all of them, or names of single
	// artifacts. Default: body and artifacts.
	What []string `yaml:"what,optional"`

	drivers []pipeline.ObjectDriver
}

// Words in Config.What that are no artifact names.
const (
	whatBody      = "body"
	whatArtifacts = "artifacts"
)

// Validate implements pipeline.Validator.
func (c Config) Validate(v *pipeline.Validation) {
	if len(c.To) == 0 {
		v.Problem("to", "empty", "for example file:var/objects", "no place to store to")
	}
	names := make([]string, len(c.To))
	noCopies := true // of its own, at any place
	for i, u := range c.To {
		d, name, err := cas.CheckURL(c.drivers, u)
		v.Error("to", "bad-url", err)
		if err == nil && slices.Contains(names[:i], name) {
			v.Problem("to", "duplicate", "copies need distinct places", "%s is listed twice", name)
		}
		names[i], noCopies = name, noCopies && err == nil && !d.Copies
	}
	switch {
	case c.Copies < 1:
		v.Problem("copies", "out-of-range", "1 or more", "copies is %d", c.Copies)
	case len(c.To) == 1 && c.Copies > 1 && noCopies:
		v.Problem("copies", "out-of-range", "leave copies out, or list more places", "%d copies at %s: %s", c.Copies, names[0], cas.NoCopies)
	case len(c.To) > 1 && c.Copies > len(c.To):
		v.Problem("copies", "out-of-range", "list more places, or fewer copies", "%d copies on %d places", c.Copies, len(c.To))
	}
}

// Notes says where the copies are when one URL stands for several.
func (c Config) Notes() []string {
	if len(c.To) != 1 || c.Copies < 2 {
		return nil
	}
	folders := cas.Folders(c.To[0], c.Copies)
	if folders == nil {
		return nil
	}
	return []string{fmt.Sprintf("%d copies in folders of one disk: %s", c.Copies, strings.Join(folders, ", "))}
}

// Places is one URL or a list of URLs.
type Places []string

// UnmarshalNode implements pipeline.NodeUnmarshaler.
func (p *Places) UnmarshalNode(n *pipeline.Node) {
	var one string
	if items := n.Items(); items != nil {
		*p = make(Places, len(items))
		for i, item := range items {
			item.Decode(&(*p)[i])
		}
		return
	}
	if n.Decode(&one) {
		*p = Places{one}
	}
}

// NodeSchema implements pipeline.SchemaProvider.
func (Places) NodeSchema() json.RawMessage {
	return json.RawMessage(`{"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"minItems":1,"uniqueItems":true}]}`)
}
