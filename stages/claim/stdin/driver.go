package stdin

import (
	"context"
	"os"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

// Scheme is the URL scheme: "stdin:".
const Scheme = "stdin"

// Driver returns the driver of the scheme "stdin".
func Driver() pipeline.QueueDriver {
	return pipeline.QueueDriver{
		Scheme: Scheme,
		Doc:    "stdin, the lines of standard input, once",
		Takes:  []string{"format"},
		Check: func(url string, o pipeline.QueueOptions) error {
			_, err := parse(url, o)
			return err
		},
		Open: open,
	}
}

// config is what the URL says.
type config struct{ url, format, dead string }

func parse(url string, o pipeline.QueueOptions) (config, error) {
	_, rest, _ := pipeline.SplitURL(url)
	path, p := local.CutParams(rest)
	c := config{url: url, format: p.OneOf("format", "", local.Formats()...), dead: p.Text("dead", "")}
	if err := p.Err(); err != nil {
		return c, err
	}
	if path != "" {
		return c, pipeline.Fail("bad-url", "%s: standard input has no name", url).WithHint("write stdin, or stdin?format=lines")
	}
	var err error
	c.format, err = local.Format(c.format, o.Format)
	if err != nil {
		return c, err
	}
	return c, local.NoQueue(url, o)
}

func open(_ context.Context, url string, o pipeline.QueueOptions) (pipeline.Source, error) {
	c, err := parse(url, o)
	if err != nil {
		return nil, err
	}
	o = local.Defaults(o)
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	dead := c.dead
	if dead != "" {
		dead = local.Resolve(o.Dir, dead)
	}
	return local.New(local.Config{URL: "stdin", Options: o, Records: newReader(o.Stdin, c.format),
		Letters: local.NewLetters(dead, o.Log), OnePass: true, Once: true}), nil
}
