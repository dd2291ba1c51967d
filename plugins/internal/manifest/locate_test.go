package manifest

import (
	"fmt"
	"testing"
)

func TestLocate(t *testing.T) {
	const text = "{\n  \"name\": \"größe\", \"state\": 1,\n  \"samples\": [\n    {\"a.b\": 2, \"v\": [1,\n      2]},\n    {}\n  ], \"v\": 1, \"v\": 2\n}"
	for _, tt := range []struct{ text, path, code, want string }{
		{text, "", "missing-key", "1:1"},
		{text, "name", "bad-value", "2:3"},
		{text, "state", "wrong-type", "2:20"},
		{text, "samples[0]", "", "4:5"},
		{text, `samples[0]["a.b"]`, "", "4:6"},
		{text, "samples[0].v", "", "4:16"},
		{text, "samples[0].v[1]", "", "5:7"},
		{text, "samples[1].name", "missing-key", "6:5"},
		{text, "samples[7]", "", "3:3"},
		{text, "v", "syntax", "7:14"},
		{text, "version", "missing-key", "1:1"},
		{"{\n \"a\": tru }", "", "syntax", "2:10"},
		{"{\n \"a\": ,}", "", "syntax", "2:7"},
		{"[1,\n2", "", "syntax", "2:1"},
		{"{} \n x", "", "syntax", "2:2"},
		{"\xff", "", "syntax", "1:1"},
		{"", "", "syntax", "1:1"},
		{"x", "", "syntax", "1:1"},
	} {
		line, column := Locate([]byte(tt.text), Problem{Path: tt.path, Code: tt.code})
		if got := fmt.Sprintf("%d:%d", line, column); got != tt.want {
			t.Errorf("%q %s: got %s, want %s", tt.text, tt.path, got, tt.want)
		}
	}
}
