package cron

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local/localtest"
)

// A crash after every write: with catch-up=all, the next run has exactly the
// ticks that have not ended.
func TestCrashAnywhere(t *testing.T) {
	const url, ticks = "cron:@every 10s?catch-up=all", 4
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, url, dir, "whole")
		time.Sleep(ticks * 10 * time.Second)
		for range ticks {
			localtest.End(t, s, localtest.Claim(t, s, 1)[0], pipeline.Succeeded)
		}
		if err := localtest.Close(s); err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(filepath.Join(dir, "whole"))
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		lines := bytes.SplitAfter(whole, []byte("\n"))
		for n := 2; n < len(lines); n++ { // the header, and the moment of the first start
			text := bytes.Join(lines[:n], nil)
			if err := os.WriteFile(filepath.Join(dir, "cut"), text, 0o644); err != nil {
				t.Fatal(err)
			}
			s := mustOpen(t, url, dir, "cut")
			ended := bytes.Count(text, []byte(`"did":"end"`))
			for i := ended; i < ticks; i++ {
				it := localtest.Claim(t, s, 1)[0]
				if want := begun.Add(time.Duration(i+1) * 10 * time.Second).Format(time.RFC3339); it.ID != want {
					t.Errorf("after %d writes: claimed %s, want %s", n, it.ID, want)
				}
				localtest.End(t, s, it, pipeline.Succeeded)
			}
			if items, err := s.Claim(t.Context(), 1); len(items) > 0 || err != nil {
				t.Errorf("after %d writes: %d more than %d items, error %v", n, len(items), ticks, err)
			}
			if err := localtest.Close(s); err != nil {
				t.Fatal(fmt.Errorf("after %d writes: %w", n, err))
			}
		}
	})
}
