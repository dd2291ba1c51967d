package samples

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// Case is a golden case and the file that it stands in.
type Case struct {
	manifest.Sample
	File string
}

// ReadCases reads all cases of a folder, by file name; none if there is no such
// folder. A file with problems is in the error, with all others that have some.
func ReadCases(dir string, m *manifest.Manifest) ([]Case, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var cases []Case
	var errs []error
	for _, name := range names {
		c, err := readCase(name, m)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		cases = append(cases, c)
	}
	return cases, errors.Join(errs...)
}

func readCase(name string, m *manifest.Manifest) (Case, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return Case{}, err // it names the file
	}
	s, err := m.ParseSample(raw)
	if err != nil {
		return Case{}, located(name, raw, err)
	}
	return Case{Sample: *s, File: name}, nil
}

// located puts file, line and column before each problem.
func located(name string, raw []byte, err error) error {
	var problems manifest.Error
	if !errors.As(err, &problems) {
		return fmt.Errorf("%s: %w", name, err)
	}
	errs := make([]error, len(problems))
	for i, p := range problems {
		line, column := manifest.Locate(raw, p)
		errs[i] = fmt.Errorf("%s:%d:%d: %s", name, line, column, p)
	}
	return errors.Join(errs...)
}

// Save writes the case back to its file, if that changes it, and tells whether
// it did.
func (c Case) Save() (bool, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(c.Sample); err != nil {
		return false, err
	}
	if old, err := os.ReadFile(c.File); err == nil && bytes.Equal(old, b.Bytes()) {
		return false, nil
	}
	return true, os.WriteFile(c.File, b.Bytes(), 0o644)
}
