package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/waybill-dev/waybill/cdp"
)

// ours are the modes of package cdp.
func ours(bin cdp.Binary) []mode {
	page := cdp.Request{Isolation: cdp.IsolatePage, Key: "bench"}
	modes := []mode{
		{name: "waybill, new browser", kind: "browser", jobs: pooled(bin, 1, cdp.Request{Isolation: cdp.IsolateProcess}, false)},
		{name: "waybill, new context, 1 at a time, no spare", kind: "context", jobs: pooled(bin, 1, cdp.Request{}, true)},
		{name: "waybill, reused page, 1 at a time", kind: "page", jobs: pooled(bin, 1, page, false)},
		{name: "waybill, reused page, 4 at a time", kind: "page", jobs: pooled(bin, 4, page, false)},
	}
	for _, k := range []int{1, 2, 4, 8} {
		modes = append(modes, mode{name: fmt.Sprintf("waybill pool, new context, %d at a time", k), kind: "context", jobs: pooled(bin, k, cdp.Request{}, false)})
	}
	return modes
}

// pooled does the jobs k at a time in our pool.
func pooled(bin cdp.Binary, k int, r cdp.Request, noSpare bool) func(string, int) (cost, error) {
	return func(url string, n int) (c cost, err error) {
		dir, err := os.MkdirTemp("", "waybill-bench-browser-")
		if err != nil {
			return c, err
		}
		defer os.RemoveAll(dir)
		p, err := cdp.NewPool(cdp.Options{Binary: bin, Dir: dir, Sessions: k, NoSpare: noSpare})
		if err != nil {
			return c, err
		}
		defer p.Close()
		if r.Isolation != cdp.IsolateProcess {
			if err := each(k, k, func() error { return oursOnce(p, r, url, nil) }); err != nil { // start and warm up
				return c, err
			}
		}
		m := startMeter()
		err = each(n, k, func() error { return oursOnce(p, r, url, m) })
		return m.stop(n), err
	}
}

// oursOnce does one job.
func oursOnce(p *cdp.Pool, r cdp.Request, url string, m *meter) error {
	ctx := context.Background()
	s, err := p.Lease(ctx, r)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.Navigate(ctx, url); err != nil {
		return err
	}
	raw, err := s.Evaluate(ctx, extract, nil, 0)
	if err != nil {
		return err
	}
	picture, err := s.Screenshot(ctx, cdp.Screenshot{Format: "jpeg", Quality: quality})
	if err != nil {
		return err
	}
	if m != nil && r.Isolation == cdp.IsolateProcess {
		m.ended += chromeCPU() // it is killed now, and nobody would see it any more
	}
	return checked(raw, picture)
}

// checked sees that a job was done.
func checked(raw json.RawMessage, picture []byte) error {
	var found []map[string]string
	if err := json.Unmarshal(raw, &found); err != nil || len(found) != rows || found[3]["price"] != "21.50" || len(picture) < 1000 {
		return fmt.Errorf("the job is wrong: %.100s, %d bytes, %v", raw, len(picture), err)
	}
	return nil
}

// each calls f n times, k at a time.
func each(n, k int, f func() error) error {
	turns := make(chan struct{}, n)
	for range n {
		turns <- struct{}{}
	}
	close(turns)
	errs := make(chan error, k)
	var wg sync.WaitGroup
	for range k {
		wg.Go(func() {
			for range turns {
				if err := f(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	var all error
	for err := range errs {
		all = errors.Join(all, err)
	}
	return all
}
