package manifest

import "regexp/syntax"

// maxPatterns bounds the patterns of a schema together, as patternSize counts
// them: a repetition is as large as what it stands for, so that ten characters
// can be a program of megabytes.
const maxPatterns = 100_000

// patternSize is about the number of instructions and of ranges of characters
// that a regular expression is compiled to: the memory that it takes, and the
// work per byte that it looks at. An invalid one has none.
func patternSize(expr string) int {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return 0
	}
	return expressionSize(re)
}

func expressionSize(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		size += expressionSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return min(size, ceiling)
}
