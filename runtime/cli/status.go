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
	// Paused: somebody paused the queue.
	Paused bool
}

// stageProgress is one stage's line.
type stageProgress struct {
	Name      string
	In, Limit int64
	Done      int64
	// Waiting counts items that wait for the limit of all processes together.
	Waiting int64
}

// status shows a run's progress on standard error: a block that is redrawn in
// place on a terminal, a line every few seconds elsewhere. It is also the
// writer of the log, so that log lines and the block do not mix.
type status struct {
	w        io.Writer
	terminal bool
	read     func() progress
	size     func() (width, height int)

	mu    sync.Mutex
	drawn int // lines of the block on the screen
	quit  chan struct{}
	wg    sync.WaitGroup
}

// newStatus makes a status that reads its figures from read once it is
// started.
func newStatus(w io.Writer, read func() progress) *status {
	s := &status{w: w, terminal: isTerminal(w), read: read, quit: make(chan struct{})}
	s.size = func() (width, height int) {
		if f, ok := w.(*os.File); ok {
			if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 20 && h > 1 {
				return w, h
			}
		}
		return 80, 24
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
	block := p.block(s.size())
	fmt.Fprint(s.w, s.erase()+strings.Join(block, "\n")+"\n") // at once, or it flickers
	s.drawn = len(block)
}

// clear removes the block; the caller holds mu.
func (s *status) clear() { fmt.Fprint(s.w, s.erase()) }

// erase returns what removes the block from the screen; the caller holds mu. The
// cursor may be anywhere in the line below: terminals echo ^C.
func (s *status) erase() string {
	if s.drawn == 0 {
		return ""
	}
	up := s.drawn
	s.drawn = 0
	return fmt.Sprintf("\r\x1b[%dA\x1b[J", up)
}

// summary is the progress on one line.
func (p progress) summary() string {
	state := "running"
	switch {
	case p.Draining:
		state = "draining"
	case p.Paused:
		state = "paused"
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

// block is the summary and a line per stage, none wider than the terminal and
// all together not higher: what has wrapped or scrolled could not be redrawn.
func (p progress) block(width, height int) []string {
	lines := wrap(p.summary(), width)
	room := max(1, min(maxStatusStages, height-1-len(lines)))
	stages, more := p.Stages, 0
	if len(stages) > room {
		stages, more = stages[:room-1], len(stages)-room+1
	}
	bars := width >= barWidth
	name := 0
	for _, s := range stages {
		name = max(name, len([]rune(s.Name)))
	}
	name = max(4, min(name, width-figures(bars)))
	for _, s := range stages {
		lines = append(lines, clip(s.line(name, bars), width))
	}
	if more > 0 {
		lines = append(lines, clip("  and "+count(int64(more), "more stage"), width))
	}
	return lines
}

// barWidth is the least width of a terminal at which stages have bars.
const barWidth = 60

// figures is how much of a line is not for the stage's name, up to a million
// items done.
func figures(bars bool) int {
	if bars {
		return 36
	}
	return 25
}

// line is one stage's line, with a name of that width.
func (s stageProgress) line(name int, bars bool) string {
	text := fmt.Sprintf("  %-*s ", name, oneLine(s.Name, name))
	if bars {
		text += fmt.Sprintf("%-10s ", bar(s.In, s.Limit))
	}
	text += fmt.Sprintf("%3d/%-3d %d done", s.In, s.Limit, s.Done)
	if s.Waiting > 0 {
		text += fmt.Sprintf(", %d wait for its limit", s.Waiting)
	}
	return text
}

// wrap breaks a line after its commas, where it must.
func wrap(text string, width int) (lines []string) {
	line := ""
	for part := range strings.SplitAfterSeq(text, ", ") {
		if line != "" && len(line)+len(strings.TrimSpace(part)) >= width {
			lines = append(lines, clip(strings.TrimSpace(line), width))
			line = ""
		}
		line += part
	}
	return append(lines, clip(strings.TrimSpace(line), width))
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
