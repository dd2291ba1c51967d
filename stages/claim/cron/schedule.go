package cron

import (
	"fmt"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
)

// schedule says when the clock ticks: every so often, or by the five fields of
// crontab(5), each a set of bits.
type schedule struct {
	every                       time.Duration
	minute, hour, dom, mon, dow uint64
	anyHour, anyDOM, anyDOW     bool
	loc                         *time.Location
}

// horizon is how far ahead a tick is looked for: 29 February comes at least
// every eight years.
const horizon = 9 * 366 * 24 * time.Hour

var shortcuts = map[string]string{"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *",
	"@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}

const (
	months = "jan feb mar apr may jun jul aug sep oct nov dec"
	days   = "sun mon tue wed thu fri sat"
)

// parseSchedule reads "0 3 * * *", "@daily" or "@every 5m".
func parseSchedule(spec string, loc *time.Location) (schedule, error) {
	s := schedule{loc: loc}
	if text, ok := strings.CutPrefix(spec, "@every "); ok {
		d, err := pipeline.ParseDuration(strings.TrimSpace(text))
		if err == nil && d.D() < time.Second {
			err = fmt.Errorf("%s is less than a second", text)
		}
		s.every = d.D()
		return s, err
	}
	if long, ok := shortcuts[spec]; ok {
		spec = long
	}
	fields := strings.Fields(spec)
	if len(fields) != 5 {
		return s, fmt.Errorf("want five fields (minute, hour, day of month, month, day of week), got %d", len(fields))
	}
	var err error
	for i, f := range []struct {
		name        string
		into        *uint64
		least, most int
		names       string
	}{{"minute", &s.minute, 0, 59, ""}, {"hour", &s.hour, 0, 23, ""}, {"day of month", &s.dom, 1, 31, ""},
		{"month", &s.mon, 1, 12, months}, {"day of week", &s.dow, 0, 7, days}} {
		if *f.into, err = parseField(fields[i], f.least, f.most, strings.Fields(f.names)); err != nil {
			return s, fmt.Errorf("%s %q: %w", f.name, fields[i], err)
		}
	}
	s.dow |= s.dow >> 7 & 1 // 7 is Sunday too
	s.anyHour, s.anyDOM, s.anyDOW = fields[1] == "*", fields[2][0] == '*', fields[4][0] == '*'
	if s.next(time.Unix(0, 0)).IsZero() {
		return s, fmt.Errorf("there is no such day")
	}
	return s, nil
}

// next returns the first tick after t, or zero if there is none.
func (s schedule) next(t time.Time) time.Time {
	if s.every > 0 {
		return t.Truncate(s.every).Add(s.every)
	}
	end := t.Add(horizon)
	for t = t.In(s.loc).Truncate(time.Minute).Add(time.Minute); t.Before(end); {
		y, m, d := t.Date()
		switch {
		case s.mon&(1<<m) == 0:
			t = later(t, time.Date(y, m+1, 1, 0, 0, 0, 0, s.loc))
		case !s.day(t):
			t = later(t, time.Date(y, m, d+1, 0, 0, 0, 0, s.loc))
		case s.leftOut(t):
			return t
		case s.hour&(1<<t.Hour()) == 0 || !s.anyHour && repeated(t):
			t = nextHour(t)
		case s.minute&(1<<t.Minute()) == 0:
			t = t.Add(time.Minute)
		default:
			return t
		}
	}
	return time.Time{}
}

// later makes sure that the search goes on: where clocks are put forward at
// midnight there is no such time, and time.Date may return one before it.
func later(t, next time.Time) time.Time {
	if next.After(t) {
		return next
	}
	return nextHour(t)
}

func nextHour(t time.Time) time.Time { return t.Add(time.Duration(60-t.Minute()) * time.Minute) }

// leftOut reports whether the clock has just left out an hour with a tick.
func (s schedule) leftOut(t time.Time) bool {
	before := t.Add(-time.Minute).Hour()
	return !s.anyHour && t.Minute() == 0 && (before+2)%24 == t.Hour() && s.hour&(1<<((before+1)%24)) != 0
}

// day applies the rule of crontab(5): if both days are given, either is enough.
func (s schedule) day(t time.Time) bool {
	dom, dow := s.dom&(1<<t.Day()) != 0, s.dow&(1<<t.Weekday()) != 0
	if s.anyDOM || s.anyDOW {
		return dom && dow
	}
	return dom || dow
}

// repeated reports whether the clock has shown this time an hour ago already.
func repeated(t time.Time) bool { return t.Add(-time.Hour).Hour() == t.Hour() }
