package execute_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/cdp/cdptest"
	"github.com/waybill-dev/waybill/pipeline"
)

// envKills is how often TestKilledBrowsersLoseNothing kills a browser, with 15
// items for each: 5 if it is not set, 20 in make soak.
const envKills = "WAYBILL_BROWSER_KILLS"

// Browsers are killed while items are in them. Every item ends well, none lost an
// attempt, and in the end no process and no profile is left.
func TestKilledBrowsersLoseNothing(t *testing.T) {
	kills := 5
	if n, err := strconv.Atoi(os.Getenv(envKills)); err == nil {
		kills = n
	}
	url := serve(t)
	o := cdptest.Options(t)
	o.Sessions, o.PerBrowser, o.Browsers = 4, 2, 2
	pool, err := cdp.NewPool(o)
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, pool, "steps:\n  - navigate: ${{ item.body.url }}\n  - waitForElement: h1\n  - html: page.html")
	var done, back atomic.Int64
	killed := map[int]bool{}
	items := make(chan int)
	var workers sync.WaitGroup
	for range o.Sessions {
		workers.Go(func() {
			for range items {
				for {
					it := visit(url)
					err := s.Process(t.Context(), it)
					if err == nil {
						if it.Artifact("page.html") == nil {
							t.Error("an item succeeded without its page")
						}
						done.Add(1)
						break
					}
					if pipeline.KindOf(err) != pipeline.Unavailable {
						t.Errorf("an item was blamed: %v", err)
						break
					}
					back.Add(1)
				}
			}
		})
	}
	total := 15 * kills
	for i := range total {
		items <- i // taken by a worker, so items are on their way
		if i%15 == 7 {
			if pid := anyBrowser(o.Dir); pid > 1 {
				killed[pid] = true
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone, retired
			}
		}
	}
	close(items)
	workers.Wait()
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
	if n := done.Load(); n != int64(total) {
		t.Errorf("%d of %d items succeeded", n, total)
	}
	if back.Load() == 0 || len(killed) < kills/2 {
		t.Errorf("%d items went back after %d kills: this proves little", back.Load(), len(killed))
	}
	t.Logf("%d items, %d browsers killed, %d visits repeated", total, len(killed), back.Load())
	left, err := os.ReadDir(o.Dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for pid := range killed {
		if members := group(pid); len(members) > 0 {
			t.Errorf("processes of browser %d: %v", pid, members)
		}
	}
}

// anyBrowser returns the browser of a profile in dir, 0 if there is none yet.
func anyBrowser(dir string) int {
	files, _ := filepath.Glob(filepath.Join(dir, "browser-*.owner"))
	for _, file := range files {
		if pid := ownerOf(file); pid > 1 {
			return pid
		}
	}
	return 0
}

// group lists the living processes of a process group.
func group(id int) (pids []string) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		raw, _ := os.ReadFile(file)
		f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		if len(f) > 2 && f[2] == strconv.Itoa(id) && f[0] != "Z" && f[0] != "X" {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}
