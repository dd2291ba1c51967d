package execute

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"

	"github.com/waybill-dev/waybill/pipeline"
)

// A recording is what the Recorder of Chrome's DevTools exports as JSON: a user
// flow in the schema of @puppeteer/replay. Its steps become ours one to one.

// recorded are the types of steps that recordings have.
var recorded = []string{"change", "click", "close", "customStep", "doubleClick", "emulateNetworkConditions", "hover", "keyDown", "keyUp",
	"navigate", "scroll", "setViewport", "waitForElement", "waitForExpression"}

// userFlow is a recording as a whole.
type userFlow struct {
	// What the user did.
	Title string `yaml:"title"`
	// Longest time of each step in milliseconds.
	Timeout millis `yaml:"timeout,optional"`
	// How the recorder made selectors; it says nothing for a replay.
	SelectorAttribute string `yaml:"selectorAttribute,optional"`
	// The steps.
	Steps flowSteps `yaml:"steps"`
}

// flowSteps keeps the list, whose steps need the flow's timeout.
type flowSteps struct{ list *pipeline.Node }

// UnmarshalNode keeps the list.
func (f *flowSteps) UnmarshalNode(n *pipeline.Node) {
	switch {
	case n.Kind() != pipeline.KindList:
		n.Problem(pipeline.CodeWrongType, "", "want the list of recorded steps, got %s", n.Kind())
	case len(n.Items()) == 0:
		n.Problem(pipeline.CodeEmptyValue, "", "there is no step")
	default:
		f.list = n
	}
}

// decodeRecording reads the steps of a recording.
func decodeRecording(root *pipeline.Node, name string, digest pipeline.Digest) (out Steps) {
	var flow userFlow
	if root.Decode(&flow); flow.Steps.list == nil {
		return nil
	}
	for _, n := range flow.Steps.list.Items() {
		out = append(out, recordedStep(n, flow.Timeout))
	}
	out[0].recording = &pipeline.Dependency{Name: "recording", URI: name, Digest: digest, MediaType: pipeline.MediaJSON}
	return out
}

// recordedStep reads one step: its type stands beside the keys of the action and
// the keys that all steps share.
func recordedStep(n *pipeline.Node, timeout millis) (s Step) {
	s.Pos = n.Pos()
	if n.Kind() != pipeline.KindMap {
		n.Problem(pipeline.CodeWrongType, "", "want a recorded step, got %s", n.Kind())
		return s
	}
	for _, f := range n.Fields() {
		switch f.Name {
		case "type":
			f.Value.Decode(&s.Name)
			if s.action = actions()[s.Name]; s.action == nil || !slices.Contains(recorded, s.Name) {
				f.Value.Problem("unknown-step", pipeline.Suggest(s.Name, recorded), "recordings have no step of the type %q", s.Name)
				return Step{Pos: s.Pos}
			}
		case "timeout":
			f.Value.Decode(&timeout)
		case "assertedEvents":
			f.Value.Decode(&s.Events)
		}
	}
	if s.action == nil {
		n.MissingKey("type")
		return s
	}
	s.Timeout = pipeline.Duration(time.Duration(timeout))
	decodeAction(s.action, n.Without("type", "timeout", "assertedEvents"))
	if w, ok := s.action.(*waitForElement); ok && w.Visible != nil && *w.Visible {
		w.Visible = nil // in recordings true is the default, and asks for presence only
	}
	return s
}

// plainJSON says what is wrong with a text that should be JSON, or nothing.
func plainJSON(src []byte) string {
	var any json.RawMessage
	err := json.Unmarshal(src, &any)
	var syntax *json.SyntaxError
	switch {
	case len(src) > maxRecording:
		return fmt.Sprintf("the recording is larger than %d bytes", maxRecording)
	case errors.As(err, &syntax):
		before := src[:min(int(syntax.Offset), len(src))]
		line := bytes.Count(before, []byte("\n")) + 1
		return fmt.Sprintf("line %d, column %d: it is not JSON: %v", line, len(before)-bytes.LastIndexByte(before, '\n')-1, err)
	case err != nil:
		return fmt.Sprintf("it is not JSON: %v", err)
	}
	return ""
}

// yamlText makes JSON the YAML that it almost is: tabs become spaces, and
// characters written as two halves (\ud83d\ude00) become themselves.
func yamlText(src []byte) []byte {
	out := make([]byte, 0, len(src))
	for i := 0; i < len(src); i++ {
		switch {
		case src[i] == '\t': // between values: inside texts JSON has \t
			out = append(out, ' ')
		case src[i] == '\\' && i+1 < len(src):
			high, low := hexUnit(src[i:]), -1
			if utf16.IsSurrogate(rune(high)) && i+6 < len(src) {
				low = hexUnit(src[i+6:])
			}
			switch {
			case low >= 0:
				out = append(out, string(utf16.DecodeRune(rune(high), rune(low)))...)
				i += 11
			case utf16.IsSurrogate(rune(high)): // half a character
				out = append(out, "\uFFFD"...)
				i += 5
			default:
				out = append(out, src[i], src[i+1])
				i++
			}
		default:
			out = append(out, src[i])
		}
	}
	return out
}

// hexUnit reads \uXXXX, or returns -1.
func hexUnit(s []byte) int {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	x, err := strconv.ParseUint(string(s[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return int(x)
}
