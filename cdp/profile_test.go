package cdp_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/cdp"
)

// leave writes a profile with its lock as a crashed process would leave it.
func leave(t *testing.T, dir, name string, lock any) {
	t.Helper()
	profile := filepath.Join(dir, "browser-"+name)
	if err := os.MkdirAll(filepath.Join(profile, "Default"), 0o700); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(profile+".owner", raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSweepTouchesOnlyWhatIsProvablyOwnerless(t *testing.T) {
	dir := t.TempDir()
	type m = map[string]any
	boot, self := cdp.BootID(), cdp.Identify(os.Getpid())
	// A process that is nobody's browser, whose number a stale lock mentions.
	bystander := exec.Command("sleep", "60")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bystander.Process.Kill(); _ = bystander.Wait() }()

	leave(t, dir, "living", m{"boot": boot, "owner": self})
	leave(t, dir, "dead", m{"boot": boot, "owner": m{"pid": 1 << 22, "start": "1"}})
	leave(t, dir, "reused", m{"boot": boot, "owner": m{"pid": os.Getpid(), "start": "1"},
		"browser": m{"pid": bystander.Process.Pid, "start": "1"}})
	leave(t, dir, "rebooted", m{"boot": "another", "owner": self, "browser": cdp.Identify(bystander.Process.Pid)})
	leave(t, dir, "damaged", "not a lock")
	if err := os.Mkdir(filepath.Join(dir, "browser-unlocked"), 0o700); err != nil {
		t.Fatal(err)
	}

	n, err := cdp.Sweep(dir)
	if n != 3 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	left := slices.DeleteFunc(list(t, dir), func(name string) bool { return filepath.Ext(name) != "" })
	if diff := cmp.Diff([]string{"browser-damaged", "browser-living", "browser-unlocked"}, left); diff != "" {
		t.Error(diff)
	}
	if cdp.Identify(bystander.Process.Pid).Start == "" {
		t.Error("a process that is not ours was killed")
	}
}

func TestSweepOfNothing(t *testing.T) {
	if n, err := cdp.Sweep(filepath.Join(t.TempDir(), "absent")); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
