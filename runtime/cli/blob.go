package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

func (a *app) blobCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "blob",
		Short:   "Reads and checks an object store: ls, get, verify",
		Example: "  waybill blob get --store file:var/objects sha256:9f86d081 > file",
	}, a.blobLs(), a.blobGet(), a.blobVerify())
}

// onStore makes a command that works on one existing store.
func (a *app) onStore(cmd *cobra.Command, run func(ctx context.Context, s pipeline.Objects, args []string) error) *cobra.Command {
	var url string
	cmd.Flags().StringVar(&url, "store", "", "URL of the object store, such as file:var/objects")
	cmd.RunE = interruptible(func(cmd *cobra.Command, args []string) error {
		s, err := a.openStore(cmd.Context(), "store", url, false)
		if err != nil {
			return err
		}
		return errors.Join(run(cmd.Context(), s, args), s.Close())
	})
	return cmd
}

func (a *app) blobLs() *cobra.Command {
	return a.onStore(&cobra.Command{
		Use:     "ls",
		Short:   "Lists every copy of every object",
		Example: "  waybill blob ls --store file:var/objects",
		Args:    args(cobra.NoArgs, "it takes no arguments"),
	}, func(ctx context.Context, s pipeline.Objects, _ []string) error {
		var printErr error
		err := s.List(ctx, func(o pipeline.ObjectInfo) bool {
			if a.json {
				printErr = a.printJSON(o)
			} else {
				_, printErr = fmt.Fprintf(a.stdout, "%s %10d  %s\n", o.Digest, o.Size, o.Place)
			}
			return printErr == nil
		})
		return errors.Join(err, printErr)
	})
}

func (a *app) blobGet() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "get DIGEST",
		Short: "Writes one object to standard output",
		Long: "Writes one object after checking its digest; corrupt bytes are never written. The digest may be\n" +
			"shortened to 8 hex digits or more, as long as one object only fits.",
		Example: "  waybill blob get --store file:var/objects sha256:9f86d081 > file",
		Args:    args(cobra.ExactArgs(1), "name one digest"),
	}
	cmd.Flags().StringVarP(&out, "output", "o", "-", "file to write; - is standard output")
	return a.onStore(cmd, func(ctx context.Context, s pipeline.Objects, args []string) error {
		d, err := resolve(ctx, s, args[0])
		if err != nil {
			return err
		}
		data, err := s.Get(ctx, d)
		if err == nil && pipeline.DigestOf(data) != d {
			err = pipeline.ErrCorrupt
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d, err)
		}
		if out != "-" {
			err = os.WriteFile(out, data, 0o644)
		} else {
			_, err = a.stdout.Write(data)
		}
		return err
	})
}

// minPrefix is the least number of hex digits that may stand for a digest.
const minPrefix = 8

// resolve turns a digest or an unambiguous prefix into a digest.
func resolve(ctx context.Context, s pipeline.Objects, text string) (pipeline.Digest, error) {
	if d, err := pipeline.ParseDigest(text); err == nil {
		return d, nil
	}
	prefix := strings.TrimPrefix(text, "sha256:")
	if len(prefix) < minPrefix || strings.Trim(prefix, "0123456789abcdef") != "" {
		return "", problem("write sha256: and at least 8 lower-case hex digits", "%q is not a digest", text)
	}
	var found []pipeline.Digest
	err := s.List(ctx, func(o pipeline.ObjectInfo) bool {
		if strings.HasPrefix(o.Digest.Hex(), prefix) && !slices.Contains(found, o.Digest) {
			found = append(found, o.Digest)
		}
		return len(found) < 2
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", problem("waybill blob ls lists what there is", "no object begins with %s", prefix)
	case len(found) > 1:
		return "", problem("write more digits", "%s is ambiguous: %s and %s", prefix, found[0], found[1])
	}
	return found[0], nil
}

// blobReport is the outcome of blob verify.
type blobReport struct {
	Objects int                    `json:"objects"`
	Copies  int                    `json:"copies"`
	OK      int                    `json:"ok"`
	Failed  []pipeline.ObjectCheck `json:"failed"`
}

func (a *app) blobVerify() *cobra.Command {
	return a.onStore(&cobra.Command{
		Use:     "verify [DIGEST...]",
		Short:   "Reads every copy and compares it with its digest; repairs nothing",
		Example: "  waybill blob verify --store file:var/objects",
	}, func(ctx context.Context, s pipeline.Objects, args []string) error {
		digests, err := digestsOf(ctx, s, args)
		if err != nil {
			return err
		}
		r := blobReport{Objects: len(digests), Failed: []pipeline.ObjectCheck{}}
		for _, d := range digests {
			checks, err := s.Check(ctx, d)
			if err != nil {
				return fmt.Errorf("%s: %w", d, err)
			}
			r.add(checks)
		}
		return a.printBlobReport(r)
	})
}

// digestsOf resolves the arguments, or lists the whole store if there are none.
func digestsOf(ctx context.Context, s pipeline.Objects, args []string) (out []pipeline.Digest, err error) {
	for _, text := range args {
		d, err := resolve(ctx, s, text)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	if len(args) > 0 {
		return out, nil
	}
	err = s.List(ctx, func(o pipeline.ObjectInfo) bool {
		out = append(out, o.Digest)
		return true
	})
	slices.Sort(out)
	return slices.Compact(out), err
}

// add counts the copies of one object. A place without a copy is only a
// failure if no place has one: which places hold it is the store's choice.
func (r *blobReport) add(checks []pipeline.ObjectCheck) {
	intact := slices.ContainsFunc(checks, func(c pipeline.ObjectCheck) bool { return c.State == "ok" })
	for _, c := range checks {
		switch {
		case c.State == "ok":
			r.Copies++
			r.OK++
		case c.State == "corrupt":
			r.Copies++
			r.Failed = append(r.Failed, c)
		case !intact:
			r.Failed = append(r.Failed, c)
		}
	}
}

func (a *app) printBlobReport(r blobReport) error {
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		for _, c := range r.Failed {
			fmt.Fprintf(a.stdout, "%s %s  %s\n", paint(a.stdout, red, c.State), c.Digest, c.Place)
		}
		fmt.Fprintf(a.stdout, "%s, %s intact, %s failed\n", count(int64(r.Objects), "object"), copies(r.OK), strconv.Itoa(len(r.Failed)))
	}
	if len(r.Failed) > 0 {
		return silent(exitFailed)
	}
	return nil
}

func copies(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return strconv.Itoa(n) + " copies"
}
