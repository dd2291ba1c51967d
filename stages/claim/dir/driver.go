package dir

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
	"github.com/waybill-dev/waybill/stages/internal/durable"
)

// Scheme is the URL scheme: "dir:inbox".
const Scheme = "dir"

const defaultPoll = time.Second

// Driver returns the driver of the scheme "dir".
func Driver() pipeline.QueueDriver {
	return pipeline.QueueDriver{
		Scheme: Scheme,
		Doc:    "dir:PATH?glob=*.html, the files that come into a folder",
		Takes:  []string{"checkpoint"},
		Check: func(url string, o pipeline.QueueOptions) error {
			_, err := parse(url, o)
			return err
		},
		Open: open,
	}
}

// config is what the URL says.
type config struct {
	name         string // of the checkpoint's input
	folder       string // to open
	shown        string // as the pipeline calls it
	glob         string
	move, failed string // empty: the file stays
	poll         time.Duration
}

func parse(url string, o pipeline.QueueOptions) (config, error) {
	_, rest, _ := pipeline.SplitURL(url)
	path, p := local.CutParams(rest)
	c := config{shown: path, folder: local.Resolve(o.Dir, path), glob: p.Text("glob", "*"),
		move: p.Text("move", ""), poll: p.Duration("poll", defaultPoll, 10*time.Millisecond)}
	c.failed = p.Text("failed", c.move)
	c.name = "dir:" + path + "?glob=" + c.glob
	if err := p.Err(); err != nil {
		return c, err
	}
	if path == "" {
		return c, pipeline.Fail("bad-url", "%s names no folder", url).WithHint("such as dir:inbox?glob=*.html")
	}
	if _, err := filepath.Match(c.glob, ""); err != nil {
		return c, pipeline.Fail("bad-url", "glob=%s: %w", c.glob, err)
	}
	for _, to := range []*string{&c.move, &c.failed} {
		if *to == "" {
			continue
		}
		if *to = local.Resolve(c.folder, *to); filepath.Clean(*to) == filepath.Clean(c.folder) {
			return c, pipeline.Fail("bad-url", "files would be moved to where they are").WithHint("such as move=done")
		}
	}
	return c, local.NoQueue(url, o)
}

func open(_ context.Context, url string, o pipeline.QueueOptions) (pipeline.Source, error) {
	c, err := parse(url, o)
	if err != nil {
		return nil, err
	}
	if err := prepare(c); err != nil {
		return nil, err
	}
	o = local.Defaults(o)
	w := &watch{config: c, log: o.Log, files: map[string]*file{}}
	lc := local.Config{URL: "dir:" + c.shown, Options: o, Records: w, Letters: local.NewLetters(filepath.Clean(c.folder)+".dead.jsonl", o.Log)}
	if o.Checkpoint == "" {
		return local.New(lc), nil
	}
	path := local.Resolve(o.Dir, o.Checkpoint)
	lc.Letters = local.NewLetters(path+".dead.jsonl", o.Log)
	if lc.Journal, err = local.OpenLiveJournal(path, c.name); err != nil {
		return nil, err
	}
	if err := w.resume(lc.Journal); err != nil {
		_ = lc.Journal.Close()
		return nil, err
	}
	return local.New(lc), nil
}

// prepare checks the folder and makes those that files are moved to.
func prepare(c config) error {
	info, err := os.Stat(c.folder)
	if err == nil && !info.IsDir() {
		err = pipeline.Fail("no-input", "it is no folder")
	}
	for _, to := range []string{c.move, c.failed} {
		if err == nil && to != "" {
			err = durable.MkdirAll(to, 0o755)
		}
	}
	if err != nil {
		return pipeline.Fail("no-input", "dir:%s: %w: %w", c.shown, pipeline.ErrNoQueue, err).WithHint("paths are relative to the pipeline file")
	}
	return nil
}
