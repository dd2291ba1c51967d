package chaostest

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// program is the path of the waybill that the tests run, and wire that of the
// MongoDB server of the tests; set by TestMain only.
var program, wire string

var seedFlag = flag.Uint64("chaos.seed", 0, "seed of the first round's faults; 0 draws one")

// TestMain builds the programs, without the race detector: it is on in the
// packages' own tests. As a child of a test it is a node of a NATS cluster.
func TestMain(m *testing.M) {
	if config := os.Getenv(nodeVariable); config != "" {
		os.Exit(beNode(config))
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "waybill-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program, wire = filepath.Join(dir, "waybill"), filepath.Join(dir, "wiretest")
	for path, folder := range map[string]string{program: "../../cmd/waybill", wire: "../../stages/claim/mongodb/wiretest"} {
		cmd := exec.Command("go", "build", "-o", path, ".")
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build in %s: %v\n%s", folder, err, out)
			return 1
		}
	}
	return m.Run()
}
