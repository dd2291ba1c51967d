package cdp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	dir, err := s.downloadDir()
	if err != nil {
		return Download{}, err
	}
	defer os.RemoveAll(dir)
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
		d.Data, err = readDownload(filepath.Join(dir, done.guid), max)
		return err
	})
	return d, err
}

// downloadDir is a folder that the browser's user can write to, inside its
// profile and gone with it.
func (s *Session) downloadDir() (string, error) {
	profile := s.browser.profile
	if profile == nil {
		return "", &StateError{"a remote browser's downloads cannot be read"}
	}
	info, err := os.Stat(profile.dir)
	if err != nil {
		return "", fmt.Errorf("folder for downloads: %w", err)
	}
	dir, err := os.MkdirTemp(profile.dir, "download-")
	if err != nil {
		return "", fmt.Errorf("folder for downloads: %w", err)
	}
	if of, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		err = os.Chown(dir, int(of.Uid), int(of.Gid))
	}
	return dir, err
}

// readDownload reads a file that the browser wrote. Whoever took the browser
// over could put a link or a pipe there, so only a regular file is read.
func readDownload(path string, max int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
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
