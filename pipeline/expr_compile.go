package pipeline

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

const (
	maxExprNodes  = 1000
	maxExprMemory = 1_000_000 // expr's own unit: elements made while it runs
)

// exprEnv is what an expression sees.
type exprEnv struct {
	Item exprItem `expr:"item"`
}

type exprItem struct {
	ID        string                   `expr:"id"`
	Key       string                   `expr:"key"`
	Queue     string                   `expr:"queue"`
	Priority  int                      `expr:"priority"`
	Attempt   int                      `expr:"attempt"`
	Token     int64                    `expr:"token"`
	Body      any                      `expr:"body"`
	Meta      map[string]string        `expr:"meta"`
	Artifacts map[string]*exprArtifact `expr:"artifacts"`
}

type exprArtifact struct {
	Size      int    `expr:"size"`
	MediaType string `expr:"mediaType"`
	Digest    string `expr:"digest"`
}

var (
	itemFields     = []string{"id", "key", "queue", "priority", "attempt", "token", "body", "meta", "artifacts"}
	artifactFields = []string{"size", "mediaType", "digest"}
)

// program is a compiled expression with what it needs to run.
type program struct {
	code      *vm.Program
	body      bool // it looks at item.body
	artifacts bool // it looks at item.artifacts
	machines  sync.Pool
}

// machine is what one evaluation needs; machines are reused.
type machine struct {
	vm  vm.VM
	env exprEnv
}

// exprError is a fault of an expression, at a byte offset in its source.
type exprError struct {
	offset        int
	message, hint string
}

func (e *exprError) Error() string { return e.message }

func compile(src string, condition bool) (*program, *exprError) {
	switch {
	case strings.TrimSpace(src) == "":
		return nil, &exprError{message: "the expression is empty"}
	case len(src) > MaxExpression:
		return nil, &exprError{message: fmt.Sprintf("the expression has %d bytes; at most %d are allowed", len(src), MaxExpression), hint: "use a kernel"}
	}
	code, err := compileGuarded(src, condition)
	if err != nil {
		return nil, explain(src, err)
	}
	u := uses(code)
	if u.env {
		return nil, &exprError{offset: max(0, strings.Index(src, "$env")), message: "unknown name $env", hint: "an expression sees item"}
	}
	p := &program{code: code, body: u.body, artifacts: u.artifacts}
	p.machines.New = newMachine
	return p, nil
}

func newMachine() any { return &machine{vm: vm.VM{MemoryBudget: maxExprMemory}} }

// exprCompiler does what expr.Compile does, time and again. It keeps what it has
// learnt about the types of the environment: learning that anew takes longer
// than compiling an expression. Parsers are not kept: expr-lang's, though
// documented as reusable, goes on counting where it stopped. It does one
// compilation at a time.
type exprCompiler struct {
	config  conf.Config
	checker checker.Checker
}

// exprCompilers holds idle compilers.
var exprCompilers = sync.Pool{New: func() any {
	tables := functionTables()
	c := &exprCompiler{config: conf.Config{Optimize: true, ShortCircuit: true, MaxNodes: maxExprNodes,
		Functions: tables.Functions, Builtins: tables.Builtins, Disabled: tables.Disabled}}
	c.config.WithEnv(exprEnv{})
	return c
}}

// compileGuarded turns a panic of the compiler into an error: the source comes
// from a file that may hold anything. A compiler that failed is not used again,
// since it may have stopped half way.
func compileGuarded(src string, condition bool) (code *vm.Program, err error) {
	c := exprCompilers.Get().(*exprCompiler)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the expression cannot be compiled: %v", r)
		}
		if err == nil {
			exprCompilers.Put(c)
		}
	}()
	return c.compile(src, condition)
}

