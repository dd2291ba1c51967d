package compiler

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// envParent makes the test binary a parent that waits for a hanging child.
const envParent = "WAYBILL_TEST_PARENT"

// TestMain makes the test binary a program that calls Child, and lets tests put
// a child of their own in the place of the compiler: the folder's name says which.
func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(envChild); ok {
		var o order
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			panic(err)
		}
		switch filepath.Base(o.Folder) {
		case "inspect":
			fmt.Print(inspect(o))
			os.Exit(exitRefused)
		case "eat":
			eat(o)
		case "spin":
			spin(o)
		case "hang":
			hang(o)
		case "crash":
			panic("a bug")
		}
	}
	Child()
	if folder := os.Getenv(envParent); folder != "" {
		fmt.Println(compileApart(context.Background(), Job{}, folder))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// inspect tells what a child can see.
func inspect(o order) string {
	if err := confine(o.Limits); err != nil {
		return err.Error()
	}
	dir, _ := os.Getwd()
	return fmt.Sprintf("environment %d, files %s, folder %s, group %t", len(os.Environ()), inherited(), filepath.Base(dir), leadsItsGroup())
}

// eat takes memory without end.
func eat(o order) {
	if err := confine(o.Limits); err != nil {
		panic(err)
	}
	var kept [][]byte
	for {
		b := make([]byte, 8<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		kept = append(kept, b)
		if len(kept) > 1<<10 {
			panic("8 GiB and no limit")
		}
	}
}

// spin takes CPU time without end.
func spin(o order) {
	o.Limits.Time = time.Millisecond // rounded up to a second of CPU time
	if err := confine(o.Limits); err != nil {
		panic(err)
	}
	for n := uint(1); n > 0; n += 2 { // never 0
	}
}

// hang tells that it runs by opening the pipe in its folder, and sleeps.
func hang(o order) {
	f, err := os.OpenFile(filepath.Join(o.Folder, "pipe"), os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	fmt.Fprint(f, "running")
	time.Sleep(time.Hour)
	_ = f.Close()
}
