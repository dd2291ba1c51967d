package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/pipeline"
)

const (
	// probeTimeout bounds one probe; starting a cold browser takes seconds.
	probeTimeout = 30 * time.Second
	// lowDisk is the free space below which doctor warns.
	lowDisk = 512 << 20
)

// States of a finding.
const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
)

// namedFinding is one line of doctor.
type namedFinding struct {
	Name string `json:"name"`
	pipeline.Finding
}

func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Checks what this machine has and names what is missing",
		Example: "  waybill doctor --json",
		Args:    args(cobra.NoArgs, "it takes no arguments"),
	}
	cmd.RunE = interruptible(func(cmd *cobra.Command, _ []string) error {
		failed := false
		env := doctorEnv()
		for _, p := range append(ownProbes(a.version()), a.parts.Probes...) {
			f := probe(cmd.Context(), env, p)
			failed = failed || f.Status == statusFail
			if err := a.printFinding(namedFinding{p.Name, f}); err != nil {
				return err
			}
		}
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		if failed {
			return silent(exitFailed)
		}
		return nil
	})
	return cmd
}

// doctorEnv has the folders that a run would have. One that a run could not
// have is empty; the probe of that folder says why.
func doctorEnv() pipeline.Env {
	dir, err := runtimeDir()
	if err != nil {
		dir = ""
	}
	return pipeline.Env{Log: slog.New(slog.DiscardHandler), Dir: ".", CacheDir: cacheDir(), RuntimeDir: dir, Stdout: io.Discard}
}

func probe(ctx context.Context, env pipeline.Env, p pipeline.Probe) pipeline.Finding {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return p.Run(ctx, env)
}

func (a *app) printFinding(f namedFinding) error {
	if a.json {
		return a.printJSON(f)
	}
	colours := map[string]colour{statusOK: green, statusFail: red, statusWarn: red}
	_, err := fmt.Fprintf(a.stdout, "%s %s: %s\n", paint(a.stdout, colours[f.Status], fmt.Sprintf("%-4s", f.Status)), f.Name, f.Detail)
	if err == nil && f.Hint != "" {
		_, err = fmt.Fprintf(a.stdout, "     %s\n", f.Hint)
	}
	return err
}

// ownProbes are the checks that need no part.
func ownProbes(v versionInfo) []pipeline.Probe {
	return []pipeline.Probe{
		{Name: "waybill", Run: func(context.Context, pipeline.Env) pipeline.Finding {
			return pipeline.Finding{Status: statusOK, Detail: fmt.Sprintf("%s, %s, %s, %d CPUs", v.Version, v.Go, v.Platform, runtime.GOMAXPROCS(0))}
		}},
		{Name: "temporary folder", Run: func(context.Context, pipeline.Env) pipeline.Finding { return probeTemp(os.TempDir()) }},
		{Name: "cache folder", Run: func(context.Context, pipeline.Env) pipeline.Finding { return probeCache() }},
		{Name: "runtime folder", Run: func(context.Context, pipeline.Env) pipeline.Finding { return probeRuntime() }},
		{Name: "disk here", Run: func(context.Context, pipeline.Env) pipeline.Finding { return probeDisk(".") }},
	}
}

// probeTemp writes a file, as browsers and kernels will.
func probeTemp(dir string) pipeline.Finding {
	f, err := os.CreateTemp(dir, "waybill-doctor-*")
	if err == nil {
		_, err = f.WriteString("ok")
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
	if err != nil {
		return pipeline.Finding{Status: statusFail, Detail: err.Error(), Hint: "set TMPDIR to a writable folder"}
	}
	return pipeline.Finding{Status: statusOK, Detail: dir}
}

func probeCache() pipeline.Finding {
	if dir := cacheDir(); dir != "" {
		return pipeline.Finding{Status: statusOK, Detail: dir}
	}
	return pipeline.Finding{Status: statusWarn, Detail: "none: kernels are compiled anew in every run",
		Hint: "set WAYBILL_CACHE to a folder that only you can write to"}
}

func probeRuntime() pipeline.Finding {
	dir, err := runtimeDir()
	if err != nil {
		return pipeline.Finding{Status: statusFail, Detail: err.Error()}
	}
	return pipeline.Finding{Status: statusOK, Detail: dir}
}

func probeDisk(dir string) pipeline.Finding {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return pipeline.Finding{Status: statusWarn, Detail: err.Error()}
	}
	free := uint64(s.Bavail) * uint64(s.Bsize)
	f := pipeline.Finding{Status: statusOK, Detail: fmt.Sprintf("%d MiB free", free>>20)}
	if free < lowDisk {
		f.Status, f.Hint = statusWarn, "a store that runs full fails items"
	}
	return f
}
