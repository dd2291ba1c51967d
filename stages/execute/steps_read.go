package execute

import (
	"context"
	"path"
	"slices"
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
	// CSS selector of the element. Inside fields it is looked up below the
	// element around it; without a selector it is that element.
	CSS *pipeline.Template `yaml:"css,optional"`
	// XPath of the element.
	XPath *pipeline.Template `yaml:"xpath,optional"`
	// Text that the element shows.
	Containing *pipeline.Template `yaml:"containing,optional"`
	// Read this attribute, as it is written in the document.
	Attr string `yaml:"attr,optional"`
	// Read the rendered text (the default).
	Text bool `yaml:"text,optional"`
	// Read the element's HTML.
	HTML bool `yaml:"html,optional"`
	// Read the first number in the text.
	Number bool `yaml:"number,optional"`
	// Read what a field of a form holds.
	Value bool `yaml:"value,optional"`
	// Read the rows of a table: objects if it has a row of headings, else lists.
	Table bool `yaml:"table,optional"`
	// Read the text as JSON.
	JSON bool `yaml:"json,optional"`
	// Read the document's JSON-LD (schema.org data); needs no selector.
	JSONLD bool `yaml:"jsonLd,optional"`
	// Read an object: names to what is read below the element.
	Fields *nested `yaml:"fields,optional"`
	// Read a list, one value of each matching element.
	All bool `yaml:"all,optional"`
	// It may be missing: null, or an empty list.
	Optional bool `yaml:"optional,optional"`
}

// UnmarshalNode reads the fields in the order of the file.
func (a *extract) UnmarshalNode(n *pipeline.Node) { a.read(n, false) }

// nested is an extract inside of another, where a field may be the element itself.
type nested struct{ extract }

// UnmarshalNode reads the fields in the order of the file.
func (a *nested) UnmarshalNode(n *pipeline.Node) { a.read(n, true) }

func (a *extract) read(n *pipeline.Node, inside bool) {
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
			x.spec.check(f.Value, inside)
		}
		a.fields = append(a.fields, x)
	}
	if len(a.fields) == 0 {
		n.Problem(pipeline.CodeEmptyValue, "", "there is nothing to extract")
	}
}

func (s *fieldSpec) check(n *pipeline.Node, inside bool) {
	if s.JSONLD && s.selectors() == 0 {
		t, err := pipeline.NewTemplate(`script[type="application/ld+json"]`)
		if err != nil {
			panic(err) // it has no expression
		}
		s.CSS, s.JSON = t, true
	}
	if count := s.selectors(); count > 1 || count == 0 && !inside {
		n.Problem(pipeline.CodeMissingKey, "css: h1", "want exactly one of css, xpath and containing")
	}
	kinds := 0
	for _, set := range []bool{s.Attr != "", s.Text, s.HTML, s.Number, s.Value, s.Table, s.JSON, s.Fields != nil} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		n.Problem(pipeline.CodeBadValue, "", "want at most one of attr, text, html, number, value, table, json, jsonLd and fields")
	}
}

func (s *fieldSpec) selectors() (n int) {
	for _, t := range []*pipeline.Template{s.CSS, s.XPath, s.Containing} {
		if t != nil {
			n++
		}
	}
	return n
}

func (s *fieldSpec) kind() string {
	switch {
	case s.HTML:
		return "html"
	case s.Number:
		return "number"
	case s.Value:
		return "value"
	case s.Table:
		return "table"
	case s.JSON:
		return "json"
	}
	return "text"
}

// selector evaluates the selector for an item, with its prefix.
func (s *fieldSpec) selector(it *pipeline.Item) (string, error) {
	switch {
	case s.XPath != nil:
		text, err := s.XPath.Text(it)
		return "xpath/" + text, err
	case s.Containing != nil:
		text, err := s.Containing.Text(it)
		return "text/" + text, err
	case s.CSS != nil:
		return s.CSS.Text(it)
	}
	return "", nil
}

