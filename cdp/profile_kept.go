package cdp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Kept profiles: folders that outlive their browsers, one holder at a time.

// lockPoll is how often the lock of a kept profile is tried: nothing tells us
// when another process gives it back.
const lockPoll = 100 * time.Millisecond

// uid is the user that Chrome runs as; -1: we.
func (o Options) uid() int {
	if os.Geteuid() == 0 && !o.SandboxOff {
		return o.RunAs
	}
	return -1
}

// profile makes a new profile, or takes the kept one of that name.
func (o Options) profile(ctx context.Context, kept string) (*profile, error) {
	if err := prepareDir(o.Dir, o.uid()); err != nil {
		return nil, err
	}
	if kept == "" {
		return newProfile(o.Dir, o.uid())
	}
	if err := prepareDir(o.Profiles, o.uid()); err != nil {
		return nil, err
	}
	p, err := takeProfile(ctx, o.Profiles, kept, o.uid())
	if err != nil {
		return nil, err
	}
	if p.scratch, err = newProfile(o.Dir, o.uid()); err != nil {
		return nil, errors.Join(err, p.giveBack())
	}
	return p, nil
}

// takeProfile waits until no other process has the kept profile and makes its
// folder if there is none. The kernel frees the lock when its holder dies; what
// the holder's browser left is ended first.
func takeProfile(ctx context.Context, base, name string, uid int) (*profile, error) {
	sum := sha256.Sum256([]byte(name)) // names are data; a digest is a safe file name
	dir := filepath.Join(base, "profile-"+hex.EncodeToString(sum[:16]))
	file, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the browser profile %q: %w", name, err)
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		if err := pause(ctx, lockPoll); err != nil {
			return nil, errors.Join(fmt.Errorf("wait for the browser profile %q, which another process has: %w", name, err), file.Close())
		}
	}
	p := &profile{dir: dir, kept: file}
	if err == nil {
		err = p.prepare(uid)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("browser profile %q: %w", name, err), file.Close())
	}
	return p, nil
}

// prepare makes the folder usable. The caller holds the lock.
func (p *profile) prepare(uid int) error {
	raw, err := os.ReadFile(p.dir + ownerSuffix)
	var o owner
	if err == nil && json.Unmarshal(raw, &o) == nil && o.Boot == bootID() {
		p.killLeftovers(o.Browser)
	}
	if err := os.Mkdir(p.dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if uid >= 0 {
		if err := os.Lchown(p.dir, uid, uid); err != nil {
			return err
		}
	}
	// Chrome's own locks name a process that is gone.
	for _, name := range []string{"SingletonLock", "SingletonCookie", "SingletonSocket"} {
		if err := os.Remove(filepath.Join(p.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// giveBack frees a kept profile. Its lock file stays: one that is removed could
// be held by two, each with a file of its own.
func (p *profile) giveBack() error {
	err := os.Remove(p.dir + ownerSuffix)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, p.kept.Close())
}
