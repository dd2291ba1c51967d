package node

import (
	"testing"

	"github.com/gowebpki/jcs"
)

// TestCanonical compares with an independent RFC 8785 implementation.
func TestCanonical(t *testing.T) {
	for _, src := range []string{
		`{"b":[1,2.50,-0.0,1e30,1E-7,100000000000000000000.5],"a":{"ö":"€","z":null,"y":true}}`,
		`{"😀":1,"דּ":2,"é":3,"10":4,"2":5}`,
		`["\u0000\u001f\b\t\n\f\r\"\\/<>&\u2028\u007f"]`,
		`"text"`, `{}`, `[]`,
	} {
		want, err := jcs.Transform([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		d := Parse("f.yaml", ".", []byte(src))
		if d.Root() == nil {
			t.Fatal(d.Problems())
		}
		if got := string(d.Root().Canonical()); got != string(want) {
			t.Errorf("%s:\n got %s\nwant %s", src, got, want)
		}
	}
}

// TestCanonicalLayout: layout, comments, quotes, order and aliases are no part
// of the form; whole numbers keep their digits.
func TestCanonicalLayout(t *testing.T) {
	a := "b: 'x' # note\na:\n  - &n 1\n  - *n\nbig: 9007199254740993\n"
	b := "{ a: [1, 1], big: 9007199254740993, b: x }"
	first := string(Parse("f", ".", []byte(a)).Root().Canonical())
	second := string(Parse("f", ".", []byte(b)).Root().Canonical())
	if first != second || first != `{"a":[1,1],"b":"x","big":9007199254740993}` {
		t.Errorf("%s\n%s", first, second)
	}
}
