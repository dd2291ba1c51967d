package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const vectors = "../../spec/vectors/config"

// TestVectors runs check, plan and run on every pipeline file of the
// specification: each refuses a bad one with the same text, and check names the
// problems that the file itself lists as "# want line:col code path".
func TestVectors(t *testing.T) {
	files, err := filepath.Glob(vectors + "/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d vectors, %v; want at least 40", len(files), err)
	}
	w := workspace{t, t.TempDir()}
	bad := 0
	for _, file := range files {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		if wants := wantsOf(t, path); len(wants) > 0 {
			bad++
			w.sameText(path, wants)
		}
	}
	if bad < 40 {
		t.Errorf("%d bad files, want at least 40", bad)
	}
}

// wantsOf reads the problems that a vector announces, as "line:col".
func wantsOf(t *testing.T, path string) (out []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^# want (\d+:\d+) (\S+)`).FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1]+" "+m[2])
	}
	return out
}

func (w workspace) sameText(path string, wants []string) {
	w.t.Helper()
	text, code := w.waybill("check", path)
	if code != 2 {
		w.t.Errorf("check %s: exit %d: %s", filepath.Base(path), code, text)
	}
	for _, want := range wants {
		at, code, _ := strings.Cut(want, " ")
		if !strings.Contains(text, path+":"+at+": ") || !strings.Contains(text, "["+code+"]") {
			w.t.Errorf("check %s does not name %s: %s", filepath.Base(path), want, text)
		}
	}
	if again, code := w.waybill("run", path, "--until-empty"); code != 2 || again != text {
		w.t.Errorf("run %s: exit %d and another text than check:\n%s\n%s", filepath.Base(path), code, again, text)
	}
}
