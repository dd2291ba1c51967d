// Command table renews the table of hostile pages in the file that is its
// argument. `make generate` runs it.
package main

import (
	"fmt"
	"os"

	"github.com/waybill-dev/waybill/cdp/cdptest/hostile"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: table FILE")
		os.Exit(2)
	}
	if err := renew(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func renew(file string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if page, err = hostile.Renew(page); err != nil {
		return err
	}
	return os.WriteFile(file, page, 0o644)
}
