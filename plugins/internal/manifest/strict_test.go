package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// anything is a manifest without a schema, which takes any JSON that has one
// meaning.
func anything(t testing.TB) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Parse([]byte(`{` + head + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestStrict(t *testing.T) {
	m := anything(t)
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct {
		json string
		want []string
	}{
		{`{}`, nil},
		{` [1, 2.5, -0, 0.0, 0e5, 1e308, 4.9e-324, "a\u00e9\ud83d\ude00", true, null, {"a": {}}] `, nil},
		{deep(64), nil},
		{deep(66), []string{"syntax"}},
		{`[1e309]`, []string{"[0] syntax"}},
		{`{"a":[0,1e-400]}`, []string{"a[1] syntax"}},
		{`[0.` + strings.Repeat("1", 400) + `]`, []string{"[0] syntax"}},
		{`{"a":{"b":1,"b":2,"c":[{"d":1,"d":1}]}}`, []string{"a.b syntax", "a.c[0].d syntax"}},
		{`{"a":1,"\u0061":2}`, []string{"a syntax"}},
		{`{"a":1,"a":1e999,"b`, []string{"a syntax", "a syntax", "syntax"}},
		{`{"a.b":{"":{"c d":{"e\"f":1e999}}}}`, []string{`["a.b"][""]["c d"]["e\"f"] syntax`}},
		{`01`, []string{"syntax"}},
		{`NaN`, []string{"syntax"}},
		{`{"a":1,}`, []string{"syntax"}},
		{`[1,2`, []string{"syntax"}},
		{`{"a"`, []string{"syntax"}},
		{`{} x`, []string{"syntax"}},
		{"\ufeff{}", []string{"syntax"}},
		{"\"\xc3\x28\"", []string{"syntax"}},
	} {
		if d := cmp.Diff(tt.want, codes(m.CheckConfig([]byte(tt.json)))); d != "" {
			t.Errorf("%.60s: %s", tt.json, d)
		}
	}
}

// TestProblemText: how a problem reads, and a list of them.
func TestProblemText(t *testing.T) {
	list := manifest.Error{
		{Path: "ports[2]", Message: "must match x", Code: "bad-value"},
		{Message: "not JSON", Code: "syntax", Hint: "look at it"},
	}
	if got, want := list.Error(), "ports[2]: must match x\nnot JSON (look at it)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, tt := range [][3]string{
		{"with", "a.b", "with.a.b"}, {"with", `["a.b"].c`, `with["a.b"].c`}, {"with", "[1]", "with[1]"}, {"with", "", "with"}, {"", "a", "a"}, {"", "", ""},
	} {
		if got := manifest.Join(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%q and %q: %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}

// TestLongLists: what a schema allows is told up to a bound.
func TestLongLists(t *testing.T) {
	m := withSchema(t, `{"properties":{
		"e":{"enum":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22]},
		"f":{"anyOf":[{"const":1},{"const":2},{"const":3},{"const":3},{"const":4},{"const":5}]}}}`)
	got := manifest.Error(m.CheckConfig([]byte(`{"e":0,"f":0}`))).Error()
	want := "e: want one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, ...\n" +
		"f: fits none of its forms: want 1; want 2; want 3; want 4; ..."
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestOrder: findings come in the order of their paths, whatever order a map
// had.
func TestOrder(t *testing.T) {
	m := withSchema(t, `{"additionalProperties":false,"required":["q","b"],"properties":{"m":{"type":"integer"},"c":{"type":"integer"}}}`)
	want := []string{"a unknown-key", "b missing-key", "c wrong-type", "m wrong-type", "q missing-key", "z unknown-key"}
	for range 20 {
		if d := cmp.Diff(want, codes(m.CheckConfig([]byte(`{"z":1,"m":"x","c":"x","a":1}`)))); d != "" {
			t.Fatal(d)
		}
	}
}

// TestReferences: definitions are used where they are referred to, as often as
// one likes, and next to other keywords.
func TestReferences(t *testing.T) {
	m := withSchema(t, `{
		"properties":{"a":{"$ref":"#/$defs/short","pattern":"^x"},"b":{"items":{"$ref":"#/$defs/pair"}}},
		"$defs":{
			"short":{"type":"string","maxLength":2},
			"pair":{"prefixItems":[{"$ref":"#/$defs/short"},{"$ref":"#/$defs/short"}],"items":false},
			"unused":{"type":"null"}}}`)
	got := codes(m.CheckConfig([]byte(`{"a":"yyy","b":[["x","y"],["xxx",1],["x","y","z"]]}`)))
	want := []string{"a out-of-range", "a bad-value", "b[1][0] out-of-range", "b[1][1] wrong-type", "b[2][2] unknown-key"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestSamplesShareTheWork: many small configurations cost as much as one large.
func TestSamplesShareTheWork(t *testing.T) {
	schema := `{"enum":["` + strings.Repeat("x", 100_000) + `"]}`
	sample := func(name string) string {
		return `{"name":"` + name + `","config":{"p":"` + strings.Repeat("y", 200) + `"}}`
	}
	one := `{` + head + `,"config":` + schema + `,"samples":[` + sample("a") + `]}`
	if _, err := manifest.Parse([]byte(one)); err == nil || strings.Contains(err.Error(), "too many") {
		t.Errorf("one sample: %v", err)
	}
	all := make([]string, 5)
	for i := range all {
		all[i] = sample(string(rune('a' + i)))
	}
	many := `{` + head + `,"config":` + schema + `,"samples":[` + strings.Join(all, ",") + `]}`
	if _, err := manifest.Parse([]byte(many)); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("five samples: %.200v", err)
	}
}

func TestSampleBytes(t *testing.T) {
	m, err := manifest.Parse([]byte(`{` + head + `,"samples":[
		{"name":"text","value":"é"},
		{"name":"bytes","value64":"AP8="},
		{"name":"empty","value64":""},
		{"name":"none","want":[{"op":"put","value":"v"},{"op":"put","value64":"gA=="},{"op":"slice"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"é", "\x00\xff", "", ""} {
		if got := string(m.Samples[i].Bytes()); got != want {
			t.Errorf("%s: %q, want %q", m.Samples[i].Name, got, want)
		}
		if got := string(m.Samples[i].ConfigJSON()); got != "{}" {
			t.Errorf("config %s", got)
		}
	}
	for i, want := range []string{"v", "\x80", ""} {
		if got := string(m.Samples[3].Want[i].Bytes()); got != want {
			t.Errorf("%d: %q, want %q", i, got, want)
		}
	}
}

// TestManyUnknownKeys: a flood of findings is cut, and always at the same place.
func TestManyUnknownKeys(t *testing.T) {
	var b strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&b, `"k%04d":1,`, i)
	}
	_, err := manifest.Parse([]byte(`{` + b.String() + head + `}`))
	got := problems(t, err)
	if len(got) != 100 || got[0] != "k0000 unknown-key" || got[99] != "k0099 unknown-key" {
		t.Errorf("%d problems, %v", len(got), got[:min(3, len(got))])
	}
}
