package cdp_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
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

// A crash may also come between any two steps of the making of a profile.
func TestSweepOfHalfMadeProfiles(t *testing.T) {
	dir := t.TempDir()
	dead, err := json.Marshal(map[string]any{"boot": cdp.BootID(), "owner": map[string]any{"pid": 1 << 22, "start": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"browser-locked.owner", "browser-old.owner.tmp", "browser-young.owner.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), dead, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	longAgo := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "browser-old.owner.tmp"), longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	if n, err := cdp.Sweep(dir); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	// Somebody may be writing it right now.
	if diff := cmp.Diff([]string{"browser-young.owner.tmp"}, list(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// As root, Chrome runs as another user, who must get to the profile.
func TestFolderThatChromeCannotReach(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root runs Chrome as another user")
	}
	o := cdptest.Options(t)
	closed := filepath.Join(o.Dir, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	o.Dir = filepath.Join(closed, "browsers")
	_, err := cdptest.Pool(t, o).Acquire(t.Context())
	if !errors.Is(err, cdp.ErrProfiles) || !strings.Contains(err.Error(), "cannot pass "+closed+" (chmod o+x") {
		t.Errorf("got %v", err)
	}
}

func TestSweepOfNothing(t *testing.T) {
	if n, err := cdp.Sweep(filepath.Join(t.TempDir(), "absent")); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
