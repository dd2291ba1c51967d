// Command browser measures what a page costs, in one run: with a new browser per
// job, a new browser context, a reused page and our pool; with a raw protocol
// client as the floor; and with puppeteer-cluster and Playwright, if
// scripts/browser-peers installed them.
//
//	go run ./bench/browser
//
// A job is the same everywhere: navigate, wait until the page is loaded, read 30
// rows with one script, take a JPEG of the viewport. The modes run interleaved, in
// rounds, and the median of the rounds counts. CPU time is that of Chrome's whole
// process tree, and that of the client alone; the site runs in a process of its
// own. Jobs per second depend on the neighbours of the machine, CPU time does less;
// the ratios compare medians of one run. The CPU time of killed processes
// cannot be seen, so Chrome's is read before a browser is ended.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/waybill-dev/waybill/cdp"
)

// envSite makes the command serve the site instead.
const envSite = "BENCH_SITE"

// mode is one way to do the job.
type mode struct {
	name string
	// kind of isolation: modes of one kind are compared.
	kind string
	// jobs does n jobs on a site and says what they cost.
	jobs func(url string, n int) (cost, error)
	// peer: somebody else's. Its failure is told and the others go on.
	peer bool
}

// cost is what n jobs took.
type cost struct {
	wall, chrome, client time.Duration
	n                    int
}

func main() {
	if os.Getenv(envSite) != "" {
		serveSite()
		return
	}
	rounds := flag.Int("rounds", 3, "rounds per mode")
	jobs := flag.Int("jobs", 24, "jobs per round")
	peers := flag.String("peers", "var/browser-peers", "folder that scripts/browser-peers made")
	page := flag.String("docs", "", "page of Markdown that gets the table")
	flag.Parse()
	if err := run(*rounds, *jobs, *peers, *page); err != nil {
		fmt.Fprintln(os.Stderr, "bench/browser:", err)
		os.Exit(1)
	}
}

func run(rounds, jobs int, peers, page string) error {
	bin, err := cdp.Find("")
	if err != nil {
		return err
	}
	url, stop, err := startSite()
	if err != nil {
		return err
	}
	defer stop()
	modes := append(ours(bin), raw(bin)...)
	more, why := peerModes(peers, bin)
	if why != "" {
		fmt.Println("without peers:", why)
	}
	modes = append(modes, more...)
	costs := map[string][]cost{}
	for range rounds {
		for _, m := range modes {
			c, err := m.jobs(url, jobs)
			switch {
			case err != nil && m.peer:
				fmt.Printf("%s failed in a round: %v\n", m.name, err)
				continue
			case err != nil:
				return fmt.Errorf("%s: %w", m.name, err)
			}
			costs[m.name] = append(costs[m.name], c)
		}
	}
	return report(modes, costs, page)
}

// floors are the raw modes that the others of their kind are compared to.
const (
	floorContext = "raw protocol client, new context, 1 at a time"
	floorPage    = "raw protocol client, reused page, 1 at a time"
	floorBrowser = "raw protocol client, new browser"
)

// report prints a row for each mode, and puts them into a page if one is named.
func report(modes []mode, costs map[string][]cost, page string) error {
	floors := map[string]string{"context": floorContext, "page": floorPage, "browser": floorBrowser}
	rows := [][]string{{"mode", "jobs/s", "to floor", "Chrome ms/job", "client ms/job (range)", "to floor"}}
	for _, m := range modes {
		mine := costs[m.name]
		if len(mine) == 0 {
			rows = append(rows, []string{m.name, "failed", "", "", "", ""})
			continue
		}
		floor := costs[floors[m.kind]]
		rate, client := median(mine, cost.rate), median(mine, cost.clientMS)
		least, most := span(mine, cost.clientMS)
		rows = append(rows, []string{m.name, fmt.Sprintf("%.1f", rate), fmt.Sprintf("%.2f", rate/median(floor, cost.rate)),
			fmt.Sprintf("%.0f", median(mine, cost.chromeMS)), fmt.Sprintf("%.1f (%.1f-%.1f)", client, least, most), fmt.Sprintf("%.2f", client/median(floor, cost.clientMS))})
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil || page == "" {
		return err
	}
	return write(page, rows)
}

const (
	tableBegin = "<!-- browser table -->\n"
	tableEnd   = "<!-- end of browser table -->\n"
)

// write puts the rows between the marks of a page of Markdown.
func write(page string, rows [][]string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, begun := strings.Cut(string(text), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !begun || !ended {
		return fmt.Errorf("%s: no table from %q to %q", page, tableBegin, tableEnd)
	}
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return os.WriteFile(page, []byte(before+tableBegin+b.String()+tableEnd+after), 0o644)
}

func (c cost) rate() float64     { return float64(c.n) / c.wall.Seconds() }
func (c cost) chromeMS() float64 { return c.chrome.Seconds() * 1000 / float64(c.n) }
func (c cost) clientMS() float64 { return c.client.Seconds() * 1000 / float64(c.n) }

func median(costs []cost, of func(cost) float64) float64 {
	var all []float64
	for _, c := range costs {
		all = append(all, of(c))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// span is the least and the most.
func span(costs []cost, of func(cost) float64) (least, most float64) {
	least, most = of(costs[0]), of(costs[0])
	for _, c := range costs[1:] {
		least, most = min(least, of(c)), max(most, of(c))
	}
	return least, most
}
