package pipeline

import (
	"context"
	"reflect"

	"github.com/waybill-dev/waybill/pipeline/internal/node"
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
	// defaults is the config before decoding.
	defaults any
	build    func(ctx context.Context, cfg any, env Env) (any, error)
}

// decode reads a stage's config over the defaults, and validates it if its
// types are right.
func (d Def) decode(n *Node, dir, cache string) any {
	cfg := reflect.New(d.Config)
	cfg.Elem().Set(reflect.ValueOf(d.defaults))
	if n.DecodeConfig(cfg.Interface()) && n.Clean() {
		if v, ok := cfg.Interface().(Validator); ok {
			v.Validate(&Validation{File: n.Pos().File, Dir: dir, CacheDir: cache, node: n})
		}
	}
	return cfg.Elem().Interface()
}

// Defaults returns the config of a stage that says nothing.
func (d Def) Defaults() any { return d.defaults }

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

// configFields lists the keys of a stage's config, none if it decodes itself.
func configFields(d Def) []node.FieldInfo {
	if _, ok := reflect.New(d.Config).Interface().(NodeUnmarshaler); ok || d.Config.Kind() != reflect.Struct {
		return nil
	}
	return node.StructFields(d.Config)
}
