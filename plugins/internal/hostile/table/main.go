// Command table writes the page of hostile guests to the file that is its
// argument. `make generate` runs it.
package main

import (
	"fmt"
	"os"

	"github.com/waybill-dev/waybill/plugins/internal/hostile"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: table FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], hostile.Page(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}
