package cron

import (
	"fmt"
	"strconv"
	"strings"
)

// parseField reads "*", "1,5-9", "*/15", "mon-fri" as a set of bits.
func parseField(text string, least, most int, names []string) (set uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(part, "/")
		from, to, every := least, most, 1
		if stepped {
			if every, err = strconv.Atoi(step); err != nil || every < 1 || every > most {
				return 0, fmt.Errorf("the step %q is no number from 1 to %d", step, most)
			}
		}
		if span != "*" {
			first, last, ranged := strings.Cut(span, "-")
			if from, err = parseValue(first, least, most, names); err != nil {
				return 0, err
			}
			if to = from; ranged {
				to, err = parseValue(last, least, most, names)
			} else if stepped {
				to = most
			}
			if err != nil || to < from {
				return 0, fmt.Errorf("%q is no range within %d-%d", span, least, most)
			}
		}
		for v := from; v <= to; v += every {
			set |= 1 << v
		}
	}
	return set, nil
}

func parseValue(text string, least, most int, names []string) (int, error) {
	for i, name := range names {
		if strings.EqualFold(text, name) {
			return i + least, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("want %d to %d, not %q", least, most, text)
	}
	return n, nil
}
