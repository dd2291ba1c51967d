package samples

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// Compare says on some lines how the answer differs from what the sample wants;
// nothing if it does not. Ports are the kernel's: the first of them and none
// mean the same.
func Compare(s *manifest.Sample, a Answer, ports []string) string {
	if a.Failure != nil {
		return "no answer: " + a.Failure.Error()
	}
	found := compareErrors(s.Error, a)
	if found == "" && s.Error == nil {
		found = compareOps(s.Want, a.Want, ports)
	}
	if s.Fuel != 0 && s.Fuel != a.Fuel {
		found = joined(found, fmt.Sprintf("fuel: want %d, got %d", s.Fuel, a.Fuel))
	}
	return found
}

// Same says how two answers to the same record differ; nothing if they are
// equal to the last byte and unit of fuel.
func Same(first, second Answer) string {
	if (first.Failure == nil) != (second.Failure == nil) || first.Failure != nil && first.Failure.Error() != second.Failure.Error() {
		return fmt.Sprintf("first %s, then %s", failure(first), failure(second))
	}
	var found string
	switch {
	case first.Error != nil && second.Error != nil && *first.Error == *second.Error:
	case first.Error != nil || second.Error != nil:
		found = fmt.Sprintf("first %s, then %s", outcome(first), outcome(second))
	default:
		found = compareOps(first.Want, second.Want, nil)
	}
	if first.Fuel != second.Fuel {
		found = joined(found, fmt.Sprintf("fuel: first %d, then %d", first.Fuel, second.Fuel))
	}
	return found
}

func failure(a Answer) string {
	if a.Failure == nil {
		return outcome(a)
	}
	return a.Failure.Error()
}

// outcome is an answer in a few words.
func outcome(a Answer) string {
	switch {
	case a.Error != nil:
		return fmt.Sprintf("it failed (%s): %q", cmp.Or(a.Error.Kind, manifest.ErrorPermanent), a.Error.Message)
	case len(a.Want) == 0:
		return "it was dropped"
	}
	names := make([]string, len(a.Want))
	for i, w := range a.Want {
		names[i] = w.Op
	}
	return "it answered with " + strings.Join(names, ", ")
}

// compareErrors compares how the record failed. A sample without a message
// takes any.
func compareErrors(want *manifest.WantError, a Answer) string {
	switch {
	case want == nil && a.Error == nil:
		return ""
	case want == nil:
		return "it should not fail: " + outcome(a)
	case a.Error == nil:
		return fmt.Sprintf("want a failure (%s), but %s", cmp.Or(want.Kind, manifest.ErrorPermanent), outcome(a))
	}
	if k := cmp.Or(want.Kind, manifest.ErrorPermanent); k != a.Error.Kind {
		return fmt.Sprintf("kind of failure: want %s, got %s", k, a.Error.Kind)
	}
	if want.Message != "" && want.Message != a.Error.Message {
		return joined("message:", diff([]byte(want.Message), []byte(a.Error.Message)))
	}
	return ""
}

// maxDiffs bounds how many operations are told; the first is what matters.
const maxDiffs = 5

func compareOps(want, got []manifest.Want, ports []string) string {
	var found string
	diffs := 0
	for i := range min(len(want), len(got)) {
		d := compareOp(want[i], got[i], ports)
		if d == "" {
			continue
		}
		if diffs++; diffs > maxDiffs {
			return joined(found, "and more")
		}
		found = joined(found, fmt.Sprintf("operation %d, %s: %s", i+1, got[i].Op, d))
	}
	switch {
	case len(got) == 0 && len(want) > 0:
		return fmt.Sprintf("want %d operations, but it was dropped", len(want))
	case len(got) != len(want):
		found = joined(found, fmt.Sprintf("want %d operations, got %d", len(want), len(got)))
		if len(got) > len(want) {
			found = joined(found, fmt.Sprintf("  the next is %s %s", got[len(want)].Op, excerpt(got[len(want)].Bytes(), 0)))
		}
	}
	return found
}

func compareOp(want, got manifest.Want, ports []string) string {
	port := func(name string) string {
		if name == "" && len(ports) > 0 {
			return ports[0]
		}
		return name
	}
	switch {
	case want.Op != got.Op:
		return "want " + want.Op
	case want.Key != got.Key:
		return fmt.Sprintf("key: want %q, got %q", want.Key, got.Key)
	case port(want.Port) != port(got.Port):
		return fmt.Sprintf("port: want %q, got %q", port(want.Port), port(got.Port))
	case want.Op != manifest.OpKeep && !bytes.Equal(want.Bytes(), got.Bytes()):
		return diff(want.Bytes(), got.Bytes())
	}
	return ""
}

func joined(first, second string) string {
	if first == "" {
		return second
	}
	return first + "\n" + second
}
