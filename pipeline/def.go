package pipeline

import (
	"context"
	"reflect"
)

// Role is what a definition makes.
type Role string

const (
	RoleStage       Role = "stage"
	RoleSource      Role = "source"
	RoleDistributor Role = "distributor"
)

// Def is one kind of stage as a plain value: its name, its typed config, and
// how to make it. Defs are listed in a Set; nothing registers itself.
type Def struct {
	// Kind is the key in the pipeline file: "store".
	Kind string
	// Doc is one line for help and reference.
	Doc  string
	Role Role
	// Config is a zero value of the config type, for schema and reference.
	Config reflect.Type
	// Defaults is the config before decoding.
	defaults any
	build    func(ctx context.Context, cfg any, env Env) (any, error)
}

// Define makes a definition. C is the config struct; its yaml tags name the
// keys (",optional" keys may be left out), its field comments are the docs and
// defaults holds the values of keys that were left out. S is Stage, Source or
// Distributor, or a type that implements one of them. C may implement Validator.
//
//	var Def = pipeline.Define("store", "keeps results under their digest",
//		Config{Copies: 1}, New)
func Define[C any, S any](kind, doc string, defaults C, mk func(context.Context, C, Env) (S, error)) Def {
	d := Def{Kind: kind, Doc: doc, Config: reflect.TypeFor[C](), defaults: defaults, Role: roleOf(reflect.TypeFor[S]())}
	d.build = func(ctx context.Context, cfg any, env Env) (any, error) { return mk(ctx, cfg.(C), env) }
	return d
}

func roleOf(t reflect.Type) Role {
	switch {
	case t.Implements(reflect.TypeFor[Source]()):
		return RoleSource
	case t.Implements(reflect.TypeFor[Distributor]()):
		return RoleDistributor
	case t.Implements(reflect.TypeFor[Stage]()):
		return RoleStage
	}
	panic("pipeline.Define: " + t.String() + " is neither Stage, Source nor Distributor")
}

// Set is the definitions that a loader knows.
type Set struct{ defs []Def }

// NewSet returns a set; two definitions of one kind are a programmer's error
// and panic.
func NewSet(defs ...Def) *Set {
	s := &Set{}
	for _, d := range defs {
		if _, ok := s.Lookup(d.Kind); ok {
			panic("pipeline.NewSet: kind " + d.Kind + " twice")
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
func (s *Set) Defs() []Def { return s.defs }
