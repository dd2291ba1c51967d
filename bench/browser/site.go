package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

const (
	rows    = 30
	extract = `Array.from(document.querySelectorAll(".row"), (r) => ({ id: r.dataset.id, name: r.querySelector("b").textContent, price: r.querySelector("i").textContent }))`
	quality = 70
)

// serveSite serves the page until its standard input ends, which is when the
// bench does.
func serveSite() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var b strings.Builder
	b.WriteString("<!doctype html><title>Bench</title><style>.row { padding: 4px } b { color: navy }</style><h1>Rows</h1>")
	for i := range rows {
		fmt.Fprintf(&b, "<div class=row data-id=%d><b>Row %d</b> costs <i>%d.50</i></div>", i, i, i*7)
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, b.String()) }))
	}()
	fmt.Println("http://" + l.Addr().String() + "/")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startSite runs the site in a process of its own, so that its CPU time is
// nobody's.
func startSite() (url string, stop func(), err error) {
	exe, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envSite+"=1")
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the site did not start: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}
