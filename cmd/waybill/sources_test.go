package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const httpPipeline = `waybill: v1
name: http
run: { concurrency: %d }
stages:
  - claim: { from: "http:127.0.0.1:0/work"%s }
  - send: { to: "%s" }
  - send: { to: "file:out.jsonl", what: body }
`

var takenAt = regexp.MustCompile(`url=(http://127\.0\.0\.1:\d+/work)`)

// listen starts a run that takes work, and returns the address that it logs.
func (w workspace) listen() (*exec.Cmd, string) {
	w.t.Helper()
	cmd, _ := w.command("run", "pipeline.yaml", "--quiet")
	cmd.Stderr = nil
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill() // most often it has ended
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if m := takenAt.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, stderr) }()
			return cmd, m[1]
		}
	}
	w.t.Fatal("the run took no work")
	return nil, ""
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(text)
}

func (w workspace) lines(name string) []string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Sort(lines)
	return lines
}

// What was accepted survives kill -9, each item once.
func TestAcceptedWorkSurvives(t *testing.T) {
	t.Parallel()
	w, s := workspace{t, t.TempDir()}, newSite(t)
	w.write("pipeline.yaml", fmt.Sprintf(httpPipeline, 2, ", checkpoint: var/http.checkpoint", s.URL))
	s.hold.Store(true)
	s.after(2)
	cmd, url := w.listen()
	var want []string
	for i := range 5 {
		body := fmt.Sprintf(`{"n":%d}`, i)
		if status, text := post(t, url, fmt.Sprintf(`{"id":"i%d","body":%s}`, i, body)); status != http.StatusAccepted {
			t.Fatalf("status %d: %s", status, text)
		}
		want = append(want, body)
	}
	<-s.hit // two are in flight, three wait
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	s.letGo()
	if out, code := w.waybill("run", "pipeline.yaml", "--until-empty", "--json"); code != 0 || !strings.Contains(out, `"total":5,"successful":5`) {
		t.Fatalf("exit %d: %s", code, out)
	}
	if d := cmp.Diff(want, w.lines("out.jsonl")); d != "" {
		t.Errorf("what was done (-want +got):\n%s", d)
	}
	if out, code := w.waybill("run", "pipeline.yaml", "--until-empty", "--json"); code != 0 || !strings.Contains(out, `"total":0`) {
		t.Errorf("a third run: exit %d: %s", code, out)
	}
}

// While a run drains, a client whose item is in flight still gets its outcome.
func TestDrainAnswers(t *testing.T) {
	t.Parallel()
	w, s := workspace{t, t.TempDir()}, newSite(t)
	w.write("pipeline.yaml", fmt.Sprintf(httpPipeline, 1, "", s.URL))
	s.hold.Store(true)
	s.after(1)
	cmd, url := w.listen()
	answered := make(chan string, 1)
	go func() {
		status, text := post(t, url, `{"id":"a"}`)
		answered <- fmt.Sprint(status, text)
	}()
	<-s.hit
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for { // until the signal has come through: b waits for the slot that a has
		if status, _ := post(t, url, `{"id":"b"}`); status == http.StatusServiceUnavailable {
			break
		} else if status == 0 {
			return // told by post
		}
	}
	s.letGo()
	if got := <-answered; !strings.HasPrefix(got, "200") || !strings.Contains(got, `"result":"succeeded"`) {
		t.Errorf("the answer is %s", got)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("the run: %v, want exit 3", err)
	}
}
