package node

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Pos is a place in a file.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"column"`
}

// String returns file:line:col.
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// Problem is one finding.
type Problem struct {
	Pos
	// Code is stable: unknown-key, wrong-type, ...
	Code string `json:"code"`
	// Path is where in the document: stages[2].kernel.limits.memory. It is
	// empty for the document as a whole.
	Path    string `json:"path"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Source is the line of the file, for the caret.
	Source string `json:"-"`
}

// Error renders file:line:col: path: message (hint) [code].
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Pos.String())
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	b.WriteString(": " + p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	if p.Code != "" {
		b.WriteString(" [" + p.Code + "]")
	}
	return b.String()
}

const (
	// excerptWidth is how many characters of a source line are shown at most.
	excerptWidth = 100
	// maxLine is the longest line, in bytes, that places are counted in. Files
	// that people read have none longer; in others every problem would cost as
	// much as the line is long.
	maxLine = 16 << 10
)

// Excerpt renders the source line with a caret under the column, or "" if the
// line is not known. Tabs keep the caret in place; characters that a terminal
// would obey are replaced.
func (p Problem) Excerpt() string {
	if len(p.Source) > maxLine || strings.TrimSpace(p.Source) == "" || p.Col < 1 {
		return ""
	}
	line := []rune(p.Source)
	at := min(p.Col-1, len(line))
	from := max(0, at-excerptWidth*3/4)
	to := min(len(line), from+excerptWidth)
	pad := make([]rune, 0, at-from)
	for i := from; i < to; i++ {
		if line[i] != '\t' && !unicode.IsPrint(line[i]) {
			line[i] = unicode.ReplacementChar
		}
	}
	for _, r := range line[from:at] {
		if r != '\t' {
			r = ' '
		}
		pad = append(pad, r)
	}
	gutter := fmt.Sprintf("%5d | ", p.Line)
	blank := strings.Repeat(" ", len(gutter)-2) + "| "
	return gutter + string(line[from:to]) + "\n" + blank + string(pad) + "^"
}

// Problems is a list of findings.
type Problems []Problem

// Error renders each problem, its source line and a caret:
//
//	capture.yaml:7:14: stages[2].timeout: "30" has no unit (write 30s) [bad-duration]
//	    7 |     timeout: 30
//	      |              ^
func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Error())
		if x := p.Excerpt(); x != "" {
			b.WriteByte('\n')
			b.WriteString(x)
		}
	}
	return b.String()
}

// sorted returns the problems in file order, each once: an alias shows the
// same fault at the same place every time it is used.
func (ps Problems) sorted() Problems {
	type identity struct {
		Pos
		code, message string
	}
	seen := make(map[identity]bool, len(ps))
	out := make(Problems, 0, len(ps))
	for _, p := range ps {
		id := identity{p.Pos, p.Code, p.Message}
		if !seen[id] {
			seen[id] = true
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	return out
}
