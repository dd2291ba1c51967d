package witness

import (
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
)

// Config is the stage's part of a pipeline file.
type Config struct {
	// Folder of the log: file:var/log. Runs that go on at the same time may
	// share one. Relative paths are relative to the pipeline file.
	Log string `yaml:"log"`
	// File of the signing key (Ed25519, PKCS#8 PEM): file:var/keys/witness.key. It
	// is made on the first run. Beside it stands what it signed last, so do not
	// copy a key that is in use.
	Key string `yaml:"key"`
	// Name of a new log, like example.com/captures; it stands in each checkpoint.
	// Default: a random name.
	Origin string `yaml:"origin,optional"`
}

// Validate implements pipeline.Validator.
func (c Config) Validate(v *pipeline.Validation) {
	for _, f := range []struct{ path, url, example string }{
		{"log", c.Log, "file:var/log"}, {"key", c.Key, "file:var/keys/witness.key"},
	} {
		if _, err := pipeline.FilePath(f.url, v.Dir); err != nil {
			v.Problem(f.path, "bad-url", "for example "+f.example, "%v", err)
		}
	}
	if strings.ContainsAny(c.Origin, "+ \t\r\n") {
		v.Problem("origin", "bad-name", "like example.com/captures", "an origin has no spaces and no plus signs")
	}
}
