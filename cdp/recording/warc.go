package recording

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/cdp/egress"
)

// WARC 1.1 (ISO 28500:2017): records with a head of named fields and a block, each
// in a gzip member of its own, so that a reader can begin at any of them.

// warcWriter appends records.
type warcWriter struct {
	out bytes.Buffer
}

// placed is where a record stands in the file.
type placed struct{ offset, length int }

// record appends one; fields are names and values in turn.
func (w *warcWriter) record(kind string, at time.Time, media string, block []byte, fields ...string) (placed, error) {
	start := w.out.Len()
	z := gzip.NewWriter(&w.out)
	var head bytes.Buffer
	fmt.Fprintf(&head, "WARC/1.1\r\nWARC-Type: %s\r\nWARC-Date: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nWARC-Block-Digest: %s\r\n",
		kind, at.UTC().Format("2006-01-02T15:04:05.000Z"), media, len(block), warcDigest(block))
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] != "" {
			fmt.Fprintf(&head, "%s: %s\r\n", fields[i], fields[i+1])
		}
	}
	head.WriteString("\r\n")
	for _, part := range [][]byte{head.Bytes(), block, []byte("\r\n\r\n")} {
		if _, err := z.Write(part); err != nil {
			return placed{}, err
		}
	}
	if err := z.Close(); err != nil {
		return placed{}, err
	}
	return placed{start, w.out.Len() - start}, nil
}

func recordID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])                      // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // RFC 9562, section 5.4
	return fmt.Sprintf("<urn:uuid:%x-%x-%x-%x-%x>", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// warcDigest is in base32, as readers compare it.
func warcDigest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + base32.StdEncoding.EncodeToString(sum[:])
}

// info appends the record that says who wrote the file.
func (w *warcWriter) info(r *Recording, name string) error {
	block := fmt.Sprintf("software: %s\r\nformat: WARC File Format 1.1\r\nuser-agent: %s\r\n", r.Software, r.Browser)
	_, err := w.record("warcinfo", r.Created, "application/warc-fields", []byte(block), "WARC-Record-ID", recordID(), "WARC-Filename", name)
	return err
}

// exchange appends answer and request; the place is the answer's.
func (w *warcWriter) exchange(x *egress.Exchange) (placed, error) {
	answer, question := recordID(), recordID()
	at, err := w.record("response", x.Started, "application/http; msgtype=response", message(statusLine(x), x.Response.Header, x.Response.Body),
		"WARC-Record-ID", answer, "WARC-Target-URI", x.URL, "WARC-IP-Address", x.RemoteAddr, "WARC-Payload-Digest", warcDigest(x.Response.Body),
		"WARC-Truncated", truncated(x))
	if err != nil {
		return at, err
	}
	u, err := url.Parse(x.URL)
	if err != nil {
		return at, err
	}
	_, err = w.record("request", x.Started, "application/http; msgtype=request", message(x.Method+" "+u.RequestURI()+" HTTP/1.1", x.Request.Header, x.Request.Body),
		"WARC-Record-ID", question, "WARC-Target-URI", x.URL, "WARC-Concurrent-To", answer)
	return at, err
}

func truncated(x *egress.Exchange) string {
	if x.Complete {
		return ""
	}
	return "disconnect" // ISO 28500, section 5.13
}

// statusLine is that of HTTP/1.1, whatever was spoken: readers know no other.
func statusLine(x *egress.Exchange) string {
	return fmt.Sprintf("HTTP/1.1 %d %s", x.Status, http.StatusText(x.Status))
}

