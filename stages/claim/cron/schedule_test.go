package cron

import (
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, text, zone string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if got, err := time.ParseInLocation(layout, text, loc); err == nil {
			return got
		}
	}
	t.Fatalf("bad time %q", text)
	return time.Time{}
}

// Each case is a schedule, a moment, and the ticks after it.
func TestTicks(t *testing.T) {
	const berlin = "Europe/Berlin"
	for _, tc := range []struct{ spec, zone, from, want string }{
		{"*/5 * * * *", "UTC", "2026-03-01 10:02:30", "03-01 10:05, 03-01 10:10, 03-01 10:15"},
		{"0 3 * * *", "UTC", "2026-03-01 03:00", "03-02 03:00, 03-03 03:00"},
		{"0 3 * * *", "UTC", "2026-03-01 02:59:59", "03-01 03:00, 03-02 03:00"},
		{"0,30 9-10 * * mon-fri", "UTC", "2026-03-06 10:15", "03-06 10:30, 03-09 09:00, 03-09 09:30, 03-09 10:00"},
		{"5/20 0 1 * *", "UTC", "2026-01-31 12:00", "02-01 00:05, 02-01 00:25, 02-01 00:45, 03-01 00:05"},
		{"0 0 29 2 *", "UTC", "2026-01-01 00:00", "02-29 00:00"},
		{"0 0 13 * fri", "UTC", "2026-03-01 00:00", "03-06 00:00, 03-13 00:00, 03-20 00:00, 03-27 00:00, 04-03 00:00, 04-10 00:00, 04-13 00:00"},
		{"0 0 */10 * mon", "UTC", "2026-03-01 00:00", "05-11 00:00, 06-01 00:00"},
		{"0 0 * JAN,Dec 7", "UTC", "2026-01-20 00:00", "01-25 00:00, 12-06 00:00"},
		{"@weekly", "UTC", "2026-03-02 00:00", "03-08 00:00, 03-15 00:00"},
		{"@yearly", "UTC", "2026-03-02 00:00", "01-01 00:00"},
		// 29 March 2026, 02:00 becomes 03:00: what was left out comes right after.
		{"30 2 * * *", berlin, "2026-03-28 12:00", "03-29 03:00, 03-30 02:30"},
		{"0 * * * *", berlin, "2026-03-29 00:30", "03-29 01:00, 03-29 03:00, 03-29 04:00"},
		{"0 2,3 * * *", berlin, "2026-03-28 12:00", "03-29 03:00, 03-30 02:00, 03-30 03:00"},
		// 25 October 2026, 03:00 becomes 02:00: 02:30 is there twice.
		{"30 2 * * *", berlin, "2026-10-24 12:00", "10-25 02:30, 10-26 02:30"},
		{"30 * * * *", berlin, "2026-10-25 01:00", "10-25 01:30, 10-25 02:30, 10-25 02:30, 10-25 03:30"},
		// In Beirut the clocks are put forward at midnight, 29 March 2026.
		{"0 0 * * *", "Asia/Beirut", "2026-03-28 12:00", "03-29 01:00, 03-30 00:00"},
		{"15 12 29 * *", "Asia/Beirut", "2026-03-28 12:00", "03-29 12:15"},
		{"0 0 * * *", "America/Santiago", "2026-09-05 12:00", "09-06 01:00, 09-07 00:00"},
		{"15 12 6 * *", "America/Santiago", "2026-09-05 12:00", "09-06 12:15, 10-06 12:15"},
		{"0 0 6 * *", "America/Santiago", "2026-09-05 23:30", "09-06 01:00, 10-06 00:00"},
		{"@every 90m", "UTC", "2026-03-01 10:00", "03-01 10:30, 03-01 12:00, 03-01 13:30"},
	} {
		from := at(t, tc.from, tc.zone)
		s, err := parseSchedule(tc.spec, from.Location())
		if err != nil {
			t.Errorf("%s: %v", tc.spec, err)
			continue
		}
		want := strings.Split(tc.want, ", ")
		got := make([]string, len(want))
		for i, tick := 0, from; i < len(want); i++ {
			next := s.next(tick)
			if !next.After(tick) {
				t.Fatalf("%s: %v is not after %v", tc.spec, next, tick)
			}
			got[i], tick = next.In(from.Location()).Format("01-02 15:04"), next
		}
		if g := strings.Join(got, ", "); g != tc.want {
			t.Errorf("%s in %s after %s:\n got %s\nwant %s", tc.spec, tc.zone, tc.from, g, tc.want)
		}
	}
}

func TestBadSchedules(t *testing.T) {
	for spec, want := range map[string]string{
		"":                              "five fields",
		"* * * *":                       "five fields",
		"* * * * * *":                   "five fields",
		"60 * * * *":                    `minute "60": want 0 to 59`,
		"* 24 * * *":                    `hour "24"`,
		"* * 0 * *":                     `day of month "0"`,
		"* * * foo *":                   `month "foo": want 1 to 12, not "foo"`,
		"* * * * 8":                     `day of week "8"`,
		"*/0 * * * *":                   "the step",
		"*/x * * * *":                   "the step",
		"*/60 * * * *":                  "the step",
		"1/9223372036854775807 * * * *": "the step",
		"5-1 * * * *":                   "no range",
		"1,,2 * * * *":                  `not ""`,
		"-1 * * * *":                    `not ""`,
		"* * 31 2,4 *":                  "no such day",
		"@every":                        "five fields",
		"@every 10ms":                   "less than a second",
		"@every sometime":               "sometime",
		"@fortnightly":                  "five fields",
	} {
		if _, err := parseSchedule(spec, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", spec, err, want)
		}
	}
}

// FuzzSchedule: whatever parses has ticks, each after the other and on a minute.
func FuzzSchedule(f *testing.F) {
	f.Add("*/7 1-5,22 */2 * mon", int64(1_700_000_000))
	f.Add("0 0 29 2 *", int64(0))
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, spec string, sec int64) {
		s, err := parseSchedule(spec, berlin)
		if err != nil {
			return
		}
		now := time.Unix(sec%4e9, 0)
		for range 3 {
			next := s.next(now)
			if !next.After(now) || s.every == 0 && next.Second() != 0 {
				t.Fatalf("%q: after %v comes %v", spec, now, next)
			}
			now = next
		}
	})
}
