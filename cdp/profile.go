package cdp

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	profilePrefix = "browser-"
	ownerSuffix   = ".owner"
	// draftSuffix is a lock that is being written, which takes no time; one of
	// draftAge was left by a crash.
	draftSuffix = ownerSuffix + ".tmp"
	draftAge    = time.Minute
	// profileEnv marks every process of a browser with its profile.
	profileEnv = "WAYBILL_PROFILE"
)

// owner is the lock file of a profile: who made it and which browser uses it.
// A pid alone proves nothing, since pids are used again; with the start time
// and the boot it names one process for ever.
type owner struct {
	Boot    string  `json:"boot"`
	Process process `json:"owner"`
	Browser process `json:"browser,omitzero"`
}

type process struct {
	PID   int    `json:"pid"`
	Start string `json:"start"`
}

func identify(pid int) process {
	st, _ := readStat(pid)
	return process{PID: pid, Start: st.start}
}

// alive reports whether exactly this process still runs.
func (p process) alive() bool {
	st, ok := readStat(p.PID)
	return ok && st.state != 'Z' && st.state != 'X' && st.start == p.Start
}

// profile is the private folder of one browser, with its lock file beside it:
// Chrome may write into the folder but never to the lock.
type profile struct {
	dir  string
	kept *os.File // the lock of a profile that is kept; nil: it is removed
	// scratch is where a kept profile's browser has its temporary files; nil: in
	// dir. Chromium makes a socket there, whose path must not exceed 107 bytes, and
	// the folder of kept profiles may be anywhere.
	scratch *profile
}

// temp is the browser's folder for temporary files.
func (p *profile) temp() string {
	if p.scratch != nil {
		return p.scratch.dir
	}
	return p.dir
}

// newProfile makes an empty profile below base for Chrome's user (-1: ours).
// The lock comes before the folder, so that no other process ever sees a
// profile without its owner, and a crash in between leaves nothing that Sweep
// cannot judge.
func newProfile(base string, uid int) (*profile, error) {
	p := &profile{dir: filepath.Join(base, profilePrefix+strings.ToLower(rand.Text()[:12]))}
	err := p.lock(process{})
	if err == nil {
		err = os.Mkdir(p.dir, 0o700)
	}
	if err == nil && uid >= 0 {
		err = os.Chown(p.dir, uid, uid)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a browser profile: %w", err), p.remove())
	}
	return p, nil
}

// lock writes who owns the profile; browser is zero before Chrome runs.
func (p *profile) lock(browser process) error {
	raw, err := json.Marshal(owner{Boot: bootID(), Process: identify(os.Getpid()), Browser: browser})
	if err != nil {
		return err
	}
	draft := p.dir + draftSuffix
	if err := os.WriteFile(draft, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(draft, p.dir+ownerSuffix)
}

// remove deletes the folder, then the lock; a kept profile is given back.
// Processes that are just being killed may still write, so it tries for a while.
func (p *profile) remove() error {
	if p.kept != nil {
		return errors.Join(p.scratch.remove(), p.giveBack())
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := os.RemoveAll(p.dir)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("remove a browser profile: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := os.Remove(p.dir + ownerSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Sweep ends what crashed processes left in dir: browsers still running and
// their profiles. It only touches what it can prove to be ours and ownerless;
// a profile whose owner lives, or whose lock cannot be read, stays. It returns
// how many profiles it removed. A missing dir is nothing to do.
func Sweep(dir string) (int, error) {
	locks, err := filepath.Glob(filepath.Join(dir, profilePrefix+"*"+ownerSuffix))
	if err != nil {
		return 0, err
	}
	removed := 0
	errs := []error{sweepDrafts(dir)}
	for _, file := range locks {
		raw, err := os.ReadFile(file)
		var o owner
		if err != nil || json.Unmarshal(raw, &o) != nil || o.Process.PID <= 0 {
			continue
		}
		sameBoot := o.Boot == bootID()
		if sameBoot && o.Process.alive() {
			continue
		}
		p := &profile{dir: strings.TrimSuffix(file, ownerSuffix)}
		if sameBoot {
			p.killLeftovers(o.Browser)
		}
		if err := p.remove(); err != nil {
			errs = append(errs, err)
			continue
		}
		removed++
	}
	return removed, errors.Join(errs...)
}

// sweepDrafts removes locks whose writer never finished them.
func sweepDrafts(dir string) error {
	drafts, err := filepath.Glob(filepath.Join(dir, profilePrefix+"*"+draftSuffix))
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range drafts {
		info, err := os.Lstat(file)
		if err != nil || time.Since(info.ModTime()) < draftAge {
			continue
		}
		if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// killLeftovers kills the browser's group: as a whole if its leader is provably
// the browser of the lock, else only members that carry the profile's mark.
func (p *profile) killLeftovers(browser process) {
	if browser.PID <= 1 {
		return
	}
	if browser.alive() {
		_ = syscall.Kill(-browser.PID, syscall.SIGKILL)
		return
	}
	for _, pid := range groupMembers(browser.PID) {
		if inheritedEnv(pid, profileEnv+"="+p.dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// prepareDir makes the folder for profiles and checks that it is ours and that
// Chrome's user (-1: ours) can get there.
func prepareDir(dir string, uid int) error {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = ownDir(dir, uid)
	}
	if err == nil && uid >= 0 {
		err = passable(dir, uid)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProfiles, err)
	}
	return nil
}

// ownDir makes a folder that nobody else can look into, or accepts ours.
func ownDir(dir string, uid int) error {
	mode := fs.FileMode(0o700)
	if uid >= 0 {
		mode = 0o711 // Chrome's user may pass, not look
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to somebody else", dir)
	}
	return os.Chmod(dir, mode)
}

// passable checks that another user can get to dir.
func passable(dir string, uid int) error {
	for d := dir; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("%s: user %d, who runs Chrome, cannot pass %s (chmod o+x, or use another folder)", dir, uid, d)
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}
