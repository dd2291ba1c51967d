package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	// redrawEvery is fast enough to look alive and costs nothing.
	redrawEvery = 250 * time.Millisecond
	// lineEvery is for pipes and log files.
	lineEvery = 5 * time.Second
	// maxStatusStages keeps the block inside a small terminal.
	maxStatusStages = 12
)

// progress is what the status shows.
type progress struct {
	Elapsed  time.Duration
	InFlight int64
	// Ended = Succeeded + Failed + Skipped; Failed includes dead and dropped.
	Ended, Succeeded, Failed, Skipped, Retries int64
	Stages                                     []stageProgress
	Draining                                   bool
}

// stageProgress is one stage's line.
type stageProgress struct {
	Name      string
	In, Limit int64
	Done      int64
}

// status shows a run's progress on standard error: a block that is redrawn in
// place on a terminal, a line every few seconds elsewhere. It is also the
// writer of the log, so that log lines and the block do not mix.
type status struct {
	w        io.Writer
	terminal bool
	read     func() progress
	width    func() int

	mu    sync.Mutex
	drawn int // lines of the block on the screen
	quit  chan struct{}
	wg    sync.WaitGroup
}

// newStatus makes a status that reads its figures from read once it is
// started.
func newStatus(w io.Writer, read func() progress) *status {
	s := &status{w: w, terminal: isTerminal(w), read: read, quit: make(chan struct{})}
	s.width = func() int {
		if f, ok := w.(*os.File); ok {
			if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 20 {
				return n
			}
		}
		return 80
	}
	return s
}

// start begins to show; stop must be called afterwards.
func (s *status) start() {
	every := lineEvery
	if s.terminal {
		every = redrawEvery
	}
	s.wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-s.quit:
				return
			case <-tick.C:
				s.show()
			}
		}
	})
}

// stop ends the status and removes the block.
func (s *status) stop() {
	close(s.quit)
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
}

// Write writes log lines above the block.
func (s *status) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	return s.w.Write(b)
}

func (s *status) show() {
	p := s.read()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal {
		fmt.Fprintln(s.w, p.summary())
		return
	}
	s.clear()
	block := p.block(s.width())
	fmt.Fprint(s.w, strings.Join(block, "\n")+"\n")
	s.drawn = len(block)
}

// clear removes the block; the caller holds mu.
func (s *status) clear() {
	if s.drawn > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
}

// summary is the progress on one line.
func (p progress) summary() string {
	state := "running"
	if p.Draining {
		state = "draining"
	}
	rate := 0.0
	if s := p.Elapsed.Seconds(); s > 0 {
		rate = float64(p.Ended) / s
	}
	text := fmt.Sprintf("%s %s: %d ended (%.1f/s), %d ok, %d failed, %d in flight", state, p.Elapsed.Round(time.Second), p.Ended, rate, p.Succeeded, p.Failed, p.InFlight)
	if p.Skipped > 0 {
		text += fmt.Sprintf(", %d skipped", p.Skipped)
	}
	if p.Retries > 0 {
		text += fmt.Sprintf(", %d retries", p.Retries)
	}
	return text
}

// block is the summary and a line per stage, none wider than the terminal: a
// line that wraps could not be redrawn.
func (p progress) block(width int) []string {
	lines := []string{clip(p.summary(), width)}
	name := 0
	for _, s := range p.Stages {
		name = max(name, len(s.Name))
	}
	for i, s := range p.Stages {
		if i == maxStatusStages {
			return append(lines, clip(fmt.Sprintf("  and %d more stages", len(p.Stages)-i), width))
		}
		lines = append(lines, clip(fmt.Sprintf("  %-*s %-10s %3d/%-3d %d done", name, s.Name, bar(s.In, s.Limit), s.In, s.Limit, s.Done), width))
	}
	return lines
}

func clip(text string, width int) string {
	if r := []rune(text); len(r) >= width {
		return string(r[:max(0, width-1)])
	}
	return text
}

// bar draws how full a stage is in ten cells.
func bar(in, limit int64) string {
	if limit <= 0 {
		return ""
	}
	full := min(10, int((in*10+limit-1)/limit))
	return strings.Repeat("#", full) + strings.Repeat(".", 10-full)
}
