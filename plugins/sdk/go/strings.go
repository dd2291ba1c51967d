package kernel

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Strings reads a JSON object of strings, such as Record.Meta or a simple
// configuration. Empty input is an empty object. It needs no reflection:
// encoding/json would double a small module.
func Strings(object []byte) (map[string]string, error) {
	s := scanner{object}
	out := make(map[string]string)
	s.space()
	if len(s.rest) == 0 {
		return out, nil
	}
	if !s.next('{') {
		return nil, errors.New("not a JSON object")
	}
	for first := true; !s.next('}'); first = false {
		if !first && !s.next(',') {
			return nil, errors.New("JSON: no comma or brace after a value")
		}
		key, err := s.text()
		if err != nil {
			return nil, errors.New("JSON: a key: " + err.Error())
		}
		if !s.next(':') {
			return nil, errors.New("JSON: no colon after the key " + strconv.Quote(key))
		}
		if out[key], err = s.text(); err != nil {
			return nil, errors.New("the value of " + strconv.Quote(key) + ": " + err.Error())
		}
	}
	if s.space(); len(s.rest) > 0 {
		return nil, errors.New("JSON: text after the object")
	}
	return out, nil
}

// scanner eats JSON from the front.
type scanner struct{ rest []byte }

func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t' || s.rest[0] == '\n' || s.rest[0] == '\r') {
		s.rest = s.rest[1:]
	}
}

// next eats c, with white space before it, if it is there.
func (s *scanner) next(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// text eats a string.
func (s *scanner) text() (string, error) {
	if !s.next('"') {
		return "", errors.New("not a string")
	}
	var out []byte
	for len(s.rest) > 0 {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch {
		case c == '"':
			return string(out), nil
		case c < ' ':
			return "", errors.New("a control character in a string")
		case c != '\\':
			out = append(out, c)
		default:
			var err error
			if out, err = s.escape(out); err != nil {
				return "", err
			}
		}
	}
	return "", errors.New("a string without end")
}

// escape eats what follows a backslash.
func (s *scanner) escape(out []byte) ([]byte, error) {
	if len(s.rest) == 0 {
		return nil, errors.New("a string without end")
	}
	c := s.rest[0]
	s.rest = s.rest[1:]
	switch c {
	case '"', '\\', '/':
		return append(out, c), nil
	case 'b':
		return append(out, '\b'), nil
	case 'f':
		return append(out, '\f'), nil
	case 'n':
		return append(out, '\n'), nil
	case 'r':
		return append(out, '\r'), nil
	case 't':
		return append(out, '\t'), nil
	case 'u':
		r, ok := s.unit()
		if !ok {
			break
		}
		if utf16.IsSurrogate(r) {
			r = s.pair(r)
		}
		return utf8.AppendRune(out, r), nil
	}
	return nil, errors.New("an unknown escape in a string")
}

// pair eats the second half of a surrogate pair; half a pair is U+FFFD.
func (s *scanner) pair(high rune) rune {
	if len(s.rest) < 2 || s.rest[0] != '\\' || s.rest[1] != 'u' {
		return utf8.RuneError
	}
	second := scanner{s.rest[2:]}
	low, ok := second.unit()
	r := utf16.DecodeRune(high, low)
	if ok && r != utf8.RuneError {
		s.rest = second.rest
	}
	return r
}

// unit eats four hexadecimal digits.
func (s *scanner) unit() (rune, bool) {
	if len(s.rest) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.rest[:4]), 16, 16)
	s.rest = s.rest[4:]
	return rune(n), err == nil
}

// appendText appends a JSON string.
func appendText(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
