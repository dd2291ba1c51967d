package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

// planView is a plan as plan prints it.
type planView struct {
	File        string          `json:"file"`
	Name        string          `json:"name"`
	Version     int             `json:"version,omitempty"`
	Digest      pipeline.Digest `json:"digest"`
	Concurrency int             `json:"concurrency"`
	Deadline    string          `json:"deadline"`
	Attempts    int             `json:"attempts"`
	InPlace     int             `json:"inPlace"`
	Backoff     string          `json:"backoff"`
	Drain       string          `json:"drain"`
	Stages      []stageView     `json:"stages"`
	// Narrowest is the stage that lets the fewest items in at a time.
	Narrowest string `json:"narrowest,omitempty"`
}

type stageView struct {
	Name   string        `json:"name"`
	Kind   string        `json:"kind"`
	Role   pipeline.Role `json:"role"`
	Line   int           `json:"line"`
	Column int           `json:"column"`
	// Parallel is how many items can really be inside at a time.
	Parallel int    `json:"parallel"`
	Timeout  string `json:"timeout,omitempty"`
	Attempts int    `json:"attempts,omitempty"`
	InPlace  *int   `json:"inPlace,omitempty"`
	// Limit is that of all processes together.
	Limit   string `json:"limit,omitempty"`
	OnError string `json:"onError"`
	When    string `json:"when,omitempty"`
	// Config has relative paths resolved against the pipeline's folder.
	Config map[string]any `json:"config"`
	// Notes are what the stage says about its config, see noter.
	Notes []string `json:"notes,omitempty"`
}

// noter is a stage's config that knows what its keys do not say: each note is a
// line for people.
type noter interface{ Notes() []string }

func (a *app) planCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plan FILE",
		Short: "Shows what run would do: stages, effective parallelism, limits, paths",
		Long: "Loads the file and shows what run would do. Nothing is opened, started or written. PARALLEL is\n" +
			"what the stage can really reach, after the limit of the run.",
		Example: "  waybill plan pipeline.yaml",
		Args:    args(cobra.ExactArgs(1), onePipeline),
		RunE: func(_ *cobra.Command, args []string) error {
			plan, err := a.load(args[0])
			if err != nil {
				return err
			}
			view := viewOf(plan)
			if a.json {
				return a.printJSON(view)
			}
			return a.printPlan(view)
		},
	}
}

func viewOf(p *pipeline.Plan) planView {
	v := planView{File: p.File, Name: p.Name, Version: p.Version, Digest: p.Digest, Concurrency: p.Run.Concurrency,
		Deadline: orNone(p.Run.Deadline.D()), Attempts: p.Run.Retry.Attempts, InPlace: p.Run.Retry.InPlace,
		Backoff: fmt.Sprintf("%s..%s", p.Run.Retry.Backoff.Min.D(), p.Run.Retry.Backoff.Max.D()), Drain: p.Run.Drain.D().String()}
	configs, effective := stageConfigs(p), p.Effective()
	narrow := p.Run.Concurrency
	for i := range p.Stages {
		s := &p.Stages[i]
		sv := stageView{Name: s.Name, Kind: s.Kind, Role: s.Role, Line: s.Pos.Line, Column: s.Pos.Col,
			Parallel: effective[i].Concurrency, OnError: string(s.OnError), Limit: limitText(s.Limit), Config: configs[i]}
		if s.Timeout > 0 {
			sv.Timeout = s.Timeout.String()
		}
		if s.Retry != nil {
			sv.Attempts, sv.InPlace = s.Retry.Attempts, &s.Retry.InPlace
		}
		if s.When != nil {
			sv.When = s.When.String()
		}
		if n, ok := s.Config.(noter); ok {
			sv.Notes = n.Notes()
		}
		if s.Role == pipeline.RoleStage && sv.Parallel < narrow {
			narrow, v.Narrowest = sv.Parallel, s.Name
		}
		v.Stages = append(v.Stages, sv)
	}
	return v
}

