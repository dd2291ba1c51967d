package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Marks of a table in a page; the rest of the page is people's.
const (
	tableBegin = "<!-- table: %s -->\n"
	tableEnd   = "<!-- end of table -->\n"
)

// withTables returns a page of Markdown whose marked tables are those of the
// report. A mark that names no subject of the report is an error, and so is a
// subject that the page has no table for.
func withTables(page []byte, r Report) ([]byte, error) {
	for _, subject := range r.subjects() {
		before, rest, found := bytes.Cut(page, fmt.Appendf(nil, tableBegin, subject))
		_, after, ended := bytes.Cut(rest, []byte(tableEnd))
		if !found || !ended {
			return nil, fmt.Errorf("no table %q, from %q to %q", subject, fmt.Sprintf(tableBegin, subject), tableEnd)
		}
		page = fmt.Appendf(nil, "%s"+tableBegin+"%s"+tableEnd+"%s", before, subject, r.table(subject), after)
	}
	if got, want := bytes.Count(page, []byte(tableEnd)), len(r.subjects()); got != want {
		return nil, fmt.Errorf("%d tables, want %d: one for each of %v", got, want, r.subjects())
	}
	return page, nil
}

// subjects lists the subjects of the report in their order.
func (r Report) subjects() (names []string) {
	for i, one := range r.Results {
		if i == 0 || one.Subject != r.Results[i-1].Subject {
			names = append(names, one.Subject)
		}
	}
	return names
}

// table writes a subject's results as Markdown: one row for a figure with its
// ratio, its rate and the server's share, and then where they are from.
func (r Report) table(subject string) string {
	var b strings.Builder
	b.WriteString("| what | value | ratio | A/A | target |\n|---|---|---|---|---|\n")
	var rows []row
	rounds := 0
	for _, one := range r.Results {
		if one.Subject != subject {
			continue
		}
		rounds = one.Rounds
		if n := len(rows); n == 0 || !rows[n-1].join(one) {
			rows = append(rows, newRow(one))
		}
	}
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", row.name, row.value, row.ratio, row.aa, strings.Join(row.targets, "; "))
	}
	fmt.Fprintf(&b, "\n%s, %s, %d CPUs, %d rounds.\n", r.Date, r.Go, r.CPUs, rounds)
	return b.String()
}

type row struct {
	name, value, ratio, aa string
	targets                []string
}

func newRow(r Result) row {
	out := row{name: r.Name, value: number(r.Value) + " " + r.Unit, targets: verdict(r, r.Unit)}
	if r.AA != 0 {
		out.aa = strconv.FormatFloat(r.AA, 'f', 2, 64)
	}
	return out
}

// join takes a figure into the row if it says more of the same.
func (w *row) join(r Result) bool {
	rest, same := strings.CutPrefix(r.Name, w.name+", ")
	if !same {
		return false
	}
	switch rest {
	case "ratio":
		w.ratio = number(r.Value) + " x " + r.RatioTo
		w.targets = append(w.targets, verdict(r, "x")...)
	case "server, ratio":
		w.ratio += "; server " + number(r.Value) + " x"
		w.targets = append(w.targets, verdict(r, "x for the server")...)
	case "server", "rate":
		w.value += fmt.Sprintf("; %s %s %s", rest, number(r.Value), r.Unit)
	default:
		return false
	}
	return true
}

func verdict(r Result, unit string) []string {
	if r.Met == nil {
		return nil
	}
	word, bound := "missed", "at most"
	if *r.Met {
		word = "met"
	}
	if r.AtLeast {
		bound = "at least"
	}
	return []string{fmt.Sprintf("%s %s %s: %s", bound, number(*r.Target), unit, word)}
}

func number(v float64) string { return strconv.FormatFloat(round(v), 'f', -1, 64) }

// rewrite puts the tables of a results.json into a page.
func rewrite(page, results string) error {
	text, err := os.ReadFile(results)
	if err != nil {
		return err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("%s: %w", results, err)
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	out, err := withTables(old, r)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, out, 0o644)
}
