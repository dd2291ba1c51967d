// Command command is a WASI command for tests: it echoes what it was given.
package main

import (
	"io"
	"os"
	"strconv"
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
		println("cannot go on")
		os.Exit(3)
	case "flood":
		for {
			if _, err := os.Stdout.Write(make([]byte, 4096)); err != nil {
				os.Exit(1)
			}
		}
	}
	os.Stdout.WriteString("args=" + strings.Join(os.Args, ",") + " env=" + strings.Join(os.Environ(), ",") +
		" now=" + strconv.FormatInt(time.Now().UnixNano(), 10) + " in=" + string(in))
}
