package pipeline

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// LimitConfig limits a stage over all processes on the queue together; if the
// source has no store behind it that others share, over this process.
type LimitConfig struct {
	// Items inside the stage at the same time, at most, in all processes together.
	Concurrency int `yaml:"concurrency,optional" min:"1" max:"100000"`
	// Calls of the stage in a time, at most, in all processes together: 10/s, 300/m, 1/10s.
	Rate Rate `yaml:"rate,optional"`
	// What has the limit to itself, such as item.meta.host: each value of it. Left out, all items share one limit.
	Per *Expr `yaml:"per,optional"`
}

// CodeEmptyLimit is the problem of a limit that limits nothing.
const CodeEmptyLimit = "empty-limit"

// checkLimit reports a limit that has no effect.
func (e *entry) checkLimit() {
	l := e.common.Limit
	if l == nil {
		return
	}
	at := e.node.Lookup("limit")
	switch {
	case e.def.Kind != "" && e.def.Role != RoleStage:
		at.Problem(CodeBadValue, "limit the stage that needs it", "a %s has no limit", e.def.Role)
	case at.Kind() == KindMap && at.Clean() && l.Concurrency == 0 && l.Rate.Count == 0:
		at.Problem(CodeEmptyLimit, "write concurrency: 4 or rate: 10/s", "the limit limits nothing")
	}
}

// Rate is how often something may happen: 10/s, 300/m, 1/10s. The zero value is
// no limit.
type Rate struct {
	// Count things in Per.
	Count int64
	Per   time.Duration
}

// Every returns the time from one to the next, at least a nanosecond; 0 for no
// limit.
func (r Rate) Every() time.Duration {
	if r.Count <= 0 {
		return 0
	}
	return max(1, r.Per/time.Duration(r.Count))
}

const ratePattern = `[1-9][0-9]*/([1-9][0-9]*)?(ms|s|m|h)`

// String renders the rate as it is written in a file.
func (r Rate) String() string {
	if r.Count <= 0 {
		return ""
	}
	for _, u := range rateUnits {
		if r.Per%u.length != 0 {
			continue
		}
		out := strconv.FormatInt(r.Count, 10) + "/"
		if n := int64(r.Per / u.length); n != 1 {
			out += strconv.FormatInt(n, 10)
		}
		return out + u.name
	}
	return fmt.Sprintf("%d/%v", r.Count, r.Per)
}

var rateUnits = []struct {
	name   string
	length time.Duration
}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

// MarshalText renders the rate like String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// NodeSchema describes the syntax.
func (Rate) NodeSchema() json.RawMessage { return stringSchema("^" + ratePattern + "$") }

// UnmarshalNode reads the rate.
func (r *Rate) UnmarshalNode(n *Node) {
	if text, ok := unitText(n, "a rate like 10/s"); ok {
		v, err := ParseRate(text)
		if err != nil {
			n.Problem(CodeBadRate, "write 10/s, 300/m or 1/10s", "%v", err)
			return
		}
		*r = v
	}
}

// ParseRate reads a rate as pipeline files write it.
func ParseRate(s string) (Rate, error) {
	bad := fmt.Errorf("%q is not a rate", s)
	count, per, ok := strings.Cut(s, "/")
	n, err := strconv.ParseInt(count, 10, 32)
	if !ok || err != nil || per == "" {
		return Rate{}, bad
	}
	if per[0] < '0' || per[0] > '9' {
		per = "1" + per
	}
	d, err := time.ParseDuration(per)
	switch {
	case err != nil || strings.ContainsAny(per, ".+-"):
		return Rate{}, bad
	case n <= 0 || d < time.Millisecond:
		return Rate{}, fmt.Errorf("%q allows nothing", s)
	case time.Duration(n) > d:
		return Rate{}, fmt.Errorf("%q is more than one in a nanosecond", s)
	}
	return Rate{Count: n, Per: d}, nil
}
