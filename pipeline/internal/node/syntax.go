package node

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var yamlPrefix = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntaxHints translates the parser's words into what to do. The first match
// counts.
var syntaxHints = []struct{ has, message, hint string }{
	{"cannot start any token", "", "quote the value"},
	{"mapping values are not allowed", "a second \": \" in one value, or a line that is indented too far", "quote the value, or give it a line of its own"},
	{"did not find expected key", "", "check the indentation of this line, and that text after a quoted value is quoted with it"},
	{"did not find expected '-'", "a list goes on with something that is no list item", "start the line with - or check its indentation"},
	{"did not find expected ',' or ']'", "", "a [ is not closed"},
	{"did not find expected ',' or '}'", "", "a { is not closed"},
	{"unexpected end of stream", "a quote is not closed", ""},
	{"could not find expected ':'", "", "a key needs a colon and a space behind it"},
	{"unknown anchor", "", "define it with & before it is used"},
	{"unknown escape", "", "use single quotes, where a backslash is only a backslash"},
}

// locateSyntax finds where a syntax error is. yaml.v3 names no column and
// often the wrong line, so the place is searched for: it is the end of the
// shortest prefix that fails in the same way while a slightly shorter one does
// not. Where that would take too long, the line of yaml.v3 must do.
func locateSyntax(src []byte, err error) (line, col int, message, hint string) {
	message = yamlPrefix.ReplaceAllString(err.Error(), "")
	at, found := transition(src, message)
	if !found {
		at = lineStart(src, reportedLine(err))
	}
	if name, ok := strings.CutPrefix(message, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		if !found {
			at = len(src) // the parser names no line either
		}
		at = max(0, bytes.LastIndex(src[:min(len(src), at+1)], []byte("*"+name)))
	}
	if strings.Contains(message, "did not find expected") && at < len(src) && src[at] == ':' {
		// The parser sees the token once it sees the colon behind it.
		at = bytes.LastIndexAny(src[:at], "\n\t,[]{}\"'") + 1
		for src[at] == ' ' {
			at++
		}
	}
	line, col = lineCol(src, at)
	if at < len(src) && src[at] == '\t' {
		return line, col, "a tab cannot indent YAML", "use spaces"
	}
	for _, h := range syntaxHints {
		if strings.Contains(message, h.has) {
			if h.message != "" {
				message = h.message
			}
			return line, col, message, h.hint
		}
	}
	return line, col, message, ""
}

// searchBudget is how many bytes the search for a syntax error may parse, which
// takes a tenth of a second. It finds the exact place in a file of 32 KiB;
// anybody can make a file of a megabyte that is wrong.
const searchBudget = 512 << 10

// transition returns the offset of the character that makes src fail with
// message; found is false if the budget did not suffice to find its line. Whole
// lines are tried first, so that the ends of earlier quotes and brackets do not
// mislead the search.
func transition(src []byte, message string) (at int, found bool) {
	budget := searchBudget
	fails := func(n int) bool {
		budget -= n
		_, err := parseYAML(src[:n])
		return err != nil && yamlPrefix.ReplaceAllString(err.Error(), "") == message
	}
	ends := []int{0}
	for i, c := range src {
		if c == '\n' || i == len(src)-1 {
			ends = append(ends, i+1)
		}
	}
	lo, hi := 0, len(ends)-1
	for hi-lo > 1 && budget > 0 {
		if mid := (lo + hi) / 2; fails(ends[mid]) {
			hi = mid
		} else {
			lo = mid
		}
	}
	if hi-lo > 1 {
		return 0, false
	}
	from, to := ends[lo], ends[hi]
	for to-from > 1 && budget > 0 {
		mid := (from + to) / 2
		for mid > from+1 && !utf8.RuneStart(src[mid]) {
			mid--
		}
		if !utf8.RuneStart(src[mid]) {
			break
		}
		if fails(mid) {
			to = mid
		} else {
			from = mid
		}
	}
	return visible(src, ends[lo], from), true
}

// reportedLine is the line that yaml.v3 names; it leaves out the first.
func reportedLine(err error) int {
	if m := yamlPrefix.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
		if line, err := strconv.Atoi(m[1]); err == nil {
			return line
		}
	}
	return 1
}

// lineStart returns where a line starts, or the last one if there are fewer.
func lineStart(src []byte, line int) int {
	at := 0
	for ; line > 1; line-- {
		next := bytes.IndexByte(src[at:], '\n')
		if next < 0 || at+next+1 == len(src) {
			break
		}
		at += next + 1
	}
	return at
}

// visible steps back to a character that can be seen: a token shows itself only
// at its second character, or at the space behind a colon.
func visible(src []byte, start, at int) int {
	for at > start && (src[at] == ' ' || src[at] == '\n' || src[at] == '\r') {
		at--
	}
	return at
}

func lineCol(src []byte, at int) (line, col int) {
	at = min(at, len(src))
	head := string(src[:at])
	line = strings.Count(head, "\n") + 1
	return line, utf8.RuneCountInString(head[strings.LastIndexByte(head, '\n')+1:]) + 1
}
