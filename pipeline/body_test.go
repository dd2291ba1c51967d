package pipeline

import "testing"

// TestContent: programs get the text of a JSON string, and everything else as
// its bytes are; looking at the value changes nothing.
func TestContent(t *testing.T) {
	for name, c := range map[string]struct {
		body Body
		want string
	}{
		"string of a queue": {RawBody([]byte(`"two\nlines"`), MediaJSON), "two\nlines"},
		"string value":      {JSONBody("a \"b\""), `a "b"`},
		"object":            {RawBody([]byte(`{"a": "b"}`), MediaJSON), `{"a": "b"}`},
		"number":            {JSONBody(7), "7"},
		"bytes with quotes": {RawBody([]byte(`"a"`), ""), `"a"`},
		"text with quotes":  {RawBody([]byte(`"a"`), MediaText), `"a"`},
		"nothing":           {Body{}, ""},
		"white space first": {RawBody([]byte(" \"a\""), MediaJSON), "a"},
	} {
		for _, looked := range []bool{false, true} {
			b := c.body
			if looked {
				if _, err := b.Value(); err != nil {
					t.Fatal(name, err)
				}
			}
			if got, err := b.Content(); err != nil || string(got) != c.want {
				t.Errorf("%s (looked at: %t): %q, %v; want %q", name, looked, got, err, c.want)
			}
		}
	}
	broken := RawBody([]byte(`"a`), MediaJSON)
	if _, err := broken.Content(); err == nil {
		t.Error("half a string has content")
	}
}
