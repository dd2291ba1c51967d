package cdp

import (
	"slices"
	"strconv"
	"strings"
)

// key is what a key of a US keyboard sends (UI Events KeyboardEvent key and code
// values, https://www.w3.org/TR/uievents-key/ and uievents-code).
type key struct {
	name     string // KeyboardEvent.key: "a", "Enter"
	code     string // KeyboardEvent.code: "KeyA"
	text     string // what it types, if anything
	vk       int    // Windows virtual key code
	location int    // 1 left, 2 right, 3 number pad
}

// Modifiers, as the protocol counts them.
const (
	alt = 1 << iota
	control
	meta
	shift
)

func (k key) modifier() int {
	switch k.name {
	case "Alt":
		return alt
	case "Control":
		return control
	case "Meta":
		return meta
	case "Shift":
		return shift
	}
	return 0
}

// punctuation is plain and shifted character, code and virtual key code.
var punctuation = []struct {
	plain, shifted, code string
	vk                   int
}{
	{";", ":", "Semicolon", 186}, {"=", "+", "Equal", 187}, {",", "<", "Comma", 188}, {"-", "_", "Minus", 189},
	{".", ">", "Period", 190}, {"/", "?", "Slash", 191}, {"`", "~", "Backquote", 192}, {"[", "{", "BracketLeft", 219},
	{"\\", "|", "Backslash", 220}, {"]", "}", "BracketRight", 221}, {"'", `"`, "Quote", 222},
}

// named are the keys with a name of their own; the code is the name if empty.
var named = []key{
	{"Enter", "", "\r", 13, 0}, {"Tab", "", "", 9, 0}, {"Backspace", "", "", 8, 0}, {"Escape", "", "", 27, 0}, {" ", "Space", " ", 32, 0},
	{"Delete", "", "", 46, 0}, {"Insert", "", "", 45, 0}, {"Home", "", "", 36, 0}, {"End", "", "", 35, 0}, {"PageUp", "", "", 33, 0}, {"PageDown", "", "", 34, 0},
	{"ArrowLeft", "", "", 37, 0}, {"ArrowUp", "", "", 38, 0}, {"ArrowRight", "", "", 39, 0}, {"ArrowDown", "", "", 40, 0},
	{"Shift", "ShiftLeft", "", 16, 1}, {"Shift", "ShiftRight", "", 16, 2}, {"Control", "ControlLeft", "", 17, 1}, {"Control", "ControlRight", "", 17, 2},
	{"Alt", "AltLeft", "", 18, 1}, {"Alt", "AltRight", "", 18, 2}, {"Meta", "MetaLeft", "", 91, 1}, {"Meta", "MetaRight", "", 92, 2}, {"AltGraph", "", "", 225, 0},
	{"CapsLock", "", "", 20, 0}, {"NumLock", "", "", 144, 0}, {"ScrollLock", "", "", 145, 0}, {"Pause", "", "", 19, 0}, {"PrintScreen", "", "", 44, 0},
	{"ContextMenu", "", "", 93, 0}, {"Help", "", "", 47, 0}, {"Clear", "", "", 12, 0}, {"Cancel", "Abort", "", 3, 0}, {"Select", "", "", 41, 0},
	{"Convert", "", "", 28, 0}, {"NonConvert", "", "", 29, 0}, {"Accept", "", "", 30, 0}, {"ModeChange", "", "", 31, 0}, {"Print", "", "", 42, 0},
	{"Execute", "Open", "", 43, 0}, {"Props", "", "", 247, 0}, {"Attn", "", "", 246, 0}, {"CrSel", "", "", 247, 0}, {"ExSel", "", "", 248, 0},
	{"EraseEof", "", "", 249, 0}, {"Play", "", "", 250, 0}, {"ZoomOut", "", "", 251, 0}, {"Power", "", "", 0, 0}, {"Eject", "", "", 0, 0},
	{"AudioVolumeMute", "", "", 173, 0}, {"AudioVolumeDown", "", "", 174, 0}, {"AudioVolumeUp", "", "", 175, 0},
	{"MediaTrackNext", "", "", 176, 0}, {"MediaTrackPrevious", "", "", 177, 0}, {"MediaStop", "", "", 178, 0}, {"MediaPlayPause", "", "", 179, 0},
	{"SoftLeft", "", "", 0, 0}, {"SoftRight", "", "", 0, 0}, {"Camera", "", "", 44, 0}, {"Call", "", "", 0, 0}, {"EndCall", "", "", 95, 0},
	{"VolumeDown", "", "", 182, 0}, {"VolumeUp", "", "", 183, 0},
	{"Enter", "NumpadEnter", "\r", 13, 3}, {"*", "NumpadMultiply", "*", 106, 3}, {"+", "NumpadAdd", "+", 107, 3}, {"-", "NumpadSubtract", "-", 109, 3},
	{".", "NumpadDecimal", ".", 110, 3}, {"/", "NumpadDivide", "/", 111, 3}, {"=", "NumpadEqual", "=", 187, 3},
}

// keyboardLayout lists all keys. Of several with one name the first counts, so
// number pad and right-hand keys come last.
func keyboardLayout() []key {
	var out []key
	for c := 'a'; c <= 'z'; c++ {
		upper := strings.ToUpper(string(c))
		out = append(out, key{string(c), "Key" + upper, string(c), int(upper[0]), 0}, key{upper, "Key" + upper, upper, int(upper[0]), 0})
	}
	for i, shifted := range ")!@#$%^&*(" {
		d := strconv.Itoa(i)
		out = append(out, key{d, "Digit" + d, d, '0' + i, 0}, key{string(shifted), "Digit" + d, string(shifted), '0' + i, 0})
	}
	for _, p := range punctuation {
		out = append(out, key{p.plain, p.code, p.plain, p.vk, 0}, key{p.shifted, p.code, p.shifted, p.vk, 0})
	}
	for _, k := range named {
		if k.code == "" {
			k.code = k.name
		}
		out = append(out, k)
	}
	for i := range 24 {
		name := "F" + strconv.Itoa(i+1)
		out = append(out, key{name, name, "", 112 + i, 0})
	}
	for i := range 10 {
		d := strconv.Itoa(i)
		out = append(out, key{d, "Numpad" + d, d, 96 + i, 3})
	}
	return out
}

// findKey finds a key by what it types, its name (Enter) or its code (KeyA).
func findKey(name string) (key, bool) {
	switch name {
	case "\r", "\n":
		name = "Enter"
	}
	layout := keyboardLayout()
	for _, k := range layout {
		if k.name == name {
			return k, true
		}
	}
	for _, k := range layout {
		if k.code == name {
			return k, true
		}
	}
	return key{}, false
}

// splitKeys splits Control+Shift+a into its keys; the last may be a plus.
func splitKeys(combination string) []string {
	if combination == "+" {
		return []string{"+"}
	}
	if rest, ok := strings.CutSuffix(combination, "++"); ok {
		return append(strings.Split(rest, "+"), "+")
	}
	return strings.Split(combination, "+")
}

// IsKey reports whether there is a key of this name or code.
func IsKey(name string) bool {
	_, ok := findKey(name)
	return ok
}

// UnknownKey returns the first key of a combination such as Control+a that
// there is not, or "".
func UnknownKey(combination string) string {
	for _, name := range splitKeys(combination) {
		if !IsKey(name) {
			return name
		}
	}
	return ""
}

// KeyNames lists the names and codes of all keys, sorted.
func KeyNames() []string {
	var out []string
	for _, k := range keyboardLayout() {
		out = append(out, k.name, k.code)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
