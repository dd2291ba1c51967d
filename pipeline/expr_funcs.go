package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
)

// builtins are the functions of expr-lang that are allowed: pure, bounded and
// with one result for one input. Left out are the clock (now, date, duration,
// timezone), what multiplies memory (repeat), and what depends on the order of
// a map (values, toPairs).
var builtins = [...]string{
	"abs", "all", "any", "ceil", "concat", "count", "filter", "find", "findIndex", "findLast", "findLastIndex",
	"first", "flatten", "float", "floor", "fromBase64", "fromPairs", "get", "groupBy", "hasPrefix", "hasSuffix",
	"indexOf", "int", "last", "lastIndexOf", "len", "lower", "map", "max", "min", "none", "one", "reduce",
	"reverse", "round", "sort", "sortBy", "split", "string", "sum", "take", "toBase64", "trim",
	"trimPrefix", "trimSuffix", "type", "uniq", "upper",
}

// function is one of our own functions.
type function struct {
	name, doc string
	call      func(args ...any) (any, error)
	types     []any
}

// ownFunctions returns the functions that expr-lang lacks, or whose own version
// has no stable or no bounded result.
func ownFunctions() []function {
	return []function{
		{"keys", "the keys of a mapping, sorted", keysOf, []any{new(func(any) []string), new(func(map[string]string) []string)}},
		{"toJSON", "the value as compact JSON with sorted keys", toJSON, []any{new(func(any) string)}},
		{"fromJSON", "the value of a JSON text; whole numbers stay whole", fromJSON, []any{new(func(string) any)}},
		{"sha256", "the SHA-256 of a text, as 64 hex digits", sha256Of, []any{new(func(string) string)}},
		{"replace", "the text with every old part replaced, or the first so many: replace(text, old, new), replace(text, old, new, most)", replaceText,
			[]any{new(func(string, string, string) string), new(func(string, string, string, int) string)}},
		{"join", "the texts of a list in one, with a separator between them if there is one", joinText,
			[]any{new(func([]any) string), new(func([]any, string) string), new(func([]string) string), new(func([]string, string) string)}},
		{"host", "the host of a URL without its port, in lower case; empty if there is none", urlPart(hostOf), []any{new(func(string) string)}},
		{"path", "the path of a URL, / if it has none", urlPart(pathOf), []any{new(func(string) string)}},
		{"query", "the first value of a query parameter of a URL; empty if there is none", queryOf, []any{new(func(string, string) string)}},
	}
}

// FunctionDoc names a function that expressions may call.
type FunctionDoc struct {
	Name string
	// Doc is empty for the functions of expr-lang, whose documentation is
	// https://expr-lang.org/docs/language-definition.
	Doc string
}

// Functions lists every function that expressions may call, by name.
func Functions() []FunctionDoc {
	var out []FunctionDoc
	for _, name := range builtins {
		out = append(out, FunctionDoc{Name: name})
	}
	for _, f := range ownFunctions() {
		out = append(out, FunctionDoc{f.name, f.doc})
	}
	slices.SortFunc(out, func(a, b FunctionDoc) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func functionNames() []string {
	var out []string
	for _, f := range Functions() {
		out = append(out, f.Name)
	}
	return out
}

func functionOptions() []expr.Option {
	options := []expr.Option{expr.DisableAllBuiltins()}
	for _, name := range builtins {
		options = append(options, expr.EnableBuiltin(name))
	}
	for _, f := range ownFunctions() {
		options = append(options, expr.Function(f.name, f.call, f.types...))
	}
	return options
}

func keysOf(args ...any) (any, error) {
	v := reflect.ValueOf(args[0])
	if !v.IsValid() || v.Kind() != reflect.Map || v.Type().Key().Kind() != reflect.String {
		return nil, fmt.Errorf("keys: want a mapping, got %s", TypeName(args[0]))
	}
	out := make([]string, 0, v.Len())
	for _, k := range v.MapKeys() {
		out = append(out, k.String())
	}
	slices.Sort(out)
	return out, nil
}

func toJSON(args ...any) (any, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(args[0]); err != nil {
		return nil, fmt.Errorf("toJSON: %w", err)
	}
	return string(bytes.TrimSuffix(buf.Bytes(), []byte("\n"))), nil
}

func fromJSON(args ...any) (any, error) {
	v, err := DecodeJSON([]byte(args[0].(string)))
	if err != nil {
		return nil, fmt.Errorf("fromJSON: %w", err)
	}
	return v, nil
}

func sha256Of(args ...any) (any, error) {
	sum := sha256.Sum256([]byte(args[0].(string)))
	return hex.EncodeToString(sum[:]), nil
}

func urlPart(part func(*url.URL) string) func(args ...any) (any, error) {
	return func(args ...any) (any, error) {
		u, err := url.Parse(args[0].(string))
		if err != nil {
			return nil, fmt.Errorf("not a URL: %w", err)
		}
		return part(u), nil
	}
}

func hostOf(u *url.URL) string { return strings.ToLower(u.Hostname()) }

func pathOf(u *url.URL) string {
	if u.Path == "" {
		return "/"
	}
	return u.Path
}

func queryOf(args ...any) (any, error) {
	u, err := url.Parse(args[0].(string))
	if err != nil {
		return nil, fmt.Errorf("not a URL: %w", err)
	}
	return u.Query().Get(args[1].(string)), nil
}
