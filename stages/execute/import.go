package execute

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// Import turns a recording of Chrome's Recorder into a list of steps in YAML.
func Import(file string, src []byte, keep bool) (steps []byte, notes []string, problems pipeline.Problems) {
	if problem := plainJSON(src); problem != "" {
		return nil, nil, pipeline.Problems{{Pos: pipeline.Pos{File: file, Line: 1, Col: 1}, Code: "bad-recording", Message: problem,
			Hint: "export it from the Recorder as JSON"}}
	}
	w := &importer{keep: keep}
	var r importedFlow
	if problems := pipeline.DecodeData(file, yamlText(src), &r); len(problems) > 0 {
		return nil, nil, problems
	}
	w.flow(r.root)
	return []byte(w.String()), w.notes, nil
}

// importedFlow checks a recording as a run would, and keeps its nodes.
type importedFlow struct{ root *pipeline.Node }

// UnmarshalNode checks and keeps the recording.
func (f *importedFlow) UnmarshalNode(n *pipeline.Node) {
	decodeRecording(n, "", "")
	f.root = n
}

// importer writes the YAML.
type importer struct {
	strings.Builder
	keep    bool
	notes   []string
	secrets int
}

func (w *importer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

func (w *importer) flow(root *pipeline.Node) {
	w.line("# %s", strings.ReplaceAll(root.Lookup("title").Text(), "\n", " "))
	w.line("steps:")
	timeout := child(root, "timeout")
	for _, n := range root.Lookup("steps").Items() {
		w.step(n, timeout)
	}
}

// child is a value of a mapping, or nil.
func child(n *pipeline.Node, name string) *pipeline.Node {
	for _, f := range n.Fields() {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// step writes one step: the keys of the action, then the common ones.
func (w *importer) step(n, timeout *pipeline.Node) {
	name := child(n, "type").Text()
	var keys []string
	for _, f := range n.Fields() {
		switch {
		case slices.Contains([]string{"type", "timeout", "assertedEvents"}, f.Name):
		case f.Name == "target": // there is only main
		case f.Name == "visible" && f.Value.Raw() == "true": // the default
		case f.Name == "value" && name == "change":
			keys = append(keys, "value: "+w.typed(n, f.Value))
		case f.Name == "selectors":
			keys = append(keys, "selectors: "+selectorText(f.Value))
		default:
			keys = append(keys, f.Name+": "+flowText(f.Value))
		}
	}
	switch {
	case len(keys) == 0:
		w.line("  - %s:", name)
	case len(keys) == 1 && (strings.HasPrefix(keys[0], "url: ") || strings.HasPrefix(keys[0], "selectors: ") || strings.HasPrefix(keys[0], "key: ") || strings.HasPrefix(keys[0], "expression: ")):
		_, value, _ := strings.Cut(keys[0], ": ")
		w.line("  - %s: %s", name, value)
	default:
		w.line("  - %s: { %s }", name, strings.Join(keys, ", "))
	}
	if own := child(n, "timeout"); own != nil {
		timeout = own
	}
	if timeout != nil {
		w.line("    timeout: %sms", timeout.Text())
	}
	if events := child(n, "assertedEvents"); events != nil && len(events.Items()) > 0 {
		w.line("    assertedEvents: %s", flowText(events))
	}
}

// secretWords are parts of selectors of fields that take secrets.
var secretWords = regexp.MustCompile(`(?i)pass(word|wd|phrase|code)?\b|passwor|pwd|secret|token|\b(pin|otp|cvv|cvc|tan)\b|card.?number|kennwort`)

// typed is the value of a field; what looks like a secret goes to the
// environment.
func (w *importer) typed(step, value *pipeline.Node) string {
	if !secretWords.MatchString(selectorText(child(step, "selectors"))) {
		return scalarText(value)
	}
	if w.keep {
		w.note(value, "a password seems to be typed here, and stands in clear in the steps")
		return scalarText(value)
	}
	w.secrets++
	name := "PASSWORD"
	if w.secrets > 1 {
		name = fmt.Sprintf("PASSWORD_%d", w.secrets)
	}
	w.note(value, "a password seems to be typed here: the steps take it from the environment variable %s. It still stands in clear in the recording", name)
	return `"${env:` + name + `}"`
}

func (w *importer) note(at *pipeline.Node, format string, args ...any) {
	w.notes = append(w.notes, fmt.Sprintf("%s: %s", at.Pos(), fmt.Sprintf(format, args...)))
}

// selectorText writes alternatives; a chain of one is just a selector, and one
// alternative needs no list.
func selectorText(n *pipeline.Node) string {
	if n == nil {
		return ""
	}
	var out []string
	for _, item := range n.Items() {
		if links := item.Items(); len(links) == 1 {
			item = links[0]
		}
		out = append(out, flowText(item))
	}
	if len(out) == 1 && !strings.HasPrefix(out[0], "[") {
		return out[0]
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// flowText writes a value in YAML's flow style.
func flowText(n *pipeline.Node) string {
	var parts []string
	switch n.Kind() {
	case pipeline.KindList:
		for _, item := range n.Items() {
			parts = append(parts, flowText(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case pipeline.KindMap:
		if len(n.Fields()) == 0 {
			return "{}"
		}
		for _, f := range n.Fields() {
			parts = append(parts, plainOrQuoted(f.Name)+": "+flowText(f.Value))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return scalarText(n)
}

// scalarText writes a scalar: numbers and the like as they are, text quoted
// where YAML asks for it.
func scalarText(n *pipeline.Node) string {
	switch {
	case n.Kind() == pipeline.KindNull:
		return "null"
	case !n.IsString():
		return n.Raw()
	}
	return plainOrQuoted(n.Text())
}

// plainText is what needs no quotes anywhere: it begins like a word and has
// nothing that YAML or a pipeline file reads in it.
var plainText = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./ -]*[A-Za-z0-9_./-]$`)

func plainOrQuoted(s string) string {
	if plainText.MatchString(s) && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "True", "False", "Null"}, s) {
		return s
	}
	// ${ would be read as a reference or an expression.
	s = strings.NewReplacer("${{", "$${{", "${env:", "$${env:", "${file:", "$${file:").Replace(s)
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string always has JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}
