package recording

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

// WACZ 1.1.1 (specs.webrecorder.net/wacz/1.1.1): a zip with a WARC, an index into
// it, the pages, and a frictionless data package that has the digest of each.
const (
	waczVersion = "1.1.1"
	warcFile    = "archive/data.warc.gz"
	indexFile   = "indexes/index.cdxj"
	pagesFile   = "pages/pages.jsonl"
	packageFile = "datapackage.json"
	digestFile  = "datapackage-digest.json"
)

type (
	dataPackage struct {
		Profile   string     `json:"profile"`
		Version   string     `json:"wacz_version"`
		Title     string     `json:"title,omitempty"`
		Created   string     `json:"created"`
		Software  string     `json:"software"`
		MainURL   string     `json:"mainPageUrl,omitempty"`
		MainDate  string     `json:"mainPageDate,omitempty"`
		Resources []resource `json:"resources"`
	}
	resource struct {
		Name  string `json:"name"`
		Path  string `json:"path"`
		Hash  string `json:"hash"`
		Bytes int    `json:"bytes"`
	}
	packageDigest struct {
		Path string `json:"path"`
		Hash string `json:"hash"`
	}
	pagesHead struct {
		Format string `json:"format"`
		ID     string `json:"id"`
		Title  string `json:"title"`
	}
	pageLine struct {
		ID    string `json:"id"`
		URL   string `json:"url"`
		TS    string `json:"ts"`
		Title string `json:"title,omitempty"`
	}
)

// WACZ renders the recording.
func (r *Recording) WACZ() ([]byte, error) {
	warc, index, err := r.warc()
	if err != nil {
		return nil, err
	}
	pages, err := r.pageLines()
	if err != nil {
		return nil, err
	}
	p := dataPackage{Profile: "data-package", Version: waczVersion, Created: r.Created.UTC().Format(time.RFC3339), Software: r.Software}
	if len(r.Pages) > 0 {
		p.Title, p.MainURL, p.MainDate = r.Pages[0].Title, r.Pages[0].URL, r.Pages[0].Started.UTC().Format(time.RFC3339)
	}
	files := []struct {
		name string
		data []byte
	}{{warcFile, warc}, {indexFile, index}, {pagesFile, pages}}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range files {
		p.Resources = append(p.Resources, resource{path.Base(f.name), f.name, hash(f.data), len(f.data)})
		if err := r.add(z, f.name, f.data); err != nil {
			return nil, err
		}
	}
	described, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, err
	}
	digest, err := json.Marshal(packageDigest{packageFile, hash(described)})
	if err != nil {
		return nil, err
	}
	if err := r.add(z, packageFile, described); err != nil {
		return nil, err
	}
	if err := r.add(z, digestFile, digest); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// add stores a file uncompressed, so that a player can read ranges of it.
func (r *Recording) add(z *zip.Writer, name string, data []byte) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Modified: r.Created.UTC()})
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// warc writes the answers and their index. What has no answer has no place in it.
func (r *Recording) warc() (warc, index []byte, err error) {
	var w warcWriter
	if err := w.info(r, path.Base(warcFile)); err != nil {
		return nil, nil, err
	}
	var lines cdxj
	for i := range r.Exchanges {
		x := &r.Exchanges[i]
		if x.Status == 0 {
			continue
		}
		at, err := w.exchange(x)
		if err != nil {
			return nil, nil, err
		}
		if err := lines.add(x, at); err != nil {
			return nil, nil, err
		}
	}
	return w.out.Bytes(), lines.bytes(), nil
}

func (r *Recording) pageLines() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(pagesHead{"json-pages-1.0", "pages", "All Pages"}); err != nil {
		return nil, err
	}
	for i, p := range r.Pages {
		if err := e.Encode(pageLine{pageID(i), p.URL, p.Started.UTC().Format("2006-01-02T15:04:05.000Z"), p.Title}); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// ParseWACZ reads a WACZ, of ours or of a crawler. Each file that the data package
// lists must have its digest.
func ParseWACZ(data []byte) (*Recording, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("read a WACZ: %w", err)
	}
	files := map[string][]byte{}
	room := int64(maxArchive)
	for _, f := range z.File {
		if files[f.Name], err = unzip(f, room); err != nil {
			return nil, fmt.Errorf("read a WACZ: %s: %w", f.Name, err)
		}
		room -= int64(len(files[f.Name]))
	}
	p, err := checkPackage(files)
	if err != nil {
		return nil, fmt.Errorf("read a WACZ: %w", err)
	}
	r := &Recording{Software: p.Software}
	r.Created, _ = time.Parse(time.RFC3339, p.Created)
	for _, f := range z.File { // in the order of the zip
		if !strings.HasPrefix(f.Name, "archive/") || !strings.Contains(f.Name, ".warc") {
			continue
		}
		exchanges, err := parseWARC(bytes.NewReader(files[f.Name]), &room)
		if err != nil {
			return nil, fmt.Errorf("read a WACZ: %s: %w", f.Name, err)
		}
		r.Exchanges = append(r.Exchanges, exchanges...)
	}
	r.Pages, err = parsePages(files[pagesFile])
	return r, err
}

func unzip(f *zip.File, most int64) ([]byte, error) {
	in, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("more than %d bytes", most)
	}
	return b, err
}

func checkPackage(files map[string][]byte) (p dataPackage, err error) {
	described, ok := files[packageFile]
	if !ok {
		return p, fmt.Errorf("%w: there is no %s", ErrFormat, packageFile)
	}
	if err := json.Unmarshal(described, &p); err != nil {
		return p, fmt.Errorf("%s: %w", packageFile, err)
	}
	if raw, ok := files[digestFile]; ok {
		var d packageDigest
		if err := json.Unmarshal(raw, &d); err != nil || d.Hash != hash(described) {
			return p, fmt.Errorf("%s does not have the digest that %s says", packageFile, digestFile)
		}
	}
	for _, x := range p.Resources {
		data, ok := files[x.Path]
		if !ok {
			return p, fmt.Errorf("%s is listed and not there", x.Path)
		}
		if strings.HasPrefix(x.Hash, "sha256:") && x.Hash != hash(data) {
			return p, fmt.Errorf("%s does not have its digest", x.Path)
		}
	}
	return p, nil
}

func parsePages(lines []byte) (pages []Page, err error) {
	for line := range bytes.Lines(lines) {
		var p pageLine
		if err := json.Unmarshal(line, &p); err != nil {
			return nil, fmt.Errorf("read a WACZ: %s: %w", pagesFile, err)
		}
		if p.URL == "" {
			continue // the head
		}
		at, _ := time.Parse(time.RFC3339, p.TS)
		pages = append(pages, Page{URL: p.URL, Title: p.Title, Started: at})
	}
	return pages, nil
}
