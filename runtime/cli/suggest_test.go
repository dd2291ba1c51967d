package cli

import "testing"

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