func (c *exprCompiler) compile(src string, condition bool) (*vm.Program, error) {
	c.config.Expect, c.config.ExpectAny = reflect.Invalid, false
	if condition {
		c.config.Expect, c.config.ExpectAny = reflect.Bool, true
	}
	tree, err := parser.ParseWithConfig(src, &c.config)
	if err != nil {
		return nil, err
	}
	if _, err := c.checker.Check(tree, &c.config); err != nil {
		return nil, err
	}
	if err := optimizer.Optimize(&tree.Node, &c.config); err != nil {
		var f *file.Error
		if errors.As(err, &f) {
			return nil, f.Bind(tree.Source)
		}
		return nil, err
	}
	ast.Walk(&tree.Node, boundPlus{})
	return compiler.Compile(tree, &c.config)
}

// functionTables holds the functions of the allow-list. Nothing writes to its
// maps once they are made.
var functionTables = sync.OnceValue(func() *conf.Config {
	c := conf.CreateNew()
	for _, option := range functionOptions() {
		option(c)
	}
	for name := range c.Disabled {
		delete(c.Builtins, name)
	}
	expr.Function(plus, add)(c)
	return c
})

// run evaluates the program. The body is decoded only if the program looks at
// it.
func (p *program) run(it *Item) (any, *exprError) {
	m := p.machines.Get().(*machine)
	defer func() {
		m.env = exprEnv{}
		p.machines.Put(m)
	}()
	m.env.Item = exprItem{ID: it.ID, Key: it.Key, Queue: it.Queue, Priority: it.Priority, Attempt: it.Attempt, Token: it.Token, Meta: it.Meta}
	if p.body {
		v, err := it.Body.Value()
		if err != nil {
			return nil, &exprError{message: err.Error()}
		}
		m.env.Item.Body = v
	}
	if p.artifacts {
		m.env.Item.Artifacts = describeArtifacts(it.Artifacts)
	}
	v, err := m.vm.Run(p.code, &m.env)
	if err != nil {
		return nil, explain(p.code.Source().String(), err)
	}
	return v, nil
}

func describeArtifacts(list []Artifact) map[string]*exprArtifact {
	out := make(map[string]*exprArtifact, len(list))
	for _, a := range list {
		out[a.Name] = &exprArtifact{Size: len(a.Data), MediaType: a.MediaType, Digest: string(DigestOf(a.Data))}
	}
	return out
}

// usage counts how an expression reaches into the item.
type usage struct {
	items, known    int
	body, artifacts bool
	env             bool // $env, the language's way around the names
}

// Visit implements ast.Visitor.
func (u *usage) Visit(n *ast.Node) {
	switch n := (*n).(type) {
	case *ast.IdentifierNode:
		switch n.Value {
		case "item":
			u.items++
		case "$env":
			u.env = true
		}
	case *ast.MemberNode:
		base, ok := n.Node.(*ast.IdentifierNode)
		field, constant := n.Property.(*ast.StringNode)
		if ok && constant && base.Value == "item" {
			u.known++
			u.body = u.body || field.Value == "body"
			u.artifacts = u.artifacts || field.Value == "artifacts"
		}
	}
}

// uses reports which costly fields a program looks at; all if it passes the
// item on as a whole.
func uses(code *vm.Program) usage {
	var u usage
	root := code.Node()
	ast.Walk(&root, &u)
	whole := u.items > u.known
	u.body, u.artifacts = u.body || whole, u.artifacts || whole
	return u
}

// renderText renders a scalar; ok is false for nil and structures.
func renderText(v any) (s string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int:
		return strconv.Itoa(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	if r := reflect.ValueOf(v); r.CanInt() {
		return strconv.FormatInt(r.Int(), 10), true
	}
	return "", false
}

// TypeName says what a value is in the words of a pipeline file: "text", "a
// list". Messages to its author name no Go types.
func TypeName(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a bool"
	case string:
		return "text"
	case int, float64:
		return "a number"
	}
	switch reflect.TypeOf(v).Kind() {
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping"
	}
	return "a value of another type"
}
