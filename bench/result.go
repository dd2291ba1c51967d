package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
)

// Result is one line of results.json.
type Result struct {
	// Subject is the part of the report that it belongs to.
	Subject string `json:"subject"`

	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// RatioTo is the name of the result that a ratio divides by.
	RatioTo string `json:"ratioTo,omitempty"`
	// Target is the most that the project promises, and Met whether it holds.
	Target *float64 `json:"target,omitempty"`
	Met    *bool    `json:"met,omitempty"`
	// AtLeast says that Target is the least instead.
	AtLeast bool `json:"atLeast,omitempty"`
	// AA is the median ratio of two series of the same thing: how far from 1 it
	// is says how much of a difference is noise.
	AA float64 `json:"aa,omitempty"`
	// Rounds is how many rounds the median is of.
	Rounds int `json:"rounds"`
}

// probe is something to be run, and the figures that one run yields.
type probe struct {
	run     func() (map[string]float64, error)
	figures []figure
}

// figure names one number of a probe's answer.
type figure struct {
	name, key, unit string
	target          *float64
	// ratioTo is the name of another probe's figure with the same key.
	ratioTo string
	// ratioTarget is the most that the ratio may be.
	ratioTarget *float64
	// atLeast: the targets are the least, for more is better.
	atLeast bool
}

func atMost(v float64) *float64 { return &v }

// measure runs all probes in turn, twice per round: once for the figure, once
// for its A/A control.
func measure(probes []probe, rounds int) ([]Result, error) {
	series, control := map[string][]float64{}, map[string][]float64{}
	for range rounds {
		for _, into := range []map[string][]float64{series, control} {
			for _, p := range probes {
				answer, err := p.run()
				if err != nil {
					return nil, err
				}
				for _, f := range p.figures {
					into[f.name] = append(into[f.name], answer[f.key])
				}
			}
		}
	}
	var out []Result
	for _, p := range probes {
		for _, f := range p.figures {
			out = append(out, f.result(series[f.name], control[f.name]))
			if f.ratioTo != "" {
				r := Result{Name: f.name + ", ratio", Value: round(median(quotients(series[f.name], series[f.ratioTo]))), Unit: "ratio",
					RatioTo: f.ratioTo, AA: round(median(quotients(control[f.name], series[f.name]))), Rounds: rounds}
				out = append(out, r.judged(f.ratioTarget, f.atLeast))
			}
		}
	}
	return out, nil
}

func (f figure) result(series, control []float64) Result {
	r := Result{Name: f.name, Value: round(median(series)), Unit: f.unit, Rounds: len(series)}
	if r.Value != 0 {
		r.AA = round(median(quotients(control, series)))
	}
	return r.judged(f.target, f.atLeast)
}

// judged compares the value with its target, if there is one.
func (r Result) judged(target *float64, atLeast bool) Result {
	if target != nil {
		met := r.Value <= *target
		if atLeast {
			met = r.Value >= *target
		}
		r.Target, r.Met, r.AtLeast = target, &met, atLeast
	}
	return r
}

func quotients(a, b []float64) []float64 {
	q := make([]float64, len(a))
	for i := range a {
		q[i] = a[i] / b[i]
	}
	return q
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// round keeps four digits: the fifth is noise.
func round(v float64) float64 {
	out, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v
	}
	return out
}

// printResults writes the results for people.
func printResults(w io.Writer, results []Result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "WHAT\tVALUE\tUNIT\tA/A\tTARGET")
	for _, r := range results {
		aa, note, bound := "", "", "at most"
		if r.AtLeast {
			bound = "at least"
		}
		if r.AA != 0 {
			aa = strconv.FormatFloat(r.AA, 'f', 2, 64)
		}
		switch {
		case r.RatioTo != "" && r.Met == nil:
			note = "to: " + r.RatioTo
		case r.Met != nil && *r.Met:
			note = fmt.Sprintf("met: %s %g", bound, *r.Target)
		case r.Met != nil:
			note = fmt.Sprintf("MISSED: %s %g", bound, *r.Target)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", r.Name, strconv.FormatFloat(r.Value, 'f', -1, 64), r.Unit, aa, note)
	}
	return tw.Flush()
}
