package main

import (
	"html"
	"strings"
)

// token is a piece of HTML: text, or a tag with its attributes.
type token struct {
	text  string // unescaped, if tag is empty
	tag   string // lower case
	end   bool
	attrs map[string]string
}

// raw elements hold text up to their own end tag.
func isRaw(tag string) bool {
	switch tag {
	case "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes":
		return true
	}
	return false
}

// tokenize cuts a page into tokens. It follows the HTML standard where pages
// depend on it (comments, raw text, unquoted attributes) and never fails: what
// is not a tag is text.
func tokenize(s string, yield func(token)) {
	for s != "" {
		at := strings.IndexByte(s, '<')
		if at < 0 {
			at = len(s)
		}
		if at > 0 {
			yield(token{text: html.UnescapeString(s[:at])})
			s = s[at:]
			continue
		}
		t, rest, ok := readTag(s)
		s = rest
		if !ok {
			continue
		}
		if t.tag == "" {
			yield(t)
			continue
		}
		yield(t)
		if !t.end && isRaw(t.tag) {
			body, after := cutEnd(s, t.tag)
			if t.tag == "title" || t.tag == "textarea" {
				body = html.UnescapeString(body)
			}
			yield(token{text: body})
			s = after
		}
	}
}

// readTag reads what begins with "<". ok is false for what has no content:
// comments, doctypes and processing instructions.
func readTag(s string) (t token, rest string, ok bool) {
	switch {
	case strings.HasPrefix(s, "<!--"):
		return t, after(s[4:], "-->"), false
	case len(s) > 1 && (s[1] == '!' || s[1] == '?'):
		return t, after(s, ">"), false
	}
	name := s[1:]
	if t.end = strings.HasPrefix(name, "/"); t.end {
		name = name[1:]
	}
	if name == "" || !isLetter(name[0]) {
		return token{text: "<"}, s[1:], true
	}
	n := strings.IndexAny(name, " \t\r\n\f/>")
	if n < 0 {
		return t, "", false
	}
	t.tag = strings.ToLower(name[:n])
	t.attrs, rest = readAttrs(name[n:])
	return t, rest, true
}

// readAttrs reads attributes up to and including ">".
func readAttrs(s string) (attrs map[string]string, rest string) {
	const space = " \t\r\n\f/"
	for {
		s = strings.TrimLeft(s, space)
		if s == "" {
			return attrs, ""
		}
		if s[0] == '>' {
			return attrs, s[1:]
		}
		n := strings.IndexAny(s[1:], space+">=") + 1
		if n == 0 {
			return attrs, ""
		}
		name, value := strings.ToLower(s[:n]), ""
		s = strings.TrimLeft(s[n:], " \t\r\n\f")
		if strings.HasPrefix(s, "=") {
			value, s = readValue(strings.TrimLeft(s[1:], " \t\r\n\f"))
		}
		if attrs == nil {
			attrs = make(map[string]string)
		}
		if _, twice := attrs[name]; !twice {
			attrs[name] = html.UnescapeString(value)
		}
	}
}

func readValue(s string) (value, rest string) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		value, rest, _ = strings.Cut(s[1:], s[:1])
		return value, rest
	}
	n := strings.IndexAny(s, " \t\r\n\f>")
	if n < 0 {
		return s, ""
	}
	return s[:n], s[n:]
}

// cutEnd cuts raw text before its end tag, of which the rest begins with.
func cutEnd(s, tag string) (body, rest string) {
	for at := 0; ; {
		n := strings.Index(s[at:], "</")
		if n < 0 {
			return s, ""
		}
		at += n
		end := at + 2 + len(tag)
		if end <= len(s) && strings.EqualFold(s[at+2:end], tag) && (end == len(s) || strings.IndexByte(" \t\r\n\f/>", s[end]) >= 0) {
			return s[:at], s[at:]
		}
		at += 2
	}
}

func after(s, mark string) string {
	_, rest, _ := strings.Cut(s, mark)
	return rest
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
