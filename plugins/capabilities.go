package plugins

import (
	"fmt"
	"maps"
	"slices"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/capability"
	"github.com/waybill-dev/waybill/plugins/internal/manifest"
)

// grantProblems lists what is wrong with the grants beyond their types.
func (c Config) grantProblems() []problem {
	var found []problem
	seen := map[string]bool{}
	for i := range c.Grant {
		g := &c.Grant[i]
		at := fmt.Sprintf("grant[%d]", i)
		if name := g.name(); seen[name] {
			found = append(found, problem{path: at, code: codeDuplicateGrant, hint: "put both into one entry", message: name + " is granted already"})
		} else {
			seen[name] = true
		}
		for _, p := range g.problems() {
			found = append(found, problem{path: manifest.Join(at, p.Path), code: codeBadGrant, hint: p.Hint, message: p.Message})
		}
	}
	return found
}

// problems lists what is wrong with one grant; paths begin with its name.
func (g *Grant) problems() []capability.Problem {
	var found []capability.Problem
	switch {
	case g.HTTP != nil:
		found = append(badNames("credentials", slices.Sorted(maps.Keys(g.HTTP.Credentials))), g.HTTP.config().Problems()...)
	case g.Blob != nil:
		found = g.Blob.problems()
	case g.Secret != nil:
		found = g.secretProblems()
	case g.State != nil:
		found = g.State.config().Problems()
	default:
		return []capability.Problem{{Path: "", Message: "grants nothing"}}
	}
	for i := range found {
		found[i].Path = manifest.Join(g.name(), found[i].Path)
	}
	return found
}

func (g *Grant) secretProblems() []capability.Problem {
	found := badNames("", slices.Sorted(maps.Keys(g.Secret)))
	if len(g.Secret) == 0 {
		found = append(found, capability.Problem{Message: "no secret is named", Hint: "write " + grantExample(capability.NameSecret)})
	}
	return found
}

// badNames reports names of secrets and credentials that a guest could not
// write, or that a message could not show.
func badNames(path string, names []string) []capability.Problem {
	var found []capability.Problem
	for _, name := range names {
		if !goodName.MatchString(name) {
			found = append(found, capability.Problem{Path: path, Message: fmt.Sprintf("%.70q cannot be a name", name), Hint: "letters, digits, _ and -, at most 64"})
		}
	}
	return found
}

// config is the grant as package capability takes it.
func (h *HTTPGrant) config() capability.HTTPConfig {
	c := capability.HTTPConfig{Hosts: h.Hosts, Methods: h.Methods, Timeout: h.Timeout.D(), Request: int64(h.Request), Response: int64(h.Response),
		Private: h.Private, Credentials: make(map[string]capability.Credential, len(h.Credentials))}
	for name, cred := range h.Credentials {
		c.Credentials[name] = capability.Credential{Header: cred.Header, Value: cred.Value.Reveal(), Hosts: cred.Hosts}
	}
	return c
}

func (s *StateGrant) config() capability.StateConfig {
	return capability.StateConfig{Size: int64(s.Size)}
}

func (b *BlobGrant) problems() []capability.Problem {
	var found []capability.Problem
	if _, err := pipeline.FilePath(b.From, ""); err != nil {
		found = append(found, capability.Problem{Path: "from", Message: "content can be read from a file: URL only", Hint: "write file:var/objects"})
	}
	if b.Size < 0 || b.Size > capability.MaxBlob {
		found = append(found, capability.Problem{Path: "size", Message: "must be 1 byte to 1GiB"})
	}
	return found
}

// grants makes what the configuration grants; paths are relative to dir. The
// caller closes the set.
func (c Config) grants(dir string) (capability.Set, error) {
	var set capability.Set
	for i := range c.Grant {
		if err := c.Grant[i].into(&set, dir); err != nil {
			set.Close()
			return capability.Set{}, fmt.Errorf("grant[%d]: %w", i, err)
		}
	}
	return set, nil
}

func (g *Grant) into(set *capability.Set, dir string) (err error) {
	switch {
	case g.HTTP != nil:
		set.HTTP, err = capability.NewHTTP(g.HTTP.config())
	case g.Blob != nil:
		if dir, err = pipeline.FilePath(g.Blob.From, dir); err == nil {
			set.Blob = capability.NewBlob(dir, int64(g.Blob.Size))
		}
	case g.Secret != nil:
		set.Secrets = make(map[string]string, len(g.Secret))
		for name, value := range g.Secret {
			set.Secrets[name] = value.Reveal()
		}
	case g.State != nil:
		state := g.State.config()
		set.State = &state
	}
	return err
}
