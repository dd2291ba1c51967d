package cli

import "testing"

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"run", "run", 0}, {"rnu", "run", 1}, {"check", "chek", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}} {
		if got := distance(tt.a, tt.b); got != tt.want || distance(tt.b, tt.a) != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d both ways", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestSuggest(t *testing.T) {
	names := []string{"run", "check", "enqueue", "queue", "verify"}
	for written, want := range map[string]string{
		"chekc": "did you mean check?", "enqeue": "did you mean enqueue?", "queu": "did you mean queue?", "frobnicate": "none",
	} {
		if got := suggest(written, names, "none"); got != want {
			t.Errorf("suggest(%q) = %q, want %q", written, got, want)
		}
	}
}
