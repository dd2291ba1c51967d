package plugins

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// conformVectors is what every SDK's conformance kernel is held against:
// samples of a manifest with the answers of the reference below.
const conformVectors = "../spec/vectors/kernel/conform.json"

var updateConform = flag.Bool("update-conform", false, "rewrite "+conformVectors)

// textOr64 puts bytes into the field of a sample that can hold them.
func textOr64(b []byte) (text string, raw []byte) {
	if utf8.Valid(b) {
		return string(b), nil
	}
	return "", b
}

// conformMeta is the metadata as the host hands it over.
func conformMeta(t testing.TB, s manifest.Sample) []byte {
	t.Helper()
	if len(s.Meta) == 0 {
		return nil
	}
	b, err := json.Marshal(s.Meta)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// conformReference is the conformance kernel in plain Go, without an SDK. It
// fills in the sample's answer.
func conformReference(t testing.TB, s manifest.Sample) manifest.Sample {
	t.Helper()
	value := s.Bytes()
	put := func(key string, v []byte) {
		w := manifest.Want{Op: manifest.OpPut, Key: key}
		w.Value, w.Value64 = textOr64(v)
		s.Want = append(s.Want, w)
	}
	if len(value) == 0 {
		return s
	}
	rest := value[1:]
	switch value[0] {
	case '#', '+':
		s.Want = []manifest.Want{{Op: manifest.OpKeep}}
	case '=':
		w := manifest.Want{Op: manifest.OpSlice}
		w.Value, w.Value64 = textOr64(rest)
		s.Want = []manifest.Want{w}
	case '!':
		s.Error = &manifest.WantError{Message: "refused: " + string(rest), Kind: manifest.ErrorPermanent}
	case '?':
		s.Error = &manifest.WantError{Message: "later: " + string(rest), Kind: manifest.ErrorRetry}
	case '~':
		s.Error = &manifest.WantError{Message: "skipped: " + string(rest), Kind: manifest.ErrorSkip}
	case '@':
		put("", conformReport(s, conformMeta(t, s)))
	case ',':
		n := 0
		for part := range bytes.SplitSeq(rest, []byte(",")) {
			if len(part) > 0 {
				put(strconv.Itoa(n), part)
				n++
			}
		}
	default:
		put("", conformUpper(t, s.Config, value))
	}
	return s
}

// conformReport is the answer to "@".
func conformReport(s manifest.Sample, meta []byte) []byte {
	z := s.Seed + 0x9e3779b97f4a7c15 // SplitMix64, its first number
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	decimal := func(n uint64) string { return strconv.FormatUint(n, 10) }
	return []byte("key=" + s.Key + " meta=" + string(meta) + " time=" + decimal(s.Time) + " seed=" + decimal(s.Seed) + " rand=" + decimal(z))
}

func conformUpper(t testing.TB, config json.RawMessage, value []byte) []byte {
	t.Helper()
	var c struct{ Prefix string }
	if config != nil {
		if err := json.Unmarshal(config, &c); err != nil {
			t.Fatal(err)
		}
	}
	out := []byte(c.Prefix)
	for _, b := range value {
		if 'a' <= b && b <= 'z' {
			b -= 'a' - 'A'
		}
		out = append(out, b)
	}
	return out
}

// allBytes is every byte once, from first on.
func allBytes(first byte) []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// conformInputs are the records and configurations, without answers.
func conformInputs() []manifest.Sample {
	text := func(name, value string) manifest.Sample { return manifest.Sample{Name: name, Value: value} }
	raw := func(name string, value []byte) manifest.Sample { return manifest.Sample{Name: name, Value64: value} }
	// with puts a configuration before its samples: JSON as a pipeline file
	// may give it.
	with := func(config string, samples ...manifest.Sample) []manifest.Sample {
		for i := range samples {
			samples[i].Config = json.RawMessage(config)
		}
		return samples
	}
	return append([]manifest.Sample{
		text("upper", "Hello, kernel 42!"),
		text("upper leaves what is beside a to z", "Beside them: `az{ @AZ[ 09"),
		text("upper leaves UTF-8", "äöü ß é 日本 😀 z"),
		raw("upper of every byte", allBytes('a')),
		raw("upper begins with NUL", []byte("\x00a\x00b\x00")),
		raw("upper begins with 0xff", []byte("\xff\xfez")),
		text("one byte", "a"),
		text("a letter that is no order", "A"),
		text("64 KiB", strings.Repeat("The quick brown fox jumps over 13 lazy dogs; naïve café? Yes!\r\n", 1024)[:64<<10]),
		text("dropped because it is empty", ""),
		text("keep", "#kept as it is"),
		text("keep of the order alone", "#"),
		raw("keep of every byte", append([]byte("#"), allBytes(0)...)),
		{Name: "keep with a key", Key: "k", Value: "#kept", Meta: map[string]string{"a": "b"}},
		text("slice", "=the rest"),
		text("slice of nothing", "="),
		text("slice of an order", "=#"),
		raw("slice of every byte", append([]byte("="), allBytes(0)...)),
		text("slice of 9 bytes", "=12345678"),
		text("refused", "!no such page"),
		text("refused without a word", "!"),
		text("refused in UTF-8", "!größer als 日本"),
		text("later", "?busy"),
		text("later without a word", "?"),
		text("skipped", "~seen before"),
		text("skipped without a word", "~"),
		text("report of nothing", "@"),
		{Name: "report", Key: "key-1", Value: "@ignored", Meta: map[string]string{"lang": "de", "city": "Köln", "quote": `"\`}, Time: 1_700_000_000_000_000_005, Seed: 42},
		{Name: "report of the largest numbers", Value: "@", Time: math.MaxUint64, Seed: math.MaxUint64},
		{Name: "report around 2^63", Value: "@", Time: 1 << 63, Seed: 1<<63 - 1},
		{Name: "report around 2^53", Value: "@", Time: 1<<53 + 1, Seed: 1<<53 - 1},
		{Name: "report around 2^32", Value: "@", Time: 1<<32 - 1, Seed: 1 << 32},
		{Name: "report of powers of ten", Value: "@", Time: 10_000_000_000_000_000_000, Seed: 9_999_999_999},
		{Name: "report of a seed that gives 0", Key: "Schlüssel", Value: "@", Seed: 0x61c8864680b583eb},
		text("parts", ",a,b,c"),
		text("parts, some empty", ",,a,,,b,"),
		text("one part", ",whole"),
		text("no parts", ","),
		text("no parts among commas", ",,,,,"),
		text("parts keep case and orders", ",#x,=y,!z,Ä"),
		raw("parts of bytes", []byte(",\x00,\xff\x80,\n")),
		{Name: "parts of a record with a key", Key: "parent", Value: ",a,b"},
		text("many parts", strings.Repeat(",x", 300)),
		text("counted", "+seven bytes and more"),
		text("counted, in UTF-8", "+größer"),
		text("counted nothing", "+"),
	}, append(append(append(
		with(`{}`, text("empty configuration", "abc")),
		with(`{"prefix":""}`, text("empty prefix", "abc"))...),
		with(`{"prefix":"> "}`, text("prefix", "abc"), text("prefix before a keep", "#abc"), text("prefix before a drop", ""), text("prefix before parts", ",a"), text("prefix before a refusal", "!a"))...),
		append(with(`{"prefix":"größer 日本 😀: "}`, text("prefix in UTF-8, not in upper case", "ä abc")),
			with(` { "prefix" : "\u003c\u00e9\ud83d\ude00\u0000\"\\\/\b\f\n\r\t" } `, text("prefix with every escape of JSON", "abc"))...)...)...)
}

// TestConformVectors: the committed vectors are the reference's answers, and
// cover what they should.
func TestConformVectors(t *testing.T) {
	var b bytes.Buffer
	for n, s := range conformInputs() {
		b.WriteString(map[bool]string{true: "[\n", false: ",\n"}[n == 0])
		var line bytes.Buffer
		e := json.NewEncoder(&line)
		e.SetEscapeHTML(false)
		if err := e.Encode(conformReference(t, s)); err != nil {
			t.Fatal(err)
		}
		b.Write(bytes.TrimSpace(line.Bytes()))
	}
	b.WriteString("\n]\n")
	if *updateConform {
		if err := os.WriteFile(conformVectors, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(conformVectors)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, b.Bytes()) {
		t.Errorf("%s is not what the reference answers: go test ./plugins -run TestConformVectors -update-conform", conformVectors)
	}
}

// loadConform reads the committed vectors.
func loadConform(t testing.TB) []manifest.Sample {
	t.Helper()
	b, err := os.ReadFile(conformVectors)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var samples []manifest.Sample
	if err := d.Decode(&samples); err != nil {
		t.Fatal(err)
	}
	if len(samples) < 40 {
		t.Fatalf("only %d vectors", len(samples))
	}
	return samples
}
