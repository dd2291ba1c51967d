package local

import (
	"strings"
	"testing"
	"time"
)

func TestParams(t *testing.T) {
	path, p := CutParams("some where?glob=a*%20b+c&n=7&d=1m30s&on=true")
	if path != "some where" || p.Text("glob", "") != "a* b+c" || p.Int("n", 1, 1, 9) != 7 || p.Duration("d", 0, 0) != 90*time.Second ||
		!p.Bool("on") || p.Bool("off") || p.Text("none", "x") != "x" || p.Int("m", 3, 4, 5) != 3 || p.Err() != nil {
		t.Errorf("%q: %+v", path, p)
	}
	for query, want := range map[string]string{
		"":            "",
		"glob=x&":     "",
		"glob":        "name=value",
		"=x":          "name=value",
		"glob=%zz":    "name=value",
		"glob=a&n=10": "want a whole number 1 to 9",
		"n=x":         "want a whole number",
		"n=1&n=2":     `"n" twice`,
		"d=soon":      "want a duration",
		"d=1ms":       "want a duration of 1s or more",
		"on=yes":      "want true, false",
		"glbo=x":      "did you mean glob?",
		"elephant=x":  "known: glob, n, d, on",
	} {
		_, p := CutParams("x?" + query)
		p.Text("glob", "")
		p.Int("n", 1, 1, 9)
		p.Duration("d", time.Minute, time.Second)
		p.Bool("on")
		err := p.Err()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: error %v, want %q", query, err, want)
		}
	}
}
