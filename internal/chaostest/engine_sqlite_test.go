package chaostest

import (
	"database/sql"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// sqliteEngine is a file on a small disk. There is no server to stop: what breaks
// is the disk, which fills up, and the lock, which somebody holds for too long.
func sqliteEngine(t *testing.T, lease time.Duration) *engine {
	t.Helper()
	disk := t.TempDir()
	e := &engine{every: 20 * time.Millisecond}
	path := filepath.Join(disk, "q.db")
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=512m"); err != nil {
		t.Logf("no full disks in this run: a small one cannot be mounted here (it takes root): %v", err)
	} else {
		t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
		e.faults = append(e.faults, fillDisk(t, disk, lease))
	}
	e.direct = "sqlite:" + path
	e.newWay = func() way { return way{url: e.direct} }
	e.faults = append(e.faults, holdLock(t, path, lease))
	return e
}

// fillDisk takes all the room there is.
func fillDisk(t *testing.T, disk string, lease time.Duration) fault {
	return fault{"fill the disk", [2]time.Duration{100 * time.Millisecond, 2 * lease}, noRest, func(*rand.Rand) func() {
		path := filepath.Join(disk, "filler")
		f, err := os.Create(path)
		if err != nil {
			t.Error(err)
			return func() {}
		}
		defer f.Close()
		for chunk := make([]byte, 1<<20); len(chunk) > 0; {
			if _, err := f.Write(chunk); err != nil {
				chunk = chunk[:len(chunk)/2]
			}
		}
		return func() {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
	}}
}

// holdLock keeps every writer out.
func holdLock(t *testing.T, path string, lease time.Duration) fault {
	return fault{"hold the lock", [2]time.Duration{100 * time.Millisecond, 2 * lease}, noRest, func(*rand.Rand) func() {
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_txlock=immediate")
		if err != nil {
			t.Error(err)
			return func() {}
		}
		tx, err := db.Begin()
		if err != nil {
			t.Logf("the lock was not to be had: %v", err) // a frozen process has it
		}
		return func() {
			if tx != nil {
				_ = tx.Rollback()
			}
			_ = db.Close()
		}
	}}
}
