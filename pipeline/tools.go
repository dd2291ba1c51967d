package pipeline

import "context"

// The command line may not import stages, plugins or cdp. These are the narrow
// doors through which main hands it their tools.

// VerifyRequest says what to verify, offline.
type VerifyRequest struct {
	// Log is the URL of the log ("file:var/log"); needed unless Key is given
	// and only receipts are verified.
	Log string
	// Store is the URL of the object store; empty skips the object checks and
	// says so.
	Store string
	// Receipts are .tlog-proof files; empty means every receipt of the log.
	Receipts []string
	// Key is the verifier key (C2SP vkey) or a file with it; empty means the
	// one beside the log, which proves consistency but not who signed.
	Key string
}

// Verdict is what verification found about one receipt or about the log.
type Verdict struct {
	// Subject is the receipt's file, or "log".
	Subject string `json:"receipt"`
	Item    string `json:"item,omitempty"`
	// Result is how the item ended, as the receipt says.
	Result Result `json:"result,omitempty"`
	Index  int64  `json:"index"`
	OK     bool   `json:"ok"`
	// Failed names the link that broke: object, statement, entry, inclusion,
	// tile, checkpoint, signature, queue ... Empty if OK.
	Failed string `json:"failed,omitempty"`
	// Detail says what was expected and what was found.
	Detail string `json:"detail,omitempty"`
	// Skipped lists checks that could not be made, and why.
	Skipped []string `json:"skipped,omitempty"`
	// Outputs are the subjects that were checked.
	Outputs []Output `json:"outputs,omitempty"`
}

// Verifier checks receipts and calls yield for each as it goes. The error is
// for requests that cannot be carried out; a broken receipt is a Verdict.
type Verifier func(ctx context.Context, r VerifyRequest, yield func(Verdict)) error

// Probe is one check of `waybill doctor`.
type Probe struct {
	Name string
	// Run looks at the machine. Of env it gets what does not depend on a
	// pipeline: Log, Dir, CacheDir and RuntimeDir.
	Run func(ctx context.Context, env Env) Finding
}

// Finding is what a probe found. Status is ok, warn or fail.
type Finding struct {
	Status string `json:"status"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}
