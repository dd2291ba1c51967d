// Package cron claims one item per tick of a clock.
//
// What comes in: cron:0 3 * * *?tz=Europe/Berlin, or cron:@every 5m. What goes
// out: a pipeline.Source that never ends, whose items have the tick as their id
// and {"time": "2026-03-14T03:00:00Z"} as their body, and "missed": n beside it
// when n earlier ticks came to nothing.
//
//	checkpoint: var/cron.checkpoint   the ticks that were missed while nothing ran
//	?catch-up=one    (default) what was missed is made up for by one item, the latest
//	?catch-up=all    by one item each
//	?catch-up=none   by nothing
//
// Ticks do not pile up. There is one item at a time: while it runs, or waits for
// its next attempt, the ticks that fall due are missed in the sense above. Without
// a checkpoint, ticks count from the start of the run.
//
// The fields are those of crontab(5): minute, hour, day of month, month, day of
// week, each with *, lists, ranges, steps, and names of months and days. If both
// days are given, either is enough. The time zone is UTC unless tz says another.
// Where clocks are put forward, a tick in the hour that is left out comes right
// after it; where they are put back, a tick in the hour that is repeated comes
// once, unless the hour is *.
package cron
