package kernel

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestStrings(t *testing.T) {
	for in, want := range map[string]map[string]string{
		``:                                  {},
		` {} `:                              {},
		`{"a":"b"}`:                         {"a": "b"},
		` { "a" : "b" , "c":"" } `:          {"a": "b", "c": ""},
		`{"\u0061\n":"\"\\\/\b\f\n\r\t"}`:   {"a\n": "\"\\/\b\f\n\r\t"},
		`{"é":"\u00e9日\ud83d\ude00"}`:       {"é": "é日😀"},
		`{"half":"\ud83d.","low":"\ude00"}`: {"half": "\ufffd.", "low": "\ufffd"},
		`{"a":"\ud83d\u0041"}`:              {"a": "\ufffdA"},
	} {
		got, err := Strings([]byte(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestStringsRefuses(t *testing.T) {
	for in, want := range map[string]string{
		`[]`:             "not a JSON object",
		`{`:              "not a string",
		`{"a"`:           "no colon",
		`{"a":1}`:        `value of "a": not a string`,
		`{"a":"b"`:       "no comma or brace",
		`{"a":"b",}`:     "not a string",
		`{"a":"b" "c"}`:  "no comma or brace",
		`{"a":"b}`:       "without end",
		`{"a":"\`:        "without end",
		`{"a":"\x"}`:     "unknown escape",
		`{"a":"\u12"}`:   "unknown escape",
		`{"a":"\u+123"}`: "unknown escape",
		"{\"a\":\"\n\"}": "control character",
		`{"a":"b"} x`:    "text after",
	} {
		if got, err := Strings([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, %v; want %q", in, got, err, want)
		}
	}
}

// FuzzStrings: what Strings takes, encoding/json reads alike, and what
// appendText writes, both read back.
func FuzzStrings(f *testing.F) {
	f.Add(`{"a":"b\u00e9\ud83d\ude00"}`, "text \x00 \" \\ é")
	f.Fuzz(func(t *testing.T, object, text string) {
		if got, err := Strings([]byte(object)); err == nil && len(got) > 0 {
			var want map[string]string
			if err := json.Unmarshal([]byte(object), &want); err != nil {
				t.Fatalf("%q is taken, encoding/json says %v", object, err)
			}
			for key, value := range got { // damaged UTF-8 stays as it is here
				if want[strings.ToValidUTF8(key, "\ufffd")] != strings.ToValidUTF8(value, "\ufffd") && strings.ToValidUTF8(object, "") == object {
					t.Fatalf("%q: got %q, want %q", object, got, want)
				}
			}
		}
		var back string
		if err := json.Unmarshal(appendText(nil, text), &back); err != nil || strings.ToValidUTF8(text, "\ufffd") == text && back != text {
			t.Fatalf("%q came back as %q, %v", text, back, err)
		}
	})
}
