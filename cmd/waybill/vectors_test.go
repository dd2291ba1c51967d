package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/runtime/cli"
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
	t.Setenv("WAYBILL_CACHE", t.TempDir())
	t.Setenv("WAYBILL_RUNTIME_DIR", t.TempDir())
	bad := 0
	for _, file := range files {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		if wants := wantsOf(t, path); len(wants) > 0 {
			bad++
			sameText(t, path, wants)
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

// inProcess runs a command line here: two hundred processes would cost more
// than all other tests.
func inProcess(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	var out bytes.Buffer
	code = cli.Run(t.Context(), parts(), args, strings.NewReader(""), &out, &out)
	return out.String(), code
}

func sameText(t *testing.T, path string, wants []string) {
	t.Helper()
	text, code := inProcess(t, "check", path)
	if code != 2 {
		t.Errorf("check %s: exit %d: %s", filepath.Base(path), code, text)
	}
	for _, want := range wants {
		at, code, _ := strings.Cut(want, " ")
		if !strings.Contains(text, path+":"+at+": ") || !strings.Contains(text, "["+code+"]") {
			t.Errorf("check %s does not name %s: %s", filepath.Base(path), want, text)
		}
	}
	if again, code := inProcess(t, "run", path, "--until-empty"); code != 2 || again != text {
		t.Errorf("run %s: exit %d and another text than check:\n%s\n%s", filepath.Base(path), code, again, text)
	}
}
