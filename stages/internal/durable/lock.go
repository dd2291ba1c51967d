package durable

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Lock is an advisory lock on a file (flock). The kernel gives it back when its
// process dies, however that happens.
type Lock struct{ f *os.File }

// OpenLock opens a lock file without taking the lock, and makes the file if it
// is missing.
func OpenLock(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	return &Lock{f}, nil
}

// Lock waits until it holds the lock alone.
func (l *Lock) Lock() error { return l.flock(syscall.LOCK_EX) }

// RLock waits until it holds the lock together with other readers.
func (l *Lock) RLock() error { return l.flock(syscall.LOCK_SH) }

// TryLock takes the lock alone and reports whether it was free.
func (l *Lock) TryLock() (bool, error) {
	err := l.flock(syscall.LOCK_EX | syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// Unlock gives the lock back.
func (l *Lock) Unlock() error { return l.flock(syscall.LOCK_UN) }

// Close gives the lock back and closes the file.
func (l *Lock) Close() error { return l.f.Close() }

func (l *Lock) flock(how int) error {
	for {
		err := syscall.Flock(int(l.f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// Settle waits until nobody holds the lock at path alone. Where there is no such
// file, or it cannot be opened, there is nobody to wait for.
func Settle(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	l := &Lock{f}
	_ = l.RLock()
	_ = l.Close()
}

// Sweep removes temporary files that crashed processes left in dir.
func Sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
	if err != nil {
		return err
	}
	for _, f := range left {
		if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
