package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// codes renders problems as line:col code.
func codes(ps Problems) []string {
	var out []string
	for _, p := range ps {
		out = append(out, fmt.Sprintf("%d:%d %s", p.Line, p.Col, p.Code))
	}
	return out
}

type inner struct {
	Name string `yaml:"name"`
	Size uint8  `yaml:"size,optional" max:"200"`
}

type shared struct {
	Extra string `yaml:"extra,optional"`
}

type outer struct {
	Text   string           `yaml:"text,optional"`
	Mode   string           `yaml:"mode,optional" enum:"fast|slow"`
	N      int              `yaml:"n,optional" min:"1" max:"9"`
	F      float64          `yaml:"f,optional" min:"0" max:"1"`
	B      bool             `yaml:"b,optional"`
	List   []inner          `yaml:"list,optional"`
	Map    map[string]int   `yaml:"map,optional"`
	Ptr    *inner           `yaml:"ptr,optional"`
	Any    any              `yaml:"any,optional"`
	Modes  []string         `yaml:"modes,optional" enum:"fast|slow"`
	Public string           `yaml:"public,optional" secret:"false"`
	Own    upper            `yaml:"own,optional"`
	Deep   map[string]inner `yaml:"deep,optional"`
	shared `yaml:",inline"`
	hidden int //lint:ignore U1000 a field that is no key
}

type upper string

func (u *upper) UnmarshalNode(n *Node) { *u = upper(strings.ToUpper(n.Text())) }

func decode(t *testing.T, src string) (outer, *Document) {
	t.Helper()
	d := Parse("f.yaml", t.TempDir(), []byte(src))
	v := outer{N: 5, Ptr: &inner{Name: "preset", Size: 7}}
	if d.Root() != nil {
		d.Root().Decode(&v)
	}
	return v, d
}

func TestDecode(t *testing.T) {
	t.Setenv("NODE_TEST_N", "3")
	got, d := decode(t, `
text: plain words
mode: slow
f: 0.5
b: true
list: [{ name: a, size: 0x10 }, { name: "2" }]
map: { x: 1, "y.z": 2 }
ptr: { name: given }
any: [1, 2.5, true, ~, text, "8", { k: 2001-01-01 }]
modes: [fast]
own: loud
n: ${env:NODE_TEST_N}
deep: { one: { name: n } }
extra: inlined
`)
	want := outer{Text: "plain words", Mode: "slow", N: 3, F: 0.5, B: true,
		List: []inner{{"a", 16}, {"2", 0}}, Map: map[string]int{"x": 1, "y.z": 2}, Ptr: &inner{"given", 7},
		Any:   []any{1, 2.5, true, nil, "text", "8", map[string]any{"k": "2001-01-01"}},
		Modes: []string{"fast"}, Own: "LOUD", Deep: map[string]inner{"one": {"n", 0}}, shared: shared{"inlined"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outer{})); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	if ps := d.Problems(); len(ps) > 0 {
		t.Error(ps)
	}
}

