package cas

import (
	"errors"
	"testing"
)

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		` { "b" : [3, 1] , "a" : 1.0 } `:     `{"a":1,"b":[3,1]}`,
		`[1,3]`:                              `[1,3]`, // order is content
		`{"\u20ac":1,"\r":2,"1":3}`:          "{\"\\r\":2,\"1\":3,\"€\":1}",
		`[1E30, 4.50, 2e-3, 1e-27, -0, 1e5]`: `[1e+30,4.5,0.002,1e-27,0,100000]`,
		"\"cafe\u0301\"":                     `"café"`,
		`"cafe\u0301"`:                       `"café"`,
		"{\"e\u0301\":1,\"f\":2}":            `{"f":2,"é":1}`,
		"\"\\n\u0303\"":                      "\"\\n\u0303\"", // the n of \n does not combine
		"\"<&>\u2028e\u0301\"":               "\"<&>\u2028é\"",
		`9007199254740992`:                   `9007199254740992`,
		`0.1`:                                `0.1`,
		`100000000000000000000`:              `100000000000000000000`,
	} {
		got, err := Canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for in, notExact := range map[string]bool{
		``: false, `{`: false, `{"a":1,"a":2}`: false, `{"a":1,"\u0061":2}`: false, "{\"\u00e9\":1,\"e\u0301\":2}": false,
		`"\ud800"`: false, "\"\xff\"": false, `[1,]`: false, `1 2`: false, `nul`: false, `01`: false,
		`9007199254740993`: true, `12345678901234567890`: true, `[1e-400]`: true, `0.10000000000000000001`: true, `1e400`: false, `333333333.33333329`: true,
	} {
		got, err := Canonical([]byte(in))
		if err == nil || errors.Is(err, ErrNotExact) != notExact {
			t.Errorf("%s: %s, %v; want an error, ErrNotExact: %v", in, got, err, notExact)
		}
	}
}

// The canonical form is a fixed point, and no input makes the code panic.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{"b":[1,2.50],"a":"e\u0301"}`, "\"\\n\u0303\"", `[-0,1e21,"\\\""]`, `{"a":{"b":null}}`, `123456789012345678`, `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		once, err := Canonical(in)
		if err != nil {
			return
		}
		twice, err := Canonical(once)
		if err != nil || string(once) != string(twice) {
			t.Errorf("%q: %q, then %q, %v", in, once, twice, err)
		}
	})
}
