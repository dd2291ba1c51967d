package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// runner runs tests of the module at root. Its own files are in dir.
type runner struct {
	root, dir string
	race      bool
}

// sound runs the tests of all mutants as they are: a test that fails anyway shows
// nothing.
func (r runner) sound(ctx context.Context, mutants []mutant) error {
	tests := map[string][]string{}
	for _, m := range mutants {
		tests[m.driver] = append(tests[m.driver], m.tests...)
	}
	for driver, names := range tests {
		output, err := r.test(ctx, driver, names, "")
		if err != nil {
			return fmt.Errorf("%s: the tests fail without a change: %w\n%s", driver, err, output)
		}
	}
	return nil
}

// kill returns which test fails with the mutant. That none does is an error.
func (r runner) kill(ctx context.Context, m mutant) (test string, err error) {
	overlay, err := r.overlay(m)
	if err != nil {
		return "", err
	}
	output, err := r.test(ctx, m.driver, m.tests, overlay)
	test = deepest(output)
	switch {
	case err == nil:
		return "", fmt.Errorf("%s survives without the guard %q", m.driver, m.guard)
	case ctx.Err() != nil:
		return "", ctx.Err()
	case test == "":
		return "", fmt.Errorf("%s without the guard %q does not even build or start: %w\n%s", m.driver, m.guard, err, output)
	}
	return test, nil
}

// overlay writes the changed files and the list of them that the go command
// reads, and returns that.
func (r runner) overlay(m mutant) (string, error) {
	files := map[string]string{} // path to content
	for _, c := range m.changes {
		path, err := filepath.Abs(filepath.Join(r.root, folder(m.driver), c.file))
		if err != nil {
			return "", err
		}
		text, ok := files[path]
		if !ok {
			data, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			text = string(data)
		}
		if files[path], err = c.apply(text); err != nil {
			return "", fmt.Errorf("%s/%s, guard %q: %w", m.driver, c.file, m.guard, err)
		}
	}
	list := struct{ Replace map[string]string }{map[string]string{}}
	for path, text := range files {
		copied := filepath.Join(r.dir, filepath.Base(path))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			return "", err
		}
		list.Replace[path] = copied
	}
	data, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	path := filepath.Join(r.dir, "overlay.json")
	return path, os.WriteFile(path, data, 0o600)
}

// apply makes the change. Its text must be there once: a mutant that changes
// nothing, or something else, would show nothing.
func (c change) apply(text string) (string, error) {
	if n := strings.Count(text, c.old); n != 1 {
		return "", fmt.Errorf("the text is there %d times, want once; bring internal/mutate/table.go up to date:\n%s", n, c.old)
	}
	return strings.Replace(text, c.old, c.new, 1), nil
}

func folder(driver string) string { return filepath.Join("stages", "claim", driver) }

// test runs the tests, each of them a name like Test/sub, until one fails.
func (r runner) test(ctx context.Context, driver string, names []string, overlay string) (output string, err error) {
	args := []string{"test", "-count=1", "-failfast", "-timeout=2m", "-vet=off", "-run", pattern(names)}
	if r.race {
		args = append(args, "-race")
	}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+filepath.ToSlash(folder(driver)))...)
	cmd.Dir = r.root
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	err = cmd.Run()
	return buf.String(), err
}

// pattern selects tests by their full names: the part before the slash, and the
// part behind it, which a test without parts does not look at.
func pattern(names []string) string {
	var top, sub []string
	for _, name := range names {
		first, rest, parts := strings.Cut(name, "/")
		top = append(top, regexp.QuoteMeta(first))
		if parts {
			sub = append(sub, regexp.QuoteMeta(strings.ReplaceAll(rest, " ", "_")))
		}
	}
	out := "^(" + strings.Join(top, "|") + ")$"
	if len(sub) > 0 {
		out += "/^(" + strings.Join(sub, "|") + ")$"
	}
	return out
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// deepest returns the failed test with the longest name: its parents fail with it.
func deepest(output string) (test string) {
	for _, m := range failedTest.FindAllStringSubmatch(output, -1) {
		if len(m[1]) > len(test) {
			test = m[1]
		}
	}
	if test == "" && strings.Contains(output, "panic: test timed out") {
		return "timeout"
	}
	return test
}
