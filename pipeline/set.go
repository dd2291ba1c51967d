package pipeline

import "slices"

// Set is the definitions that a loader knows. A Set does not change; With and
// Without return others, so that a test or a sandbox can have its own.
type Set struct {
	defs  []Def
	cache string
}

// NewSet returns a set; two definitions of one kind, or a kind that is also a
// common key of stages, are a programmer's error and panic.
func NewSet(defs ...Def) *Set {
	s := &Set{}
	for _, d := range defs {
		if _, ok := s.Lookup(d.Kind); ok {
			panic("pipeline.NewSet: kind " + d.Kind + " twice")
		}
		if d.Kind == "" || slices.Contains(commonKeys(), d.Kind) {
			panic("pipeline.NewSet: " + d.Kind + " cannot be the name of a kind")
		}
		s.defs = append(s.defs, d)
	}
	return s
}

// Lookup returns the definition of a kind.
func (s *Set) Lookup(kind string) (Def, bool) {
	for _, d := range s.defs {
		if d.Kind == kind {
			return d, true
		}
	}
	return Def{}, false
}

// Defs returns all definitions in the order given.
func (s *Set) Defs() []Def { return slices.Clone(s.defs) }

// Kinds returns the names of all kinds in the order given.
func (s *Set) Kinds() []string {
	out := make([]string, len(s.defs))
	for i, d := range s.defs {
		out[i] = d.Kind
	}
	return out
}

// Caching returns a set whose stages may keep what they need for their checks in
// dir, the same folder as Env.CacheDir.
func (s *Set) Caching(dir string) *Set { return &Set{s.defs, dir} }

// With returns a set with these definitions too; one of a kind that is there
// already takes its place.
func (s *Set) With(defs ...Def) *Set {
	out := slices.Clone(s.defs)
	for _, d := range defs {
		if i := slices.IndexFunc(out, func(o Def) bool { return o.Kind == d.Kind }); i >= 0 {
			out[i] = d
			continue
		}
		out = append(out, d)
	}
	return NewSet(out...).Caching(s.cache)
}

// Without returns a set that lacks these kinds.
func (s *Set) Without(kinds ...string) *Set {
	out := slices.Clone(s.defs)
	return NewSet(slices.DeleteFunc(out, func(d Def) bool { return slices.Contains(kinds, d.Kind) })...).Caching(s.cache)
}
