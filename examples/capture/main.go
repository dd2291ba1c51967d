// Command capture serves a small site and the documents of the Go toolchain on
// loopback, lists their pages as work, and runs pipeline.yaml over them with
// the waybill command, printing each command line as it goes:
//
//	go run ./examples/capture -waybill bin/waybill
//
// The queue is the one that pipeline.yaml names; another URL in that line is all
// that it takes to run on NATS or MongoDB. Everything else that it writes is in
// the example's var folder, which it empties first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

func main() {
	bin := flag.String("waybill", "bin/waybill", "the waybill command")
	dir := flag.String("dir", "examples/capture", "the example's folder")
	serve := flag.Bool("serve", false, "only serve the pages and write var/items.jsonl, until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *bin, *dir, *serve); err != nil {
		fmt.Fprintln(os.Stderr, "capture:", err)
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() > 0 {
			os.Exit(exit.ExitCode())
		}
		os.Exit(4)
	}
}

func run(ctx context.Context, out io.Writer, bin, dir string, serveOnly bool) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	fixture, err := serve()
	if err != nil {
		return err
	}
	defer fixture.close()
	state := filepath.Join(dir, "var")
	if err := os.RemoveAll(state); err != nil {
		return err
	}
	if err := os.MkdirAll(state, 0o755); err != nil {
		return err
	}
	if err := fixture.writeItems(filepath.Join(state, "items.jsonl")); err != nil {
		return err
	}
	queue, err := queueOf(filepath.Join(dir, "pipeline.yaml"))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "serving %d pages on %s\n", len(fixture.pages), fixture.addr)
	if serveOnly {
		<-ctx.Done()
		return nil
	}
	for _, args := range [][]string{
		{"enqueue", "--to", queue, "--queue", "pages", "var/items.jsonl"},
		{"run", "pipeline.yaml", "--until-empty"},
		{"queue", "stats", "--from", queue, "--queue", "pages"},
		{"verify", "--log", "file:var/log", "--store", "file:var/objects"},
	} {
		if err := command(ctx, out, bin, dir, args...); err != nil {
			return fmt.Errorf("waybill %s: %w", args[0], err)
		}
	}
	fmt.Fprintf(out, `
Where to look, from %s:
  waybill queue show --from %s --queue pages shop/list
  waybill verify --log file:var/log --store file:var/objects var/log/receipts/pages/shop%%2Flist.tlog-proof
  waybill blob get --store file:var/objects sha256:... > page.png   # a digest from there
  var/log/checkpoint   the signed head of the log
  var/log/receipts/    one .tlog-proof per page
`, dir, queue)
	return nil
}

var fromLine = regexp.MustCompile(`(?m)^\s*from: (\S+)$`)

// queueOf returns the URL of the queue that a pipeline claims from.
func queueOf(pipeline string) (string, error) {
	text, err := os.ReadFile(pipeline)
	if err != nil {
		return "", err
	}
	found := fromLine.FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("%s: no line `from: URL`", pipeline)
	}
	return string(found[1]), nil
}

// command runs waybill in the example's folder and shows the command line.
func command(ctx context.Context, out io.Writer, bin, dir string, args ...string) error {
	fmt.Fprintf(out, "\n$ waybill %s\n", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd.Run()
}
