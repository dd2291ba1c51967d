package cdp

import (
	"os"
	"path/filepath"
	"testing"
)

// TestKeptProfileHasShortTemporaries: full Chromium makes a socket among its
// temporary files, and the folder of kept profiles may have a long name.
func TestKeptProfileHasShortTemporaries(t *testing.T) {
	o := Options{Dir: t.TempDir(), Profiles: t.TempDir(), SandboxOff: true}
	p, err := o.profile(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	if got := filepath.Dir(p.temp()); got != o.Dir || filepath.Dir(p.dir) != o.Profiles {
		t.Errorf("temporaries in %s, profile %s", p.temp(), p.dir)
	}
	if err := p.remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.dir); err != nil {
		t.Errorf("the profile is not kept: %v", err)
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
