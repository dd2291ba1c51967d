package cdp

import (
	"fmt"
	"strings"
)

// Locator says which element is meant, and in which document.
type Locator struct {
	// Selectors are alternatives: the first that finds a suitable element
	// counts. Each is a chain, mostly of one selector: every link is looked up in
	// the shadow root of what the one before found, or below it. A selector is
	// CSS, or begins with aria/ (accessible name, with [role="button"] if
	// wanted), text/, xpath/ or pierce/ (CSS through all open shadow roots), as
	// the Chrome DevTools Recorder writes them.
	Selectors [][]string
	// Frame leads from the main document to the one of an embedded frame: each
	// step is the number of a frame, from 0 in document order, or a selector.
	// Empty: the main document.
	Frame []string
}

// At is the locator of an element in the main document, by alternatives.
func At(selectors ...string) Locator {
	l := Locator{Selectors: make([][]string, len(selectors))}
	for i, s := range selectors {
		l.Selectors[i] = []string{s}
	}
	return l
}

// String renders the alternatives for errors.
func (l Locator) String() string {
	var b strings.Builder
	for i, chain := range l.Selectors {
		if i > 0 {
			b.WriteString(" or ")
		}
		fmt.Fprintf(&b, "%q", strings.Join(chain, " >>> "))
	}
	if len(l.Frame) > 0 {
		fmt.Fprintf(&b, " in frame %s", strings.Join(l.Frame, " > "))
	}
	return b.String()
}

// hasARIA reports whether the browser's accessibility tree is needed.
func (l Locator) hasARIA() bool {
	for _, chain := range l.Selectors {
		if isARIA(chain) {
			return true
		}
	}
	return false
}

func isARIA(chain []string) bool {
	for _, s := range chain {
		if strings.HasPrefix(s, ariaPrefix) {
			return true
		}
	}
	return false
}

const ariaPrefix = "aria/"

// parseARIA splits aria/Name[role="button"] into name and role.
func parseARIA(selector string) (name, role string, err error) {
	text := strings.TrimPrefix(selector, ariaPrefix)
	for {
		i := strings.LastIndexByte(text, '[')
		if i < 0 || !strings.HasSuffix(text, "]") {
			break
		}
		key, value, ok := strings.Cut(text[i+1:len(text)-1], "=")
		if !ok {
			break // a name that ends with brackets
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch strings.TrimSpace(key) {
		case "role":
			role = value
		case "name":
			if name != "" {
				return "", "", &SelectorError{fmt.Sprintf("%s: the name is given twice", selector)}
			}
			name = value
		default:
			return "", "", &SelectorError{fmt.Sprintf("%s: aria/ knows [role=...] and [name=...], not [%s]", selector, key)}
		}
		text = text[:i]
	}
	if text = strings.Join(strings.Fields(text), " "); text != "" {
		name = text
	}
	if name == "" && role == "" {
		return "", "", &SelectorError{fmt.Sprintf("%s: neither a name nor a role", selector)}
	}
	return name, role, nil
}

// CheckSelector finds what can be wrong with a selector without a page.
func CheckSelector(selector string) error {
	if !strings.HasPrefix(selector, ariaPrefix) {
		return nil
	}
	_, _, err := parseARIA(selector)
	return err
}
