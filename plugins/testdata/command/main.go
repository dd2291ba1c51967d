// Command command is a WASI command for tests: it echoes what it was given.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	switch string(in) {
	case "fail":
		fmt.Fprintln(os.Stderr, "cannot go on")
		os.Exit(3)
	case "flood":
		for {
			if _, err := os.Stdout.Write(make([]byte, 4096)); err != nil {
				os.Exit(1)
			}
		}
	}
	fmt.Printf("args=%s env=%s now=%d in=%s", strings.Join(os.Args, ","), strings.Join(os.Environ(), ","), time.Now().UnixNano(), in)
}
