package plugins

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/plugins/internal/capability"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
	"github.com/waybill-dev/waybill/plugins/internal/module"
)

// manifestProblems compares the stage with what the module says about itself:
// `with` with its schema, `grant` with what it wants and imports.
func (c Config) manifestProblems(wasm []byte) []problem {
	parsed, err := module.Parse(wasm)
	if err != nil {
		return nil // told already
	}
	m, err := manifest.Read(wasm)
	if err != nil {
		return brokenManifest(err)
	}
	if m == nil {
		m = new(manifest.Manifest)
	}
	found := append(c.configProblems(m), c.wantProblems(m, parsed)...)
	if c.Reuse && !m.Reuse {
		found = append(found, problem{path: "reuse", code: codeNotPromised, hint: "leave it out",
			message: "the kernel does not promise that calls leave nothing behind (reuse in its manifest)"})
	}
	return found
}

// codeNotPromised: the stage relies on what the kernel does not promise.
const codeNotPromised = "not-promised"

// brokenManifest makes one problem of each in a manifest.
func brokenManifest(err error) []problem {
	const hint = "correct kernel.json and build the kernel again"
	all := manifest.Error{{Message: err.Error()}}
	errors.As(err, &all)
	var found []problem
	for _, p := range all {
		found = append(found, problem{path: "use", code: codeManifest, hint: hint, message: "manifest: " + p.String()})
	}
	return found
}

// configProblems lists what the kernel's schema refuses in `with`.
func (c Config) configProblems(m *manifest.Manifest) []problem {
	if len(expressions("with", c.With)) > 0 {
		return nil // no value to check; told already
	}
	raw, err := c.json()
	if err != nil {
		return []problem{{path: "with", code: "wrong-type", message: "cannot be written as JSON"}}
	}
	var found []problem
	for _, p := range m.CheckConfig(raw) {
		whole := p.Code == "unknown-key" || p.Code == "missing-key"
		found = append(found, problem{path: manifest.Join("with", p.Path), code: p.Code, hint: p.Hint, message: p.Message, key: whole})
	}
	return found
}

// wantProblems lists the capabilities that the kernel wants and does not get. It
// may be granted more than it wants.
func (c Config) wantProblems(m *manifest.Manifest, parsed *module.Module) []problem {
	var found []problem
	for _, name := range capability.Names() {
		reason := wanted(name, m, parsed)
		granted := slices.ContainsFunc(c.Grant, func(g Grant) bool { return g.name() == name })
		if reason == "" || granted {
			continue
		}
		found = append(found, problem{path: "grant", code: codeMissingGrant, key: true,
			hint:    "if it may have it, add " + grantExample(name),
			message: fmt.Sprintf("the kernel wants %s (%s), which is not granted", name, reason)})
	}
	return found
}

// wanted says by what a kernel shows that it wants a capability; "" if it does
// not.
func wanted(name string, m *manifest.Manifest, parsed *module.Module) string {
	if slices.Contains(m.Wants, name) {
		return "its manifest says so"
	}
	for _, i := range parsed.Imports {
		if i.Module == module.ImportKernel && (i.Name == name || name == capability.NameState && strings.HasPrefix(i.Name, "state_")) {
			return fmt.Sprintf("it imports %s.%s", i.Module, i.Name)
		}
	}
	if name == capability.NameHTTP && parsed.WantsHTTP() {
		return "it imports " + module.ImportExtism + ".http_request"
	}
	return ""
}
