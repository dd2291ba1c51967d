// Package examples tests what the README shows.
package examples

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins"
	"github.com/waybill-dev/waybill/runtime/cli"
	"github.com/waybill-dev/waybill/stages"
)

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// blocks returns the fenced blocks of a language in the README.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range fence.FindAllStringSubmatch(string(readme), -1) {
		if m[1] == language {
			out = append(out, m[2])
		}
	}
	if len(out) == 0 {
		t.Fatalf("the README has no %s block", language)
	}
	return out
}

func TestReadmePipelines(t *testing.T) {
	set := pipeline.NewSet(append(stages.All(), plugins.Def())...)
	for _, src := range blocks(t, "yaml") {
		// As if it stood beside the example's kernel.
		if _, problems := pipeline.Load("capture/readme.yaml", []byte(src), set); len(problems) > 0 {
			t.Errorf("%v", problems)
		}
	}
}

// Every command line of the README is one that the program takes.
func TestReadmeCommands(t *testing.T) {
	parts := cli.Parts{Defs: append(stages.All(), plugins.Def()), Queues: stages.Queues(), Objects: stages.Stores(),
		Verify: stages.Verifier(), Kernels: plugins.Tools{}, Probes: stages.Probes()}
	commands := 0
	for _, block := range blocks(t, "sh") {
		for _, line := range strings.Split(block, "\n") {
			line, _, _ = strings.Cut(line, "#")
			args, ok := strings.CutPrefix(strings.TrimSpace(line), "waybill ")
			if !ok {
				continue
			}
			args, _, _ = strings.Cut(args, " <")
			args, _, _ = strings.Cut(args, " >")
			var stdout, stderr bytes.Buffer
			code := cli.Run(context.Background(), parts, append(strings.Fields(args), "--help"), strings.NewReader(""), &stdout, &stderr)
			name := strings.Fields(args)[0]
			if code != 0 || !strings.Contains(stdout.String(), fmt.Sprintf("waybill %s", name)) {
				t.Errorf("waybill %s: exit %d: %s%s", args, code, stdout.String(), stderr.String())
			}
			commands++
		}
	}
	if commands < 7 {
		t.Errorf("found %d command lines only", commands)
	}
}