// plan evaluates the fields for an item.
func (a *extract) plan(it *pipeline.Item) ([]cdp.Field, error) {
	out := make([]cdp.Field, len(a.fields))
	for i := range a.fields {
		f := &a.fields[i]
		selector, err := f.spec.selector(it)
		if err != nil {
			return nil, err
		}
		out[i] = cdp.Field{Name: f.name, Selector: selector, Attr: f.spec.Attr, Kind: f.spec.kind(), All: f.spec.All, Optional: f.spec.Optional}
		if f.spec.Fields != nil {
			if out[i].Fields, err = f.spec.Fields.plan(it); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (a *extract) run(ctx context.Context, v *visit) error {
	fields, err := a.plan(v.item)
	if err != nil {
		return err
	}
	raw, missing, err := v.session.Extract(ctx, fields, v.limit())
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return pipeline.Again("element-not-found", "nothing to extract for %s", strings.Join(slices.Compact(missing), ", ")).
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
	// Frame that it runs in; there the script must be an expression.
	Frame frame `yaml:"frame,optional"`
}

func (a *evaluate) scalar() any { return &a.Script }

func (a *evaluate) run(ctx context.Context, v *visit) error {
	var args []any
	for i := range a.Args {
		x, err := a.Args[i].Eval(v.item)
		if err != nil {
			return err
		}
		args = append(args, x)
	}
	path, err := a.Frame.path(v.item)
	if err != nil {
		return err
	}
	raw, err := v.session.EvaluateIn(ctx, path, string(a.Script), args, v.limit())
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
	// Frame that the element is in.
	Frame frame `yaml:"frame,optional"`
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
	if o.Element, err = a.Selector.locator(a.Frame, v.item); err != nil {
		return err
	}
	picture, err := v.session.Screenshot(ctx, o)
	if err != nil {
		return err
	}
	return v.keep(name, o.MediaType(), picture)
}

// mhtml keeps a snapshot of the page with its pictures and styles as an
// artifact, in one file (RFC 2557) that browsers open.
type mhtml struct {
	// Name of the artifact: page.mhtml.
	As pipeline.Template `yaml:"as"`
}

func (a *mhtml) scalar() any { return &a.As }

func (a *mhtml) run(ctx context.Context, v *visit) error {
	name, err := artifactName(&a.As, v.item)
	if err != nil {
		return err
	}
	text, err := v.session.MHTML(ctx, v.limit())
	if err != nil {
		return err
	}
	return v.keep(name, "multipart/related", []byte(text))
}

// pdf prints the page and keeps it as an artifact.
type pdf struct {
	// Name of the artifact: page.pdf.
	As pipeline.Template `yaml:"as"`
	// Size of the paper; the default is Letter.
	Format string `yaml:"format,optional" enum:"Letter|Legal|Tabloid|A3|A4|A5"`
	// Turn the paper.
	Landscape bool `yaml:"landscape,optional"`
	// Print colours and pictures behind the text too.
	Background bool `yaml:"background,optional"`
	// Size of what is printed, 1 is as it is.
	Scale float64 `yaml:"scale,optional" min:"0.1" max:"2"`
	// Margin on all sides in inches; the default is 0.4.
	Margin *float64 `yaml:"margin,optional" min:"0" max:"10"`
	// Pages to print: 1-3,5; the default is all.
	Pages string `yaml:"pages,optional"`
	// Use the size that the page's own style asks for.
	PreferCSSPageSize bool `yaml:"preferCSSPageSize,optional"`
}

// paper is width and height in inches.
var paper = map[string][2]float64{"Letter": {8.5, 11}, "Legal": {8.5, 14}, "Tabloid": {11, 17}, "A3": {11.7, 16.54}, "A4": {8.27, 11.7}, "A5": {5.83, 8.27}}

func (a *pdf) scalar() any { return &a.As }

func (a *pdf) run(ctx context.Context, v *visit) error {
	name, err := artifactName(&a.As, v.item)
	if err != nil {
		return err
	}
	size := paper[a.Format]
	raw, err := v.session.PrintPDF(ctx, cdp.PDF{Width: size[0], Height: size[1], Margin: a.Margin, Landscape: a.Landscape, Background: a.Background,
		Scale: a.Scale, Pages: a.Pages, CSSSize: a.PreferCSSPageSize}, v.limit())
	if err != nil {
		return err
	}
	return v.keep(name, "application/pdf", raw)
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
	raw, err := v.messages()
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