// limitText renders a limit for people; empty for none.
func limitText(l *pipeline.LimitConfig) string {
	if l == nil {
		return ""
	}
	var parts []string
	if l.Concurrency > 0 {
		parts = append(parts, fmt.Sprintf("%d at a time", l.Concurrency))
	}
	if l.Rate.Count > 0 {
		parts = append(parts, l.Rate.String())
	}
	if !l.Per.IsZero() {
		parts = append(parts, "per "+l.Per.String())
	}
	return strings.Join(parts, ", ")
}

func orNone(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return d.String()
}

// stageConfigs takes each stage's config from the normalised pipeline, which
// holds secrets as references, and resolves paths.
func stageConfigs(p *pipeline.Plan) []map[string]any {
	var doc struct {
		Stages []map[string]any `json:"stages"`
	}
	out := make([]map[string]any, len(p.Stages))
	if err := json.Unmarshal(p.Source, &doc); err != nil {
		return out
	}
	for i := range min(len(out), len(doc.Stages)) {
		config, _ := doc.Stages[i][p.Stages[i].Kind].(map[string]any)
		for k, v := range config {
			config[k] = resolvePath(p.Dir, v)
		}
		out[i] = config
	}
	return out
}

// resolvePath makes the path of a local URL or of ./file absolute.
func resolvePath(dir string, v any) any {
	text, ok := v.(string)
	if !ok {
		return v
	}
	if strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../") {
		return filepath.Join(dir, text)
	}
	scheme, rest, ok := pipeline.SplitURL(text)
	if !ok || !slices.Contains([]string{"sqlite", "file"}, scheme) || filepath.IsAbs(rest) || rest == "" {
		return v
	}
	return scheme + ":" + filepath.Join(dir, rest)
}

func (a *app) printPlan(v planView) error {
	fmt.Fprintf(a.stdout, "pipeline %s  %s\n%s\n", v.Name, paint(a.stdout, faint, v.File), paint(a.stdout, faint, string(v.Digest)))
	fmt.Fprintf(a.stdout, "%s at a time, deadline %s, %s (%d more in place) with backoff %s, drain %s\n\n",
		count(int64(v.Concurrency), "item"), v.Deadline, count(int64(v.Attempts), "attempt"), v.InPlace, v.Backoff, v.Drain)
	rows := [][]string{{"STAGE", "KIND", "LINE", "PARALLEL", "TIMEOUT", "ON ERROR", "WHEN"}}
	for _, s := range v.Stages {
		parallel := strconv.Itoa(s.Parallel)
		if s.Role != pipeline.RoleStage {
			parallel = "-"
		}
		rows = append(rows, []string{s.Name, s.Kind, strconv.Itoa(s.Line), parallel, dash(s.Timeout), s.OnError, dash(oneLine(s.When, 60))})
	}
	if err := table(a.stdout, rows); err != nil {
		return err
	}
	if v.Narrowest != "" {
		fmt.Fprintf(a.stdout, "\nnarrowest: %s\n", v.Narrowest)
	}
	fmt.Fprintln(a.stdout)
	rows = nil
	for _, s := range v.Stages {
		rows = append(rows, configRows(s)...)
	}
	return table(a.stdout, rows)
}

// configRows shows one key of a config per row, and then the notes.
func configRows(s stageView) [][]string {
	keys := make([]string, 0, len(s.Config))
	for k := range s.Config {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var rows [][]string
	for _, k := range keys {
		value, ok := s.Config[k].(string)
		if !ok {
			raw, err := json.Marshal(s.Config[k])
			if err != nil {
				continue
			}
			value = string(raw)
		}
		rows = append(rows, []string{s.Name + "." + k, oneLine(value, 100)})
	}
	if s.InPlace != nil {
		rows = append(rows, []string{s.Name + " retry", fmt.Sprintf("%s (%d more in place)", count(int64(s.Attempts), "attempt"), *s.InPlace)})
	}
	if s.Limit != "" {
		rows = append(rows, []string{s.Name + " limit", s.Limit + ", over all processes"})
	}
	for _, note := range s.Notes {
		rows = append(rows, []string{s.Name, note})
	}
	return rows
}
