package cdp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Download is a file that a page gave.
type Download struct {
	// Name is what the page calls it; it may hold anything.
	Name string
	URL  string
	Data []byte
}

// Download lets the page download one file of at most max bytes (0: 50 MiB):
// trigger does what starts it, with the context that it is given. Outside of this
// call downloads are denied.
func (s *Session) Download(ctx context.Context, max int64, trigger func(ctx context.Context) error) (Download, error) {
	if max <= 0 {
		max = 50 << 20
	}
	profile := s.browser.profile
	if profile == nil {
		return Download{}, &StateError{"a remote browser's downloads cannot be read"}
	}
	dir, err := newDownloadDir(profile.dir)
	if err != nil {
		return Download{}, fmt.Errorf("folder for downloads: %w", err)
	}
	defer dir.remove()
	watch, err := s.tab.allowDownload(ctx, dir)
	if err != nil {
		return Download{}, s.explain(ctx, err, "downloads to be allowed", time.Now())
	}
	defer watch.stop()
	if err := trigger(ctx); err != nil {
		return Download{}, err
	}
	var d Download
	err = s.do(ctx, "the download to end", func(ctx context.Context) error {
		done, err := watch.wait(ctx, max)
		if err != nil {
			return err
		}
		d = Download{Name: done.name, URL: done.url}
		d.Data, err = dir.read(done.guid, max)
		return err
	})
	return d, err
}

// downloadDir is a folder that the browser's user can write to, inside its
// profile and gone with it. Whoever took the browser over could put links in its
// place and into it, so it is never reached by its path.
type downloadDir struct {
	profile, inside *os.Root
	name            string
}

func newDownloadDir(profile string) (d *downloadDir, err error) {
	d = &downloadDir{name: "download-" + strings.ToLower(rand.Text()[:12])}
	if d.profile, err = os.OpenRoot(profile); err != nil {
		return nil, err
	}
	info, err := d.profile.Stat(".")
	if err == nil {
		err = d.profile.Mkdir(d.name, 0o700)
	}
	if err == nil && os.Geteuid() == 0 {
		of := info.Sys().(*syscall.Stat_t)
		err = d.profile.Lchown(d.name, int(of.Uid), int(of.Gid))
	}
	if err == nil {
		d.inside, err = d.profile.OpenRoot(d.name)
	}
	if err != nil {
		d.remove()
		return nil, err
	}
	return d, nil
}

// path is what the browser is told.
func (d *downloadDir) path() string { return filepath.Join(d.profile.Name(), d.name) }

func (d *downloadDir) remove() {
	if d.inside != nil {
		_ = d.inside.Close()
	}
	_ = d.profile.RemoveAll(d.name)
	_ = d.profile.Close()
}

// has reports whether a download has begun to be written; its name may have an
// ending then.
func (d *downloadDir) has(guid string) bool {
	files, _ := fs.ReadDir(d.inside.FS(), ".")
	return slices.ContainsFunc(files, func(f fs.DirEntry) bool { return strings.HasPrefix(f.Name(), guid) })
}

// read reads a regular file that the browser wrote; a pipe would never end.
func (d *downloadDir) read(guid string, max int64) ([]byte, error) {
	f, err := d.inside.OpenFile(guid, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read the download: %w", errors.Unwrap(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, &StateError{"the download is not a regular file"}
	}
	raw, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(raw)) > max {
		err = &TooLargeError{"the download", info.Size(), max, "bytes"}
	}
	return raw, err
}

// Fetch opens a URL that is known to be a download, inside of Download.
func (s *Session) Fetch(ctx context.Context, address string) error {
	if err := checkScheme(address, s.browser.opts.Schemes); err != nil {
		return err
	}
	return s.do(ctx, "the answer of "+address, func(ctx context.Context) error {
		r, err := s.tab.navigate(ctx, address)
		switch {
		case err != nil:
			return err
		case r.download:
			return nil
		case r.errorText != "":
			return &NavigationError{Code: r.errorText, URL: address}
		}
		return &StateError{address + " is a page and not a download"}
	})
}