// message renders a head and a body. The body's length replaces what the wire
// said of it; the chunks are gone already.
func message(first string, h http.Header, body []byte) []byte {
	var b bytes.Buffer
	b.WriteString(first + "\r\n")
	for _, p := range pairs(h) {
		switch p.Name {
		case "Content-Length", "Transfer-Encoding":
		default:
			b.WriteString(p.Name + ": " + p.Value + "\r\n")
		}
	}
	if len(body) > 0 {
		b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// maxArchive bounds what is read out of a package, decompressed.
const maxArchive = 1 << 30

// bounded fails when more is read than there is room for, which others share.
type bounded struct {
	io.Reader
	room *int64
}

func (b bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if *b.room -= int64(n); *b.room < 0 {
		return 0, fmt.Errorf("it has more than %d bytes when decompressed", maxArchive)
	}
	return n, err
}

// parseWARC reads answers with their requests, in the order of the answers. What
// it decompresses is taken from room.
func parseWARC(r io.Reader, room *int64) ([]egress.Exchange, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in) // members one after the other
		if err != nil {
			return nil, err
		}
		in = bufio.NewReader(bounded{z, room})
	}
	var out []egress.Exchange
	byID := map[string]int{}              // answers
	waiting := map[string]*http.Request{} // requests that came before their answer, by their own id
	bodies := map[*http.Request][]byte{}
	for n := 0; ; n++ {
		h, block, err := nextRecord(in)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("WARC record %d: %w", n, err)
		}
		switch h.Get("WARC-Type") {
		case "response":
			x, err := answered(h, block)
			if err != nil {
				return nil, fmt.Errorf("WARC record %d: %w", n, err)
			}
			if q := waiting[h.Get("WARC-Concurrent-To")]; q != nil {
				asked(&x, q, bodies[q])
			}
			byID[h.Get("WARC-Record-ID")] = len(out)
			out = append(out, x)
		case "request":
			q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(block)))
			if err != nil {
				continue // some archives keep what is no HTTP/1.1
			}
			body, _ := io.ReadAll(q.Body)
			if i, ok := byID[h.Get("WARC-Concurrent-To")]; ok {
				asked(&out[i], q, body)
				continue
			}
			waiting[h.Get("WARC-Record-ID")], bodies[q] = q, body
		}
	}
}

func asked(x *egress.Exchange, q *http.Request, body []byte) {
	x.Method = q.Method
	x.Request = egress.Message{Proto: q.Proto, Header: q.Header, Body: body}
	if q.Host != "" {
		x.Request.Header.Set("Host", q.Host)
	}
	if len(body) == 0 {
		x.Request.Body = nil
	}
}

// nextRecord reads one record.
func nextRecord(in *bufio.Reader) (textproto.MIMEHeader, []byte, error) {
	t := textproto.NewReader(in)
	first := ""
	for first == "" { // the two empty lines after a record
		line, err := t.ReadLine()
		if err != nil {
			return nil, nil, err
		}
		first = line
	}
	if !strings.HasPrefix(first, "WARC/1.") {
		return nil, nil, fmt.Errorf("%.40q does not begin a record", first)
	}
	h, err := t.ReadMIMEHeader()
	if err != nil {
		return nil, nil, unexpected(err)
	}
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil || n < 0 || n > maxArchive {
		return nil, nil, fmt.Errorf("the length %.40q is none", h.Get("Content-Length"))
	}
	var block bytes.Buffer // grows with what is there, not with what is claimed
	if _, err := io.CopyN(&block, in, n); err != nil {
		return nil, nil, unexpected(err)
	}
	return h, block.Bytes(), nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// answered reads the block of an answer.
func answered(h textproto.MIMEHeader, block []byte) (x egress.Exchange, err error) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(block)), nil)
	if err != nil {
		return x, err
	}
	body, err := io.ReadAll(resp.Body)
	x = egress.Exchange{Method: http.MethodGet, URL: strings.Trim(h.Get("WARC-Target-URI"), "<>"), Status: resp.StatusCode,
		RemoteAddr: h.Get("WARC-IP-Address"), Complete: err == nil && h.Get("WARC-Truncated") == "",
		Response: egress.Message{Proto: resp.Proto, Header: resp.Header, Body: body}}
	if len(body) == 0 {
		x.Response.Body = nil
	}
	x.Response.Header.Del("Content-Length")
	x.Started, err = time.Parse(time.RFC3339, h.Get("WARC-Date"))
	return x, err
}
