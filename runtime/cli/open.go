package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

// queueFlags say which queue a command means.
type queueFlags struct {
	// flag is the name of the flag that holds the URL.
	flag, url, name string
}

// bind adds the flag that names the URL (--to or --from) and --queue.
func (q *queueFlags) bind(cmd *cobra.Command, urlFlag, usage string) {
	cmd.Flags().StringVar(&q.url, urlFlag, "", usage)
	cmd.Flags().StringVar(&q.name, "queue", "default", "name of the queue in the store")
	q.flag = urlFlag
}

// required is a usage error if a flag was not given. cobra's own check cannot
// carry an exit code.
func required(flag, value, example string) error {
	if value == "" {
		return problem("such as --"+flag+" "+example, "--%s is missing", flag)
	}
	return nil
}

// openQueue opens the queue; create makes what is missing.
func (a *app) openQueue(ctx context.Context, q queueFlags, create bool) (pipeline.Queue, error) {
	if err := required(q.flag, q.url, "sqlite:var/queue.db"); err != nil {
		return nil, err
	}
	driver, err := pick("queue", q.url, a.parts.Queues, func(d pipeline.QueueDriver) string { return d.Scheme })
	if err != nil {
		return nil, err
	}
	// The lease only matters to claims, which no command makes.
	src, err := driver.Open(ctx, q.url, pipeline.QueueOptions{Queue: q.name, Lease: time.Minute, Owner: "waybill-cli", Create: create, Dir: "."})
	if err != nil {
		return nil, err
	}
	queue, ok := src.(pipeline.Queue)
	if !ok {
		if c, ok := src.(pipeline.Closer); ok {
			_ = c.Close()
		}
		return nil, problem("use a queue such as sqlite:var/queue.db", "%s is a one-shot source, not a queue", q.url)
	}
	return queue, nil
}

// openStore opens the object store that a flag names; create makes a missing one.
func (a *app) openStore(ctx context.Context, flag, url string, create bool) (pipeline.Objects, error) {
	if err := required(flag, url, "file:var/objects"); err != nil {
		return nil, err
	}
	driver, err := pick("store", url, a.parts.Objects, func(d pipeline.ObjectDriver) string { return d.Scheme })
	if err != nil {
		return nil, err
	}
	return driver.Open(ctx, url, ".", create)
}

// pick finds the driver for a URL.
func pick[D any](what, url string, drivers []D, scheme func(D) string) (D, error) {
	var none D
	known := make([]string, len(drivers))
	wanted, _, ok := pipeline.SplitURL(url)
	for i, d := range drivers {
		if known[i] = scheme(d); ok && known[i] == wanted {
			return d, nil
		}
	}
	list := "known schemes: " + strings.Join(known, ", ")
	if !ok {
		return none, problem(list, "%q is not a %s URL such as %s:PATH", url, what, known[0])
	}
	return none, problem(suggest(wanted, known, list), "unknown scheme %q in the %s URL %s", wanted, what, url)
}
