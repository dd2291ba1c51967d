package execute

import (
	"encoding/json"

	"github.com/waybill-dev/waybill/cdp"
	"github.com/waybill-dev/waybill/pipeline"
)

// keyName is one key of the keyboard.
type keyName string

// UnmarshalNode reads the key.
func (k *keyName) UnmarshalNode(n *pipeline.Node) {
	text, ok := keyText(n)
	if ok && !cdp.IsKey(text) {
		n.Problem(pipeline.CodeBadValue, suggestKey(text), "there is no key %q", text)
	}
	*k = keyName(text)
}

// keyNames is a key, or keys joined by +.
type keyNames string

// UnmarshalNode reads the keys.
func (k *keyNames) UnmarshalNode(n *pipeline.Node) {
	text, ok := keyText(n)
	if !ok {
		return
	}
	if unknown := cdp.UnknownKey(text); unknown != "" || text == "" {
		n.Problem(pipeline.CodeBadValue, suggestKey(unknown), "there is no key %q", unknown)
		return
	}
	*k = keyNames(text)
}

// keyText reads the name of a key; a digit needs no quotes.
func keyText(n *pipeline.Node) (string, bool) {
	if n.Kind() != pipeline.KindScalar {
		n.Problem(pipeline.CodeWrongType, "Enter, Control+a", "want a key, got %s", n.Kind())
		return "", false
	}
	return n.Text(), true
}

func suggestKey(name string) string {
	if hint := pipeline.Suggest(name, cdp.KeyNames()); len(hint) < 60 {
		return hint
	}
	return "Enter, Tab, Escape, ArrowDown, a, Control+a, ..."
}

// NodeSchema describes a key.
func (keyName) NodeSchema() json.RawMessage { return json.RawMessage(`{"type":["string","integer"]}`) }

// NodeSchema describes a key or a combination.
func (keyNames) NodeSchema() json.RawMessage { return json.RawMessage(`{"type":["string","integer"]}`) }