func TestDecodeProblems(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"text: 20", "1:7 wrong-type"},
		{"text: true", "1:7 wrong-type"},
		{"text: 1.10", "1:7 wrong-type"},
		{"text: ~", "1:7 empty-value"},
		{"text:", "1:1 empty-value"},
		{"text: [a]", "1:7 wrong-type"},
		{"text: { a: 1 }", "1:7 wrong-type"},
		{"text: \"a ${{ b }}\"", "1:10 wrong-type"},
		{"mode: slwo", "1:7 bad-value"},
		{"mode: 3", "1:7 wrong-type"},
		{"modes: [fast, fats]", "1:15 bad-value"},
		{"n: 0", "1:4 out-of-range"},
		{"n: 10", "1:4 out-of-range"},
		{"n: 1.5", "1:4 wrong-type"},
		{"n: \"5\"", "1:4 wrong-type"},
		{"n: 07", "1:4 wrong-type"},
		{"n: 99999999999999999999", "1:4 wrong-type"},
		{"f: 1.5", "1:4 out-of-range"},
		{"f: .nan", "1:4 wrong-type"},
		{"f: x", "1:4 wrong-type"},
		{"b: yes", "1:4 wrong-type"},
		{"b: \"true\"", "1:4 wrong-type"},
		{"b: 1", "1:4 wrong-type"},
		{"list: { name: a }", "1:7 wrong-type"},
		{"list: [{ size: 1 }]", "1:8 missing-key"},
		{"list:\n  - name: a\n    size: 256", "3:11 out-of-range"},
		{"list:\n  - name: a\n    size: 201", "3:11 out-of-range"},
		{"list:\n  - name: a\n    size: -1", "3:11 out-of-range"},
		{"map: { x: one }", "1:11 wrong-type"},
		{"ptr: {}", "1:1 missing-key"},
		{"ptr:", "1:1 empty-value"},
		{"any: 0123", "1:6 wrong-type"},
		{"hidden: 1", "1:1 unknown-key"},
		{"extre: x", "1:1 unknown-key"},
		{"- a", "1:1 wrong-type"},
		{"text: a\n\"text\": b", "2:1 duplicate-key"},
		{"text: !!str 5", "1:7 tag"},
		{"any: { <<: 1 }", "1:8 merge-key"},
		{"any: { \"<<\": 1 }", ""},
	} {
		_, d := decode(t, c.src)
		got := strings.Join(codes(d.Problems()), " ")
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.src, got, c.want)
		}
	}
}

