package execute

import (
	"context"
	"encoding/json"
	"path"
	"strings"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// extract reads values from the document and sets them as fields of the item's
// body, which must be an object.
type extract struct {
	fields []field
}

// extractFields reads values from the document and sets them as fields of the
// item's body, which must be an object.
type extractFields map[string]fieldSpec // for schema and reference: extract itself keeps the file's order

// field is one value to read.
type field struct {
	name string
	spec fieldSpec
}

type fieldSpec struct {
	// CSS selector of the element.
	CSS *pipeline.Template `yaml:"css,optional"`
	// XPath of the element.
	XPath *pipeline.Template `yaml:"xpath,optional"`
	// Read this attribute, as it is written in the document.
	Attr string `yaml:"attr,optional"`
	// Read the rendered text (the default).
	Text bool `yaml:"text,optional"`
	// Read the element's HTML.
	HTML bool `yaml:"html,optional"`
	// Read the first number in the text.
	Number bool `yaml:"number,optional"`
	// Read a list, one value of each matching element.
	All bool `yaml:"all,optional"`
	// It may be missing: null, or an empty list.
	Optional bool `yaml:"optional,optional"`
}

// UnmarshalNode reads the fields in the order of the file.
func (a *extract) UnmarshalNode(n *pipeline.Node) {
	if n.Kind() != pipeline.KindMap {
		n.Problem(pipeline.CodeWrongType, "extract: { title: { css: h1 } }", "want a mapping of names to what is read, got %s", n.Kind())
		return
	}
	for _, f := range n.Fields() {
		x := field{name: f.Name}
		if f.Value.Kind() == pipeline.KindScalar {
			x.spec.CSS = new(pipeline.Template)
			f.Value.Decode(x.spec.CSS)
		} else if f.Value.Decode(&x.spec) {
			x.spec.check(f.Value)
		}
		a.fields = append(a.fields, x)
	}
	if len(a.fields) == 0 {
		n.Problem(pipeline.CodeEmptyValue, "", "there is nothing to extract")
	}
}

func (s *fieldSpec) check(n *pipeline.Node) {
	if (s.CSS == nil) == (s.XPath == nil) {
		n.Problem(pipeline.CodeMissingKey, "css: h1", "want exactly one of css and xpath")
	}
	kinds := 0
	for _, set := range []bool{s.Attr != "", s.Text, s.HTML, s.Number} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		n.Problem(pipeline.CodeBadValue, "", "want at most one of attr, text, html and number")
	}
}

func (s *fieldSpec) kind() string {
	switch {
	case s.HTML:
		return "html"
	case s.Number:
		return "number"
	}
	return "text"
}

func (a *extract) run(ctx context.Context, v *visit) error {
	fields := make([]cdp.Field, len(a.fields))
	for i, f := range a.fields {
		selector, prefix := f.spec.CSS, ""
		if selector == nil {
			selector, prefix = f.spec.XPath, "xpath/"
		}
		text, err := selector.Text(v.item)
		if err != nil {
			return err
		}
		fields[i] = cdp.Field{Name: f.name, Selector: prefix + text, Attr: f.spec.Attr, Kind: f.spec.kind(), All: f.spec.All, Optional: f.spec.Optional}
	}
	raw, missing, err := v.session.Extract(ctx, fields, v.limit())
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return pipeline.Again("element-not-found", "nothing to extract for %s", strings.Join(missing, ", ")).
			WithHint("wait for the element before, or mark it optional: true")
	}
	values, err := v.decode(raw)
	if err != nil {
		return err
	}
	return v.setFields(values.(map[string]any))
}

// evaluate runs a script in the page.
type evaluate struct {
	// An expression, or with args a function: (a, b) => ...
	Script script `yaml:"script"`
	// Arguments of the function.
	Args []pipeline.Template `yaml:"args,optional"`
	// Field of the body that takes the value; the default drops it.
	As string `yaml:"as,optional"`
}

