package recording

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/waybill-dev/waybill/cdp/egress"
)

func gzipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sample has what makes formats different: a redirect with a cookie, a compressed
// body, a binary one, a coding that nobody knows, a POST with a body, two answers
// for one URL, an IPv6 host with a port, and a request without an answer.
func sample(t testing.TB) *Recording {
	start := time.Date(2026, 11, 22, 7, 30, 0, 123e6, time.UTC)
	n := 0
	x := func(method, url string, status int, body []byte, asked []byte, headers ...string) egress.Exchange {
		n++
		e := egress.Exchange{Started: start.Add(time.Duration(n) * time.Millisecond), Method: method, URL: url, Status: status, RemoteAddr: "192.0.2.7", Complete: true,
			Request:  egress.Message{Proto: "HTTP/1.1", Header: http.Header{"Accept": {"*/*"}, "Host": {"www.example.com"}}, Body: asked},
			Response: egress.Message{Proto: "HTTP/1.1", Header: http.Header{}, Body: body},
			Timings:  egress.Timings{Blocked: 0, DNS: -1, Connect: 2 * time.Millisecond, TLS: 3 * time.Millisecond, Send: 0, Wait: 5 * time.Millisecond, Receive: 1500 * time.Microsecond}}
		for i := 0; i < len(headers); i += 2 {
			e.Response.Header.Add(headers[i], headers[i+1])
		}
		return e
	}
	r := &Recording{Software: "waybill 1.0", Browser: "HeadlessChrome/156.0", Created: start.Add(time.Minute).Truncate(time.Second), Exchanges: []egress.Exchange{
		x("GET", "https://www.example.com/go?b=2&a=1&a=0", 302, nil, nil, "Location", "/", "Set-Cookie", "session=s3cret; Path=/; HttpOnly; Secure"),
		x("GET", "https://www.example.com/", 200, gzipped(t, "<title>Größe</title>"), nil, "Content-Type", "text/html; charset=utf-8", "Content-Encoding", "gzip"),
		x("GET", "https://www.example.com/p.png", 200, []byte{0x89, 'P', 'N', 'G', 0xff, 0}, nil, "Content-Type", "image/png"),
		x("GET", "https://www.example.com/b.js", 200, []byte{1, 2, 0xfe}, nil, "Content-Type", "text/javascript", "Content-Encoding", "br"),
		x("POST", "https://www.example.com/api", 201, []byte(`{"n":1}`), []byte(`{"q":1}`), "Content-Type", "application/json"),
		x("POST", "https://www.example.com/api", 201, []byte(`{"n":2}`), []byte{0xff}, "Content-Type", "application/json"),
		x("GET", "http://[2001:db8::1]:8080/x", 204, nil, nil),
	}}
	r.Exchanges[0].Request.Header.Set("Cookie", "session=s3cret; theme=dark")
	r.Exchanges[4].Request.Header.Set("Authorization", "Bearer s3cret")
	r.Exchanges = append(r.Exchanges, egress.Exchange{Started: start.Add(time.Second), Method: "GET", URL: "http://10.0.0.1/", Failure: "not public", Code: egress.CodeAddress,
		Request: egress.Message{Proto: "HTTP/1.1", Header: http.Header{}}, Response: egress.Message{Header: http.Header{}},
		Timings: egress.Timings{Blocked: -1, DNS: -1, Connect: -1, TLS: -1, Send: -1, Wait: -1, Receive: -1}})
	r.AddPages([]Page{{URL: "about:blank"}, {URL: "https://www.example.com/#top", Title: "Größe"}})
	return r
}

func TestHARIsValid(t *testing.T) {
	data, err := sample(t).HAR()
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("testdata/har-1.2.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(data []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(v)
	}
	if err := valid(data); err != nil {
		t.Error(err)
	}
	// The schema is strict enough to see what is wrong.
	for _, change := range [][2]string{{`"version":"1.2"`, `"version":"1.3"`}, {`"send":0`, `"send":-1`}, {`"status":302`, `"status":"302"`}, {`"cookies"`, `"cookie"`}} {
		if bad := bytes.Replace(data, []byte(change[0]), []byte(change[1]), 1); bytes.Equal(bad, data) || valid(bad) == nil {
			t.Errorf("the schema takes %s", change[1])
		}
	}
	var f harFile
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	for i, e := range f.Log.Entries {
		sum := 0.0
		for _, d := range []float64{e.Timings.Blocked, e.Timings.DNS, e.Timings.Connect, e.Timings.Send, e.Timings.Wait, e.Timings.Receive} { // ssl is part of connect
			sum += max(0, d)
		}
		if math.Abs(e.Time-sum) > 1e-6 {
			t.Errorf("entry %d takes %v ms and its phases %v", i, e.Time, sum)
		}
		if e.Page != "page_1" { // it begins with the redirect to it
			t.Errorf("entry %d is of page %q", i, e.Page)
		}
	}
}

