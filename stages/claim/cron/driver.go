package cron

import (
	"context"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/claim/internal/local"
)

// Scheme is the URL scheme: "cron:0 3 * * *".
const Scheme = "cron"

// Driver returns the driver of the scheme "cron".
func Driver() pipeline.QueueDriver {
	return pipeline.QueueDriver{
		Scheme: Scheme,
		Doc:    "cron:MINUTE HOUR DAY MONTH WEEKDAY, one item per tick; also cron:@every 5m",
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
	name, catchUp string
	when          schedule
}

func parse(url string, o pipeline.QueueOptions) (config, error) {
	_, rest, _ := pipeline.SplitURL(url)
	spec, p := local.CutParams(rest)
	spec = strings.Join(strings.Fields(spec), " ")
	zone := p.Text("tz", "UTC")
	c := config{name: "cron:" + spec + "?tz=" + zone, catchUp: p.OneOf("catch-up", "one", "one", "all", "none")}
	if err := p.Err(); err != nil {
		return c, err
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return c, pipeline.Fail("bad-url", "tz=%s: %w", zone, err).WithHint("such as tz=Europe/Berlin, or Local")
	}
	if c.when, err = parseSchedule(spec, loc); err != nil {
		return c, pipeline.Fail("bad-schedule", "%q: %w", spec, err).WithHint("such as cron:*/5 * * * * or cron:@every 5m")
	}
	return c, local.NoQueue(url, o)
}

func open(_ context.Context, url string, o pipeline.QueueOptions) (pipeline.Source, error) {
	c, err := parse(url, o)
	if err != nil {
		return nil, err
	}
	o = local.Defaults(o)
	t := &ticks{config: c, last: time.Now()}
	lc := local.Config{URL: c.name, Options: o, Records: t, Letters: local.NewLetters("", o.Log)}
	if o.Checkpoint == "" {
		return local.New(lc), nil
	}
	path := local.Resolve(o.Dir, o.Checkpoint)
	if lc.Journal, err = local.OpenLiveJournal(path, c.name); err != nil {
		return nil, err
	}
	lc.Letters = local.NewLetters(path+".dead.jsonl", o.Log)
	if err := t.resume(lc.Journal); err != nil {
		_ = lc.Journal.Close()
		return nil, err
	}
	return local.New(lc), nil
}