func TestParseLimits(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"empty":            {"", "1:1 empty-file"},
		"comment":          {"# x\n", "1:1 empty-file"},
		"too large":        {"a: " + strings.Repeat("x", MaxSize), "1:1 too-large"},
		"not utf8":         {"ä: b\nc: \xff", "2:4 not-utf8"},
		"deep":             {strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), ""},
		"too deep":         {strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), "1:65 too-deep"},
		"deep via alias":   {"a: &a " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "\nb: " + strings.Repeat("[", 40) + "*a" + strings.Repeat("]", 40), "2:44 too-deep"},
		"alias in itself":  {"a: &a [*a]", "1:8 alias-bomb"},
		"aliases":          {"a: &a [1, 2]\nb: [*a, *a]", ""},
		"two documents":    {"a: 1\n---\nb: 2", "2:1 two-documents"},
		"control":          {"a: \x01", "1:4 syntax"},
		"carriage returns": {"a: 1\r\nb: [\r\n1]\r\n", ""},
	} {
		d := Parse("f.yaml", ".", []byte(c.src))
		if got := strings.Join(codes(d.Problems()), " "); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestSyntaxPositions(t *testing.T) {
	for src, want := range map[string]string{
		"a:\n\tb: 1\n":                         "2:1",
		"a:\n  b: 1\n c: 2\n":                  "3:2",
		"a: b: c\n":                            "1:5",
		"a: 'x' y\n":                           "1:8",
		"k: @x\n":                              "1:4",
		"a: 'fine'\nb: \"x\nc: 1\n":            "2:4",
		"- a\nb: 1\n":                          "2:1",
		"a: \"\\z\"\n":                         "1:5",
		"ok: 1\nlong:\n  more: [1, 2]\nx: *no": "4:4",
	} {
		d := Parse("f.yaml", ".", []byte(src))
		ps := d.Problems()
		if len(ps) != 1 || fmt.Sprintf("%d:%d", ps[0].Line, ps[0].Col) != want || ps[0].Code != CodeSyntax {
			t.Errorf("%q: want a syntax error at %s, got %v", src, want, ps)
		}
	}
}

// TestSyntaxPositionsOfLargeFiles: the search for the place of an error ends
// long before it has parsed a large file many times; the line is then that of the
// parser.
func TestSyntaxPositionsOfLargeFiles(t *testing.T) {
	good := strings.Repeat("# b\n", 100_000)
	for src, want := range map[string]string{
		good + "- [":                         "100001:1",
		good + "\tb: c\n":                    "100001:1",
		good + "- *nothing\n":                "100001:3",
		"a: \"" + strings.Repeat("x", 1<<18): "1:4",
	} {
		ps := Parse("f.yaml", ".", []byte(src)).Problems()
		if len(ps) != 1 || fmt.Sprintf("%d:%d", ps[0].Line, ps[0].Col) != want || ps[0].Code != CodeSyntax {
			t.Errorf("...%q: want a syntax error at %s, got %v", src[len(src)-10:], want, strings.Join(codes(ps), " "))
		}
	}
}

func TestReferences(t *testing.T) {
	t.Setenv("NODE_TEST", "s3cret: [${env:HOME}")
	t.Setenv("NODE_EMPTY", "")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, MaxFileRef+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ src, text, problems string }{
		{"text: a ${env:NODE_TEST} b", "a s3cret: [${env:HOME} b", ""},
		{"text: ${file:token}", "from file", ""},
		{"text: ${env:NODE_EMPTY}", "", ""},
		{"text: ${env:NODE_EMPTY:-d}", "d", ""},
		{"text: \"${env:NODE_UNSET:-a:b}\"", "a:b", ""},
		{"text: $${env:NODE_TEST}", "${env:NODE_TEST}", ""},
		{"text: $$ ${x} $${y}", "$$ ${x} $${y}", ""},
		{"text: ab${env:NODE_UNSET}", "", "1:9 unresolved-variable"},
		{"text: ${file:none}", "", "1:7 unresolved-variable"},
		{"text: ${file:big}", "", "1:7 unresolved-variable"},
		{"text: ${file:.}", "", "1:7 unresolved-variable"},
		{"text: \"${file:}\"", "", "1:8 bad-reference"},
		{"text: ${env:1X}", "", "1:7 bad-reference"},
		{"text: ${env:NODE_TEST", "", "1:7 bad-reference"},
		{"n: ${env:NODE_UNSET}", "", "1:4 unresolved-variable"},
	} {
		d := Parse("f.yaml", dir, []byte(c.src))
		var v outer
		d.Root().Decode(&v)
		if got := strings.Join(codes(d.Problems()), " "); got != c.problems || v.Text != c.text {
			t.Errorf("%s: got %q with problems %q, want %q with %q", c.src, v.Text, got, c.text, c.problems)
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Setenv("NODE_A", "aaa")
	t.Setenv("NODE_B", "bbb")
	v, d := decode(t, "text: x ${env:NODE_A} y\npublic: ${env:NODE_B}\nany: ['${env:NODE_A}', '${env:NODE_NO:-ddd}']")
	if v.Public != "bbb" {
		t.Errorf("public = %q", v.Public)
	}
	if diff := cmp.Diff([]string{"aaa"}, d.Secrets()); diff != "" {
		t.Error(diff)
	}
	if got := string(d.Root().Canonical()); !strings.Contains(got, "${env:NODE_A}") || strings.Contains(got, "aaa") {
		t.Errorf("canonical form: %s", got)
	}
}

// TestProblemsHideSecrets: a message about a resolved value shows the
// reference.
func TestProblemsHideSecrets(t *testing.T) {
	t.Setenv("NODE_SECRET", "hunter\"2")
	_, d := decode(t, "mode: ${env:NODE_SECRET}")
	d.Root().Lookup("mode").Problem("x", "hint hunter\"2", "value %q or hunter\"2", "hunter\"2")
	ps := d.Problems()
	if text := ps.Error(); strings.Contains(text, "hunter") || len(ps) != 2 {
		t.Errorf("%d problems:\n%s", len(ps), text)
	}
}

func TestLookupAndPath(t *testing.T) {
	d := Parse("f.yaml", ".", []byte("a:\n  b: [x, { \"c.d\": y }]\n"))
	for path, want := range map[string]string{
		"":                   "",
		"a.b[1]":             "a.b[1]",
		`a.b[1]["c.d"]`:      `a.b[1]["c.d"]`,
		"a.b[7]":             "a.b",
		"a.nothing.deeper":   "a",
		"nothing":            "",
		`a.b[1]["c.d"].more`: `a.b[1]["c.d"]`,
	} {
		if got := d.Root().Lookup(path).Path(); got != want {
			t.Errorf("Lookup(%q).Path() = %q, want %q", path, got, want)
		}
	}
}

func TestProblemRendering(t *testing.T) {
	p := Problem{Pos: Pos{"f.yaml", 12, 4}, Code: "c", Path: "a.b", Message: "wrong", Hint: "right", Source: "\tä\x1b[31mx: 1"}
	want := "f.yaml:12:4: a.b: wrong (right) [c]\n   12 | \tä\ufffd[31mx: 1\n      | \t  ^"
	if got := (Problems{p}).Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	long := Problem{Pos: Pos{"f", 1, 5001}, Source: strings.Repeat("a", 5000) + "X" + strings.Repeat("b", 5000)}
	lines := strings.Split(long.Excerpt(), "\n")
	if len(lines) != 2 || len(lines[0]) > 150 || lines[0][strings.Index(lines[1], "^")] != 'X' {
		t.Errorf("excerpt of a long line:\n%s", long.Excerpt())
	}
}

// TestLongLines: a file that is one long line has problems without excerpts
// and without exact places inside scalars, rather than costing the square of
// its length.
func TestLongLines(t *testing.T) {
	src := "{ text: \"" + strings.Repeat("x", maxLine) + "${{ a }}\", no: 1 }"
	_, d := decode(t, src)
	ps := d.Problems()
	if got, want := strings.Join(codes(ps), " "), fmt.Sprintf("1:9 wrong-type 1:%d unknown-key", strings.Index(src, "no:")+1); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if strings.Contains(ps.Error(), "^") {
		t.Error("a long line is shown")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"concurrency", "retry", "when", "as"}
	for in, want := range map[string]string{"concurency": "concurrency", "wehn": "when", "timeout": "", "": "", "retyr": "retry", "at": "as"} {
		if got := Nearest(in, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a: 1", "a: &a [*a]", "a:\n\t- b", "a: \"", "<<: {[1]: 2}", "? [a]\n: b", "a: |\n  ${{ x }}\n", "a: ${env:HOME}", "--- \n...\n---\n", "a: \xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d := Parse("f.yaml", ".", src)
		if d.Root() != nil {
			var v outer
			d.Root().Decode(&v)
			d.Root().Value()
			first := d.Root().Canonical()
			if len(d.Problems()) == 0 {
				again := Parse("f.yaml", ".", first)
				if again.Root() == nil {
					t.Fatalf("the canonical form is not YAML: %s", first)
				}
			}
		} else if len(d.Problems()) == 0 {
			t.Fatal("neither a tree nor a problem")
		}
		for _, p := range d.Problems() {
			if p.Line < 1 || p.Col < 1 || p.Code == "" || p.Message == "" {
				t.Fatalf("bad problem %+v", p)
			}
		}
		_ = d.Problems().Error()
	})
}

// TestKeyProblem: a finding about a field as a whole stands at its key, or at
// the deepest key on the way to it.
func TestKeyProblem(t *testing.T) {
	d := Parse("f.yaml", ".", []byte("a:\n  b:\n    - c: 1\n"))
	for path, want := range map[string]string{
		"a.b[0].c":      "3:7 a.b[0].c",
		"a.b[0].d":      "3:7 a.b[0].d",
		"a.b[3].d":      "2:3 a.b[3].d",
		"a.x":           "1:1 a.x",
		`a["x.y"]`:      `1:1 a["x.y"]`,
		"nothing.there": "1:1 nothing.there",
	} {
		before := len(d.problems)
		d.Root().KeyProblem(path, "code", "", "text")
		p := d.problems[before]
		if got := fmt.Sprintf("%d:%d %s", p.Line, p.Col, p.Path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	d.Root().Lookup("a.b").KeyProblem("[0].c", "code", "", "text")
	if p := d.problems[len(d.problems)-1]; p.Path != "a.b[0].c" {
		t.Errorf("path %s", p.Path)
	}
}
