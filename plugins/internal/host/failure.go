package host

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/meter"
)

// Codes of failures. They are stable: tools and receipts act on them.
const (
	CodeBad      = "kernel-bad"       // not a module that can run here
	CodeExports  = "kernel-exports"   // imports, exports or signatures do not fit
	CodeInit     = "kernel-init"      // it refused its configuration
	CodeTrap     = "kernel-trap"      // unreachable, out of bounds, stack overflow, ...
	CodeTimeout  = "kernel-timeout"   // limits.timeout passed
	CodeFuel     = "kernel-fuel"      // limits.fuel was used up
	CodeBudget   = "budget-exceeded"  // the item's fuel budget was used up
	CodeMemory   = "kernel-memory"    // limits.memory was reached
	CodeOutput   = "kernel-output"    // more output than limits.output
	CodeBadFrame = "kernel-bad-frame" // the answer violates the frame format
	CodeExit     = "kernel-exit"      // it called proc_exit
	CodeError    = "kernel-error"     // it reported an error itself
)

// Failure is one failed call of a kernel, or a kernel that cannot be loaded.
type Failure struct {
	// Code is one of the codes above.
	Code string
	// Kernel is the kernel's name and Digest that of its module.
	Kernel string
	Digest pipeline.Digest
	// Cause says what happened, in one line.
	Cause string
	// Message is what the kernel said about it (import fail), if anything.
	Message string
	// Frames are the guest's functions, innermost first.
	Frames []string
	// Stderr is the last of what the guest wrote to stdout and stderr during
	// the call, at most 4 KiB.
	Stderr string
	// Err is the engine's error, if there is one.
	Err error
}

// Error shows the innermost frames and the beginning of stderr; everything is
// in the fields.
const (
	framesShown = 4
	stderrShown = 300
)

// Error renders the failure in one line.
func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "kernel %s (%s): %s", f.Kernel, f.Digest.Short(), f.Cause)
	if f.Message != "" {
		fmt.Fprintf(&b, ": %s", f.Message)
	}
	if n := min(len(f.Frames), framesShown); n > 0 {
		fmt.Fprintf(&b, "; in %s", strings.Join(f.Frames[:n], " < "))
	}
	if f.Stderr != "" {
		fmt.Fprintf(&b, "; stderr: %.*s", stderrShown, oneLine(f.Stderr))
	}
	return b.String()
}

// oneLine joins the lines of a text that have something in them.
func oneLine(text string) string {
	lines := strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return r == '\n' || r == '\r' })
	kept := lines[:0]
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, " | ")
}

// Unwrap returns the engine's error.
func (f *Failure) Unwrap() error { return f.Err }

// startFailed begins the cause of a trap in the start section.
const startFailed = "start function failed: "

// startMark is how wazero names a failed start function; the index is that of
// the metered module.
var startMark = regexp.MustCompile(`^start function\[\d+\] failed: `)

const stackMark = "\nwasm stack trace:\n\t"

// splitTrap takes wazero's error text apart: the cause and the guest's frames.
func splitTrap(err error) (cause string, frames []string) {
	cause, stack, _ := strings.Cut(err.Error(), stackMark)
	cause, where := startMark.ReplaceAllString(cause, ""), startMark.FindString(cause)
	if cause = strings.TrimPrefix(cause, "wasm error: "); where != "" {
		cause = startFailed + cause
	}
	stack, _, _ = strings.Cut(stack, "\n\n") // what follows is the host's own stack
	for line := range strings.SplitSeq(stack, "\n") {
		line = strings.TrimSpace(line)
		if name, _, ok := strings.Cut(line, "("); ok && !strings.HasPrefix(name, meter.ImportModule) {
			frames = append(frames, strings.TrimPrefix(name, "."))
		}
	}
	return cause, frames
}
