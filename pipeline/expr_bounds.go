package pipeline

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"
)

// maxExprText is the longest text, in bytes, that an expression may make. expr's
// own budget counts the elements of lists and mappings and no bytes, so that a
// text that doubles in a loop would be as large as the machine. What makes texts
// longer than its arguments is therefore bounded here: +, replace and join. The
// other functions make at most a few times what they are given (upper, toBase64,
// toJSON), and are not. It is far above a body's usual size, so that pages can be
// put together.
const maxExprText = 16 << 20

func checkText(what string, size int) error {
	if size > maxExprText {
		return fmt.Errorf("%s: the text would have %d bytes; an expression makes at most %d", what, size, maxExprText)
	}
	return nil
}

// replaceText is replace(text, old, new) and replace(text, old, new, most).
func replaceText(args ...any) (any, error) {
	text, from, to, most := args[0].(string), args[1].(string), args[2].(string), -1
	if len(args) == 4 {
		most = runtime.ToInt(args[3])
	}
	n := strings.Count(text, from)
	if most >= 0 {
		n = min(n, most)
	}
	// In steps, since n times a length may be too large for an int.
	if grown := len(to) - len(from); grown > 0 && n > maxExprText/grown {
		return nil, checkText("replace", maxExprText+1)
	} else if err := checkText("replace", len(text)+n*grown); err != nil {
		return nil, err
	}
	return strings.Replace(text, from, to, most), nil
}

// joinText is join(list) and join(list, separator).
func joinText(args ...any) (any, error) {
	between := ""
	if len(args) == 2 {
		between = args[1].(string)
	}
	list := reflect.ValueOf(args[0])
	if list.Kind() != reflect.Slice {
		return nil, fmt.Errorf("join: want a list, got %s", TypeName(args[0]))
	}
	texts := make([]string, list.Len())
	size := 0
	for i := range texts {
		text, ok := list.Index(i).Interface().(string)
		if !ok {
			return nil, fmt.Errorf("join: element %d is %s, not text", i, TypeName(list.Index(i).Interface()))
		}
		texts[i] = text
		size += len(text) + len(between)
		if err := checkText("join", size-len(between)); err != nil {
			return nil, err
		}
	}
	return strings.Join(texts, between), nil
}

// plus names the function that stands for +. No identifier can be written so.
const plus = "+"

// add is + for what may be text.
func add(args ...any) (any, error) {
	if a, ok := args[0].(string); ok {
		if b, ok := args[1].(string); ok {
			if err := checkText(plus, len(a)+len(b)); err != nil {
				return nil, err
			}
			return a + b, nil
		}
	}
	return runtime.Add(args[0], args[1]), nil
}

// boundPlus puts the function in the place of each + that may make a text.
type boundPlus struct{}

var plusType = reflect.TypeFor[func(...any) (any, error)]()

// Visit implements ast.Visitor.
func (boundPlus) Visit(n *ast.Node) {
	sum, ok := (*n).(*ast.BinaryNode)
	if !ok || sum.Operator != plus {
		return
	}
	if t := sum.Type(); t != nil && t.Kind() != reflect.String && t.Kind() != reflect.Interface {
		return
	}
	name := &ast.IdentifierNode{Value: plus}
	name.SetType(plusType)
	ast.Patch(n, &ast.CallNode{Callee: name, Arguments: []ast.Node{sum.Left, sum.Right}})
}