// What is written is read again: the same exchanges but for what a format cannot
// hold.
func TestRoundTrip(t *testing.T) {
	r := sample(t)
	har, err := r.HAR()
	if err != nil {
		t.Fatal(err)
	}
	wacz, err := r.WACZ()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"har": har, "wacz": wacz} {
		got, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		want := sample(t)
		for i := range want.Exchanges {
			x := &want.Exchanges[i]
			switch body, plain := decoded(x.Response, maxDecoded); {
			case name == "wacz":
				x.Timings = egress.Timings{}
			case plain:
				x.Response.Body = body
				x.Response.Header.Del("Content-Encoding")
			}
		}
		if name == "wacz" {
			want.Exchanges = want.Exchanges[:len(want.Exchanges)-1] // it has no answer
		}
		ignore := cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreMapEntries(func(k string, _ []string) bool { return k == "Content-Length" }),
			cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Proto" }, cmp.Ignore()),
			cmp.Comparer(func(a, b time.Duration) bool { return max(a, 0) == max(b, 0) })}
		if diff := cmp.Diff(want.Exchanges, got.Exchanges, ignore); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(want.Pages, got.Pages); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func unzipAll(t *testing.T, data []byte) (names []string, files map[string][]byte) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string][]byte{}
	for _, f := range z.File {
		if f.Method != zip.Store {
			t.Errorf("%s is compressed; a player reads ranges of it", f.Name)
		}
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name)
	}
	return names, files
}

// The checks are those of the specification: the files, the digests, and an index
// in which each line points at the record of its URL.
func TestWACZIsValid(t *testing.T) {
	data, err := sample(t).WACZ()
	if err != nil {
		t.Fatal(err)
	}
	names, files := unzipAll(t, data)
	if diff := cmp.Diff([]string{"archive/data.warc.gz", "indexes/index.cdxj", "pages/pages.jsonl", "datapackage.json", "datapackage-digest.json"}, names); diff != "" {
		t.Error(diff)
	}
	var p dataPackage
	if err := json.Unmarshal(files["datapackage.json"], &p); err != nil {
		t.Fatal(err)
	}
	if p.Profile != "data-package" || p.Version != "1.1.1" || p.MainURL != "https://www.example.com/#top" || len(p.Resources) != 3 {
		t.Errorf("datapackage.json: %+v", p)
	}
	for _, r := range p.Resources {
		if r.Hash != hash(files[r.Path]) || r.Bytes != len(files[r.Path]) {
			t.Errorf("resource %+v", r)
		}
	}
	if want := `{"path":"datapackage.json","hash":"` + hash(files["datapackage.json"]) + `"}`; string(files["datapackage-digest.json"]) != want {
		t.Errorf("datapackage-digest.json: %s", files["datapackage-digest.json"])
	}
	lines := strings.Split(strings.TrimSuffix(string(files["indexes/index.cdxj"]), "\n"), "\n")
	if !slices.IsSorted(lines) || len(lines) != 7 {
		t.Errorf("the index: %q", lines)
	}
	if !strings.HasPrefix(lines[0], "[2001:db8::1]:8080)/x 20261122073000 {") || !strings.HasPrefix(lines[1], "com,example)/ 20261122073000 {") ||
		!strings.HasPrefix(lines[5], "com,example)/go?a=0&a=1&b=2 20261122073000 {") {
		t.Errorf("keys of the index: %q", lines)
	}
	for _, line := range lines {
		var x cdxjLine
		if err := json.Unmarshal([]byte(strings.SplitN(line, " ", 3)[2]), &x); err != nil {
			t.Fatal(err)
		}
		checkRecord(t, files["archive/"+x.Filename], x)
	}
	if pages := strings.Split(string(files["pages/pages.jsonl"]), "\n"); len(pages) != 3 || !strings.Contains(pages[0], `"format":"json-pages-1.0"`) || !strings.Contains(pages[1], `"title":"Größe"`) {
		t.Errorf("pages.jsonl: %q", pages)
	}
}

