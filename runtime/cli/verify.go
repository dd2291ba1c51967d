package cli

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

// logSubject is the subject of the verdict about the log as a whole.
const logSubject = "log"

// verifyReport is the outcome of verify.
type verifyReport struct {
	Receipts int                `json:"receipts"`
	OK       int                `json:"ok"`
	Failed   []pipeline.Verdict `json:"failed"`
	// Named has the verdict on each receipt that was asked for by its file.
	Named []pipeline.Verdict `json:"named,omitempty"`
	// Skipped are the checks that could not be made, each once.
	Skipped []string `json:"skipped,omitempty"`
}

func (a *app) verifyCommand() *cobra.Command {
	var r pipeline.VerifyRequest
	cmd := &cobra.Command{
		Use:   "verify [RECEIPT...]",
		Short: "Checks receipts offline and names the link that failed",
		Long: "Checks every receipt of the log, or the receipt files named: object, statement, entry, inclusion,\n" +
			"tile, checkpoint and signature. Repairs nothing. Exits 1 if any link is broken.",
		Example: "  waybill verify --log file:var/log --store file:var/objects --json\n" +
			"  waybill verify --log file:var/log --store file:var/objects var/log/receipts/pages/42.tlog-proof",
	}
	cmd.Flags().StringVar(&r.Log, "log", "", "URL of the log, such as file:var/log")
	cmd.Flags().StringVar(&r.Store, "store", "", "URL of the object store; without it objects are not checked")
	cmd.Flags().StringVar(&r.Key, "key", "", "verifier key, or a file with it; the default is the one beside the log")
	cmd.RunE = interruptible(func(cmd *cobra.Command, args []string) error {
		if a.parts.Verify == nil {
			return problem("", "this binary has no verifier")
		}
		if r.Receipts = args; r.Log == "" && (r.Key == "" || len(args) == 0) {
			return problem("add --log file:var/log, or --key and receipt files", "verify what?")
		}
		report := verifyReport{Failed: []pipeline.Verdict{}}
		add := report.add
		if len(args) > 0 {
			add = func(v pipeline.Verdict) {
				if v.Subject != logSubject {
					report.Named = append(report.Named, v)
				}
				report.add(v)
			}
		}
		if err := a.parts.Verify(cmd.Context(), r, add); err != nil {
			return err
		}
		return a.printVerifyReport(report)
	})
	return cmd
}

func (r *verifyReport) add(v pipeline.Verdict) {
	if v.Subject != logSubject {
		r.Receipts++
		if v.OK {
			r.OK++
		}
	}
	if !v.OK {
		r.Failed = append(r.Failed, v)
	}
	for _, s := range v.Skipped {
		if !slices.Contains(r.Skipped, s) {
			r.Skipped = append(r.Skipped, s)
		}
	}
}

func (a *app) printVerifyReport(r verifyReport) error {
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		if err := a.printOutputs(r.Named); err != nil {
			return err
		}
		for _, v := range r.Failed {
			fmt.Fprintf(a.stdout, "%s %s: %s: %s\n", paint(a.stdout, red, "FAILED"), v.Subject, v.Failed, v.Detail)
		}
		for _, s := range r.Skipped {
			fmt.Fprintf(a.stdout, "not checked: %s\n", s)
		}
		receipts := count(int64(r.Receipts), "receipt")
		switch {
		case len(r.Failed) == 0:
			fmt.Fprintf(a.stdout, "%s: %s, %d ok, 0 failed\n", paint(a.stdout, green, "ok"), receipts, r.OK)
		case r.OK == r.Receipts:
			fmt.Fprintf(a.stdout, "%s: %s ok, but the log failed\n", paint(a.stdout, red, "failed"), receipts)
		default:
			fmt.Fprintf(a.stdout, "%s: %s, %d ok, %d failed\n", paint(a.stdout, red, "failed"), receipts, r.OK, r.Receipts-r.OK)
		}
	}
	if len(r.Failed) > 0 {
		return silent(exitFailed)
	}
	return nil
}

// printOutputs lists what the named receipts that hold speak for, so that a
// reader can fetch it with blob get.
func (a *app) printOutputs(named []pipeline.Verdict) error {
	rows := [][]string{{"ITEM", "RESULT", "OUTPUT", "TYPE", "SIZE", "DIGEST"}}
	for _, v := range named {
		if !v.OK {
			continue
		}
		if len(v.Outputs) == 0 {
			rows = append(rows, []string{v.Item, dash(string(v.Result)), "-", "-", "-", "-"})
		}
		for _, o := range v.Outputs {
			rows = append(rows, []string{v.Item, dash(string(v.Result)), o.Name, o.MediaType, strconv.FormatInt(o.Size, 10), string(o.Digest)})
		}
	}
	if len(rows) == 1 {
		return nil
	}
	return table(a.stdout, rows)
}
