package manifest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

const full = `{
  "name": "readable", "version": "1.2.0-rc.1+build", "description": "keeps the text of a page",
  "state": "pure", "reuse": true,
  "ports": ["articles", "rest"], "wants": ["http", "secret"],
  "config": {
    "type": "object", "additionalProperties": false, "required": ["lang"],
    "properties": {
      "lang": {"type": "string", "minLength": 2},
      "minWords": {"type": "integer", "minimum": 1, "maximum": 1e6},
      "rules": {"type": "array", "items": {"$ref": "#/$defs/rule"}}
    },
    "$defs": {"rule": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "a.b": {"type": "boolean"}}}}
  },
  "samples": [
    {"name": "short", "config": {"lang": "en"}, "value": "a b", "want": [{"op": "keep", "port": "rest"}]},
    {"name": "bytes", "config": {"lang": "en"}, "key": "k", "value64": "/wA=", "meta": {"a": "b"}, "time": 18446744073709551615, "seed": 7,
     "want": [{"op": "slice", "value": "x"}, {"op": "put", "key": "k2", "value64": "AAE=", "port": "articles"}], "fuel": 120},
    {"name": "bad", "config": {"lang": "en"}, "error": {"message": "no", "kind": "retry"}},
    {"name": "none", "config": {"lang": "en"}}
  ],
  "warmup": "short"
}`

func TestParse(t *testing.T) {
	m, err := manifest.Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "readable" || m.State != manifest.StatePure || !m.Reuse || m.Warmup != "short" || len(m.Samples) != 4 {
		t.Errorf("%+v", m)
	}
	s := m.Samples[1]
	if string(s.Bytes()) != "\xff\x00" || s.Time != 1<<64-1 || s.Fuel != 120 || string(s.Want[1].Bytes()) != "\x00\x01" || string(s.Want[0].Bytes()) != "x" {
		t.Errorf("%+v", s)
	}
	if e := m.Samples[2].Error; e == nil || e.Kind != manifest.ErrorRetry {
		t.Errorf("%+v", e)
	}
	small, err := manifest.Parse([]byte(`{"name":"a","version":"0.0.1"}`))
	if err != nil || small.State != manifest.StatePure || len(small.CheckConfig([]byte(`{"any":"thing"}`))) > 0 {
		t.Errorf("%+v, %v", small, err)
	}
}

// problems lists path and code of every problem.
func problems(t *testing.T, err error) []string {
	t.Helper()
	var all manifest.Error
	if !errors.As(err, &all) {
		t.Fatalf("%v is no list of problems", err)
	}
	return codes(all)
}

func codes(all []manifest.Problem) (out []string) {
	for _, p := range all {
		out = append(out, strings.TrimSpace(p.Path+" "+p.Code))
	}
	return out
}

const head = `"name":"a","version":"1.0.0"`

