package cli

import "fmt"

// suggest returns a hint with the candidate nearest to what was written, or
// otherwise if none is near.
func suggest(written string, candidates []string, otherwise string) string {
	best, bestDistance := "", max(2, len(written)/3)+1
	for _, c := range candidates {
		if d := distance(written, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best == "" {
		return otherwise
	}
	return fmt.Sprintf("did you mean %s?", best)
}

// distance is the Damerau-Levenshtein distance in its optimal string alignment
// form: insertions, deletions, substitutions and swaps of neighbours.
func distance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
