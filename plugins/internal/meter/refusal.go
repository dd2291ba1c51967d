package meter

import (
	"fmt"
	"strings"
)

// Problem is one reason why a module is refused.
type Problem struct {
	// Func is the index of the function that it is about, -1 for none; Name
	// is its name, if the module has names.
	Func int
	Name string
	// Offset is where in the file.
	Offset int
	What   string
}

// String renders the problem with function and offset.
func (p Problem) String() string {
	switch {
	case p.Func < 0:
		return fmt.Sprintf("%s (at byte %#x)", p.What, p.Offset)
	case p.Name != "":
		return fmt.Sprintf("function %d %s: %s (at byte %#x)", p.Func, p.Name, p.What, p.Offset)
	}
	return fmt.Sprintf("function %d: %s (at byte %#x)", p.Func, p.What, p.Offset)
}

// Refusal lists what is wrong with a module.
type Refusal struct {
	Problems []Problem
	// More is how many further problems were found but not listed.
	More int
}

// maxProblems is how many problems a refusal lists.
const maxProblems = 20

// Error renders all problems in one line.
func (r *Refusal) Error() string {
	all := make([]string, len(r.Problems))
	for i, p := range r.Problems {
		all[i] = p.String()
	}
	text := strings.Join(all, "; ")
	if r.More > 0 {
		text += fmt.Sprintf("; and %d more", r.More)
	}
	return text
}

func (r *Refusal) add(p Problem) {
	if len(r.Problems) == maxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, p)
}