func (a *evaluate) run(ctx context.Context, v *visit) error {
	var args []any
	for i := range a.Args {
		x, err := a.Args[i].Eval(v.item)
		if err != nil {
			return err
		}
		args = append(args, x)
	}
	raw, err := v.session.Evaluate(ctx, string(a.Script), args, v.limit())
	if err != nil || a.As == "" {
		return err
	}
	value, err := v.decode(raw)
	if err != nil {
		return err
	}
	return v.setFields(map[string]any{a.As: value})
}

// html keeps the rendered document as an artifact.
type html struct {
	// Name of the artifact: page.html.
	As pipeline.Template `yaml:"as"`
}

func (a *html) scalar() any { return &a.As }

func (a *html) run(ctx context.Context, v *visit) error {
	name, err := artifactName(&a.As, v.item)
	if err != nil {
		return err
	}
	text, err := v.session.HTML(ctx, v.limit())
	if err != nil {
		return err
	}
	return v.keep(name, "text/html; charset=utf-8", []byte(text))
}

// screenshot keeps a picture as an artifact.
type screenshot struct {
	// Name of the artifact: page.png.
	As pipeline.Template `yaml:"as"`
	// The whole document instead of what fits the viewport.
	FullPage bool `yaml:"fullPage,optional"`
	// One element instead of the page.
	Selector selectors `yaml:"selector,optional"`
	// png or jpeg; the default is what the name ends with, else png.
	Format string `yaml:"format,optional" enum:"png|jpeg"`
	// Quality of a JPEG.
	Quality int `yaml:"quality,optional" min:"1" max:"100"`
}

func (a *screenshot) scalar() any { return &a.As }

func (a *screenshot) check(n *pipeline.Node) {
	if a.FullPage && len(a.Selector) > 0 {
		n.Lookup("selector").Problem(pipeline.CodeBadValue, "remove one", "fullPage and selector exclude each other")
	}
}

func (a *screenshot) run(ctx context.Context, v *visit) error {
	name, err := artifactName(&a.As, v.item)
	if err != nil {
		return err
	}
	o := cdp.Screenshot{Format: a.Format, Quality: a.Quality, FullPage: a.FullPage}
	if ext := strings.ToLower(path.Ext(name)); o.Format == "" && (ext == ".jpg" || ext == ".jpeg") {
		o.Format = "jpeg"
	}
	if o.Selectors, err = a.Selector.list(v.item); err != nil {
		return err
	}
	picture, err := v.session.Screenshot(ctx, o)
	if err != nil {
		return err
	}
	return v.keep(name, o.MediaType(), picture)
}

// console keeps what the page wrote to its console, and uncaught exceptions, as
// an artifact: a JSON object with messages and the number of dropped ones.
type console struct {
	// Name of the artifact: console.json.
	As pipeline.Template `yaml:"as"`
}

func (a *console) scalar() any { return &a.As }

func (a *console) run(_ context.Context, v *visit) error {
	name, err := artifactName(&a.As, v.item)
	if err != nil {
		return err
	}
	messages, dropped := v.session.Console()
	if messages == nil {
		messages = []cdp.Message{}
	}
	raw, err := json.Marshal(map[string]any{"messages": messages, "dropped": dropped})
	if err != nil {
		return err
	}
	return v.keep(name, pipeline.MediaJSON, raw)
}

// artifactName evaluates the name and refuses what is not a clean relative path.
func artifactName(t *pipeline.Template, it *pipeline.Item) (string, error) {
	name, err := t.Text(it)
	if err != nil {
		return "", err
	}
	if name == "" || path.Clean(name) != name || path.IsAbs(name) || name == "." || strings.HasPrefix(name, "..") || strings.ContainsAny(name, "\\\x00") {
		return "", pipeline.Fail("bad-name", "%q is no name for an artifact", name).WithHint("use a relative path such as page.png")
	}
	return name, nil
}
