package node

// Nearest returns the candidate that s was probably meant to be, or "" if none
// is near: at most one edit per three characters, and always one.
func Nearest(s string, candidates []string) string {
	best, bestDistance := "", max(1, len([]rune(s))/3)+1
	for _, c := range candidates {
		if d := Distance(s, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// Distance is the number of characters to insert, delete, replace or swap with
// their neighbour to make a into b (optimal string alignment).
func Distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, prev, cur := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(s); i++ {
		cur[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(t)]
}
