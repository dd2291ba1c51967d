package pipeline

import (
	"errors"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/file"

	"github.com/waybill-dev/waybill/pipeline/internal/node"
)

// goType matches how expr names a type; only in places where one stands, since
// int and string are functions too.
const goType = `((?:\[\]|map\[string\]|\*)*(?:u?int(?:8|16|32|64)?|float(?:32|64)|string|bool|interface \{\}|pipeline\.\w+|<nil>|unknown))`

var (
	noField     = regexp.MustCompile(`^type \S*\.?(exprItem|exprArtifact|exprEnv) has no field (\S+)`)
	noMember    = regexp.MustCompile(`^type ` + goType + ` has no (field|method) (\S+)`)
	unknownName = regexp.MustCompile(`^unknown name (\S+)`)
	notBool     = regexp.MustCompile(`^expected bool, but got ` + goType + `$`)
	conversion  = regexp.MustCompile(`^interface conversion: interface \{\} is ` + goType + `, not ` + goType + `$`)
	typeParens  = regexp.MustCompile(`\(type ` + goType + `\)`)
	typePlace   = regexp.MustCompile(`\b(types?|and|got|expected|use|from|on|operation: -|operation:|is|not) ` + goType + `($|[ ,)])`)
	typeAfter   = regexp.MustCompile(`(operation: .* [-+*/%<>=!]+) ` + goType + `$`)
	noArtifact  = regexp.MustCompile(`artifacts\s*(?:\.\s*(\w+)|\[\s*["'\x60]([^"'\x60]*)["'\x60]\s*\])\s*\.?\s*$`)
)

// explain turns expr's errors into ours: offsets in bytes, no Go types, a hint
// for misspelled names.
func explain(src string, err error) *exprError {
	message, offset := err.Error(), 0
	var f *file.Error
	if errors.As(err, &f) {
		message, offset = f.Message, byteOffset(src, f.From)
	}
	out := &exprError{offset: offset, message: plainTypes(message)}
	if m := noField.FindStringSubmatch(message); m != nil {
		known, what := itemFields, "item"
		if m[1] == "exprArtifact" {
			known, what = artifactFields, "an artifact"
		}
		out.message = what + " has no field " + m[2]
		out.hint = node.Suggest(m[2], known)
		return out
	}
	if m := noMember.FindStringSubmatch(message); m != nil {
		out.message = typeWord(m[1]) + " has no " + m[2] + " " + m[3]
	} else if m := unknownName.FindStringSubmatch(message); m != nil {
		out.hint = suggestName(m[1])
	} else if m := notBool.FindStringSubmatch(message); m != nil {
		out.message = "must be true or false, got " + typeWord(m[1])
	} else if m := conversion.FindStringSubmatch(message); m != nil {
		out.message = "want " + typeWord(m[2]) + ", got " + typeWord(m[1])
	} else if strings.Contains(message, `Operator("=")`) {
		out.message, out.hint = `unexpected "="`, "did you mean ==?"
	} else if strings.HasPrefix(message, "reflect: call of reflect.Value.Field on zero Value") {
		// Only item.artifacts leads to something that may be missing.
		out.message = "no such artifact"
		if m := noArtifact.FindStringSubmatch(src[:out.offset]); m != nil {
			out.message = "no artifact " + m[1] + m[2]
		}
		out.hint = `ask first: "name" in item.artifacts`
	}
	return out
}

// plainTypes replaces the Go types of a message.
func plainTypes(message string) string {
	message = typeParens.ReplaceAllStringFunc(message, func(s string) string {
		return "(" + typeWord(typeParens.FindStringSubmatch(s)[1]) + ")"
	})
	for _, re := range []*regexp.Regexp{typePlace, typeAfter} {
		message = re.ReplaceAllStringFunc(message, func(s string) string {
			m := re.FindStringSubmatch(s)
			return m[1] + " " + typeWord(m[2]) + strings.Join(m[3:], "")
		})
	}
	return message
}

// typeWord names a Go type as TypeName does.
func typeWord(name string) string {
	switch name = strings.TrimLeft(name, "*"); {
	case name == "interface {}":
		return "something"
	case strings.HasPrefix(name, "[]"):
		return "a list"
	case strings.HasPrefix(name, "map["):
		return "a mapping"
	case strings.HasPrefix(name, "int"), strings.HasPrefix(name, "uint"), strings.HasPrefix(name, "float"):
		return "a number"
	}
	words := map[string]string{"string": "text", "bool": "a bool", "<nil>": "nothing", "pipeline.exprItem": "the item",
		"pipeline.exprArtifact": "an artifact", "pipeline.exprEnv": "the environment"}
	if word, ok := words[name]; ok {
		return word
	}
	return "something"
}

func suggestName(name string) string {
	if near := node.Nearest(name, append([]string{"item"}, functionNames()...)); near != "" {
		return "did you mean " + near + "?"
	}
	return "an expression sees item and the functions of the reference"
}

func byteOffset(s string, runes int) int {
	for i := range s {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(s)
}
