package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp"
)

//go:embed peer.mjs
var peerScript []byte

// peerModes are puppeteer-cluster and Playwright, if they are installed in dir;
// why says what is missing.
func peerModes(dir string, bin cdp.Binary) (modes []mode, why string) {
	if _, err := exec.LookPath("node"); err != nil {
		return nil, "there is no node"
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "playwright-core")); err != nil {
		return nil, "run scripts/browser-peers first"
	}
	for _, m := range []struct {
		name, kind, tool string
		k                int
	}{
		{"puppeteer-cluster, new context, 1 at a time", "context", "cluster-context", 1},
		{"puppeteer-cluster, new context, 4 at a time", "context", "cluster-context", 4},
		{"puppeteer-cluster, reused page, 1 at a time", "page", "cluster-page", 1},
		{"playwright, new context, 1 at a time", "context", "playwright-context", 1},
		{"playwright, new context, 4 at a time", "context", "playwright-context", 4},
		{"playwright, reused page, 1 at a time", "page", "playwright-page", 1},
	} {
		modes = append(modes, mode{name: m.name, kind: m.kind, jobs: peer(dir, bin, m.tool, m.k), peer: true})
	}
	return modes, ""
}

// peer runs a peer in node: it prints a line when it is warm, works when told to,
// prints what it took, and ends when its input does.
func peer(dir string, bin cdp.Binary, tool string, k int) func(string, int) (cost, error) {
	return func(url string, n int) (c cost, err error) {
		script := filepath.Join(dir, "peer.mjs") // beside node_modules, where imports are looked up
		if err := os.WriteFile(script, peerScript, 0o644); err != nil {
			return c, err
		}
		flags, _ := json.Marshal(rawFlags)
		cmd := exec.Command("node", script, tool, strconv.Itoa(k), strconv.Itoa(n), url, bin.Path, string(flags), extract)
		cmd.Stderr = os.Stderr
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		if err := errors.Join(err1, err2, cmd.Start()); err != nil {
			return c, err
		}
		defer func() {
			_ = in.Close()
			err = errors.Join(err, cmd.Wait())
		}()
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != "warm" {
			return c, fmt.Errorf("%s did not start: %s%v", tool, line, err)
		}
		before := treeCPU(cmd.Process.Pid, "")
		if _, err := fmt.Fprintln(in, "go"); err != nil {
			return c, err
		}
		var took struct{ Wall, CPU float64 } // ms
		line, err := lines.ReadString('\n')
		if err == nil {
			err = json.Unmarshal([]byte(line), &took)
		}
		ms := func(v float64) time.Duration { return time.Duration(v * float64(time.Millisecond)) }
		return cost{ms(took.Wall), treeCPU(cmd.Process.Pid, "") - before, ms(took.CPU), n}, err
	}
}