// checkRecord reads the record that an index line points at, and nothing else.
func checkRecord(t *testing.T, warc []byte, line cdxjLine) {
	t.Helper()
	offset, _ := strconv.Atoi(line.Offset)
	length, _ := strconv.Atoi(line.Length)
	z, err := gzip.NewReader(bytes.NewReader(warc[offset : offset+length]))
	if err != nil {
		t.Fatal(err)
	}
	record, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(record), "\r\n\r\n")
	_, body, _ := strings.Cut(rest, "\r\n\r\n")
	body = strings.TrimSuffix(body, "\r\n\r\n")
	for _, want := range []string{"WARC/1.1\r\n", "WARC-Type: response", "WARC-Target-URI: " + line.URL, "WARC-Payload-Digest: " + warcDigest([]byte(body)), "WARC-Date: 2026-11-22T07:30:00."} {
		if !strings.Contains(head, want) {
			t.Errorf("the record of %s has no %q:\n%s", line.URL, want, head)
		}
	}
	if line.Digest != warcDigest([]byte(body)) || !strings.HasPrefix(rest, "HTTP/1.1 "+line.Status) {
		t.Errorf("the index says %+v, the record %.60q", line, rest)
	}
}

func TestRedact(t *testing.T) {
	r := sample(t).Redact()
	har, err := r.HAR()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(har, []byte("s3cret")) {
		t.Errorf("a secret is left: %s", har)
	}
	for _, want := range []string{"session=[redacted]; theme=[redacted]", "session=[redacted]; Path=/; HttpOnly; Secure", "Bearer [redacted]"} {
		if !bytes.Contains(har, []byte(want)) {
			t.Errorf("there is no %s", want)
		}
	}
	if h := sample(t).Exchanges[0].Request.Header.Get("Cookie"); !strings.Contains(h, "s3cret") {
		t.Errorf("the original was changed: %s", h)
	}
}

// A changed byte anywhere in a WACZ is noticed.
func TestChangedWACZ(t *testing.T) {
	data, err := sample(t).WACZ()
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File[:4] {
		at, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(data)
		bad[at+int64(f.UncompressedSize64)/2] ^= 1
		if _, err := Parse(bad); err == nil {
			t.Errorf("a change in %s was not noticed", f.Name)
		}
	}
}

// Small bodies that grow when they are decoded do not fill the memory: those that
// find no room stay as they were sent, and say so.
func TestBodiesThatGrow(t *testing.T) {
	const room = 400_000
	bomb := gzipped(t, strings.Repeat("x", room/4))
	r := &Recording{Software: "waybill 1.0"}
	for range 8 {
		r.Exchanges = append(r.Exchanges, egress.Exchange{Method: "GET", URL: "http://a.example/", Status: 200, Complete: true,
			Response: egress.Message{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: bomb}})
	}
	data, err := r.har(room)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > room+8*2*len(bomb)+10_000 {
		t.Errorf("the HAR has %d bytes", len(data))
	}
	got, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range got.Exchanges {
		if coded := x.Response.Header.Get("Content-Encoding") == "gzip"; coded != (i >= 4) || coded && !bytes.Equal(x.Response.Body, bomb) {
			t.Errorf("body %d is coded: %t", i, coded)
		}
	}
}

// The records of all archives in a package share one bound.
func TestArchivesThatGrow(t *testing.T) {
	var w warcWriter
	if err := w.info(&Recording{Software: strings.Repeat("x", 6000)}, "x"); err != nil {
		t.Fatal(err)
	}
	room := int64(10_000)
	if _, err := parseWARC(bytes.NewReader(w.out.Bytes()), &room); err != nil {
		t.Errorf("the first archive: %v", err)
	}
	if _, err := parseWARC(bytes.NewReader(w.out.Bytes()), &room); err == nil {
		t.Error("the second archive found room too")
	}
}

func FuzzParse(f *testing.F) {
	r := sample(f)
	for _, render := range []func() ([]byte, error){r.HAR, r.WACZ} {
		data, err := render()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = Parse(data)
		room := int64(1 << 20)
		_, _ = parseWARC(bytes.NewReader(data), &room)
	})
}