func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		name, json string
		want       []string
		text       string
	}{
		{"nothing", ``, []string{"syntax"}, "ends too early"},
		{"not JSON", `{name: 1}`, []string{"syntax"}, "not JSON"},
		{"two values", `{` + head + `} {}`, []string{"syntax"}, "more text"},
		{"not UTF-8", "{\"name\":\"\xff\"}", []string{"syntax"}, "UTF-8"},
		{"too deep", strings.Repeat("[", 100), []string{"syntax"}, "deeper than 64"},
		{"too large", `{` + head + strings.Repeat(" ", manifest.MaxSize) + `}`, []string{"out-of-range"}, "the limit is 1048576"},
		{"a list", `[]`, []string{"wrong-type"}, "want object, got array"},
		{"set twice", `{` + head + `,"state":"lane","state":"pure"}`, []string{"state syntax"}, "set twice"},
		{"a number without end", `{` + head + `,"config":{"maximum":1e-999999999}}`, []string{"config.maximum syntax"}, "too small"},
		{"everything missing", `{}`, []string{"name missing-key", "version missing-key"}, "required"},
		{"unknown keys", `{` + head + `,"port":[],"Reuse":true}`, []string{"Reuse unknown-key", "port unknown-key"}, "did you mean ports?"},
		{"names", `{"name":"A b","version":"1.0"}`, []string{"name bad-value", "version bad-value"}, "must match"},
		{"all at once", `{"name":"a","version":1,"state":"purple","wants":["http","http","files"],"reuse":"yes","warmup":3}`,
			[]string{"reuse wrong-type", "state bad-value", "version wrong-type", "wants bad-value", "wants[2] bad-value", "warmup wrong-type"}, `want one of "pure", "lane", "isolated"`},
		{"ports", `{` + head + `,"ports":["a","a","B"]}`, []string{"ports bad-value", "ports[2] bad-value"}, "equal"},
		{"too many ports", `{` + head + `,"ports":["p` + strings.Join(numbers(65), `","p`) + `"]}`, []string{"ports out-of-range"}, "64 elements at most"},
		{"reuse of a lane", `{` + head + `,"state":"lane","reuse":true}`, []string{"reuse bad-value"}, "pure"},
		{"samples", `{` + head + `,"ports":["left"],"warmup":"w","samples":[{"name":"s"},{"name":"s","value":"a","value64":"YQ==","want":[{"op":"keep","value":"x"},{"op":"slice","key":"k"},{"op":"put","value":"v","value64":"dg==","port":"lef"}]},{"name":"e","error":{},"want":[{"op":"keep"}]}]}`,
			[]string{"samples[1].name bad-value", "samples[1].value64 bad-value", "samples[1].want[0].value bad-value", "samples[1].want[1].key bad-value",
				"samples[1].want[2].value64 bad-value", "samples[1].want[2].port bad-value", "samples[2].error bad-value", "warmup bad-value"}, "did you mean left?"},
		{"sample's shape", `{` + head + `,"samples":[{"value64":"?","want":[{"op":"copy"},{}],"error":{"kind":"fatal"},"fuel":-1,"time":1.5,"seed":18446744073709551616}]}`,
			[]string{"samples[0].error.kind bad-value", "samples[0].fuel out-of-range", "samples[0].name missing-key", "samples[0].seed out-of-range",
				"samples[0].time wrong-type", "samples[0].value64 bad-value", "samples[0].want[0].op bad-value", "samples[0].want[1].op missing-key"}, "base64"},
		{"sample against the schema", `{` + head + `,"config":{"required":["a"],"properties":{"a":{"type":"integer"}}},"samples":[{"name":"x"},{"name":"y","config":{"a":"1"}}]}`,
			[]string{"samples[0].config.a missing-key", "samples[1].config.a wrong-type"}, "want integer, got string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.Parse([]byte(tt.json))
			if err == nil {
				t.Fatal("taken")
			}
			if d := cmp.Diff(tt.want, problems(t, err)); d != "" {
				t.Errorf("%s\n%v", d, err)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%q is not in %v", tt.text, err)
			}
		})
	}
}

func numbers(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strings.Repeat("x", i%30) + string(rune('a'+i/30))
	}
	return out
}

func TestParseSample(t *testing.T) {
	m, err := manifest.Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.ParseSample([]byte(`{"name":"case","config":{"lang":"de"},"value":"x","want":[{"op":"keep","port":"rest"}]}`))
	if err != nil || s.Name != "case" || string(s.ConfigJSON()) != `{"lang":"de"}` {
		t.Errorf("%+v, %v", s, err)
	}
	_, err = m.ParseSample([]byte(`{"name":"case","wants":[]}`))
	if d := cmp.Diff([]string{"wants unknown-key"}, problems(t, err)); d != "" {
		t.Error(d)
	}
	_, err = m.ParseSample([]byte(`{"name":"case","want":[{"op":"keep","port":"up"}]}`))
	if d := cmp.Diff([]string{"want[0].port bad-value", "config.lang missing-key"}, problems(t, err)); d != "" {
		t.Error(d)
	}
}
