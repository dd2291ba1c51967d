// Command readable is a kernel: it takes the HTML of a page and answers with
// JSON: title, language, readable text, headings, links and word statistics.
//
// Its configuration: minWords marks pages with fewer words as thin (they are
// results all the same: what to do about them is the pipeline's decision), and
// top is how many of the most frequent words are listed.
package main

import (
	"bytes"
	"encoding/json"
	"errors"

	kernel "github.com/waybill-dev/waybill/plugins/sdk/go"
)

func init() { kernel.Serve(kernel.JSON(newReadable)) }

func main() {}

// Config is the stage's `with`.
type Config struct {
	// MinWords is the least number of words of a page that is not thin.
	MinWords int `json:"minWords"`
	// Top is how many words the statistics list; 0 means 10.
	Top int `json:"top"`
}

// Page is the kernel's answer.
type Page struct {
	Title    string    `json:"title"`
	Lang     string    `json:"lang,omitempty"`
	Thin     bool      `json:"thin"`
	Stats    Stats     `json:"stats"`
	Headings []Heading `json:"headings"`
	Links    []Link    `json:"links"`
	Text     string    `json:"text"`
}

// Heading is one of h1 to h6.
type Heading struct {
	Level int    `json:"level"`
	Text  string `json:"text"`
}

// Link is an anchor with an href, as it stands in the page.
type Link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

const defaultTop = 10

func newReadable(c Config) (kernel.Handler, error) {
	if c.MinWords < 0 || c.Top < 0 {
		return nil, errors.New("minWords and top may not be negative")
	}
	if c.Top == 0 {
		c.Top = defaultTop
	}
	return kernel.HandlerFunc(func(r *kernel.Record) error {
		out, err := encode(c.page(string(r.Value())))
		if err != nil {
			return err
		}
		r.Put(out)
		return nil
	}), nil
}

// encode writes JSON as people read it: & and < stay as they are.
func encode(p Page) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (c Config) page(html string) Page {
	p := read(html)
	p.Stats = statistics(p.Text, c.Top)
	p.Thin = p.Stats.Words < c.MinWords
	return p
}
