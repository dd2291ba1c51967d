package main

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// Stats counts a text.
type Stats struct {
	Words       int         `json:"words"`
	UniqueWords int         `json:"uniqueWords"`
	Sentences   int         `json:"sentences"`
	Characters  int         `json:"characters"`
	Top         []WordCount `json:"top"`
}

// WordCount is a word in lower case and how often it occurs.
type WordCount struct {
	Word  string `json:"word"`
	Count int    `json:"count"`
}

// statistics counts words (runs of letters, marks and digits, with inner
// apostrophes and hyphens) and sentences (ended by . ! ? … 。 or by the line).
// The top words are ordered by count, then by word, so that the answer is a
// function of the text.
func statistics(text string, top int) Stats {
	var s Stats
	counts := make(map[string]int)
	for line := range strings.Lines(text) {
		s.Sentences += sentences(line)
		for _, w := range words(line) {
			counts[strings.ToLower(w)]++
			s.Words++
		}
	}
	for range text {
		s.Characters++
	}
	s.UniqueWords = len(counts)
	s.Top = make([]WordCount, 0, len(counts))
	for w, n := range counts {
		s.Top = append(s.Top, WordCount{w, n})
	}
	slices.SortFunc(s.Top, func(a, b WordCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Word, b.Word))
	})
	s.Top = slices.Clip(s.Top[:min(top, len(s.Top))])
	return s
}

func words(line string) []string {
	found := strings.FieldsFunc(line, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != '\'' && r != '’' && r != '-'
	})
	for i, w := range found {
		found[i] = strings.Trim(w, "'’-")
	}
	return slices.DeleteFunc(found, func(w string) bool { return w == "" })
}

// sentences counts the pieces with at least one word that a terminator followed
// by white space, or the line's end, closes.
func sentences(line string) int {
	n, open := 0, false
	ended := false
	for _, r := range line {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			open, ended = true, false
		case strings.ContainsRune(".!?…", r):
			ended = open
		case r == '。':
			if open {
				n, open, ended = n+1, false, false
			}
		case unicode.IsSpace(r) && ended:
			n, open, ended = n+1, false, false
		}
	}
	if open {
		n++
	}
	return n
}
