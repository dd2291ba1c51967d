package plugins

import (
	"reflect"
	"strings"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/plugins/internal/capability"
)

// Grant is one capability that a kernel gets, and how far it goes. Exactly one
// field is set.
type Grant struct {
	HTTP   *HTTPGrant
	Blob   *BlobGrant
	Secret SecretGrant
	State  *StateGrant
}

// HTTPGrant lets the kernel send HTTP requests through the host.
type HTTPGrant struct {
	// Hosts that may be asked: api.example.com, *.example.com (any name below
	// it) or an address, each with or without a port.
	Hosts []string `yaml:"hosts"`
	// Methods that may be used; GET and HEAD if it is left out.
	Methods []string `yaml:"methods,optional"`
	// Longest time of one request, redirects included; 10s if it is left out.
	Timeout pipeline.Duration `yaml:"timeout,optional" min:"1ms"`
	// Largest request; 1MiB if it is left out.
	Request pipeline.Bytes `yaml:"request,optional" min:"1"`
	// Largest response; 1MiB if it is left out.
	Response pipeline.Bytes `yaml:"response,optional" min:"1"`
	// Whether addresses that are not of the public internet may be reached:
	// loopback, private and link-local ones. It allows credentials without TLS
	// too.
	Private bool `yaml:"private,optional"`
	// Headers that the host adds when the kernel asks for them by name; it never
	// sees them.
	Credentials map[string]Credential `yaml:"credentials,optional"`
}

// Credential is a header that the host adds to a request.
type Credential struct {
	// Name of the header.
	Header string `yaml:"header"`
	// Its whole value, from ${env:} or ${file:}.
	Value Secret `yaml:"value"`
	// Hosts that it may be sent to; all granted ones if it is left out.
	Hosts []string `yaml:"hosts,optional"`
}

// BlobGrant lets the kernel read stored content by its digest.
type BlobGrant struct {
	// The object store, such as file:var/objects; paths are relative to the
	// pipeline file.
	From string `yaml:"from"`
	// Largest content; 16MiB if it is left out.
	Size pipeline.Bytes `yaml:"size,optional" min:"1"`
}

// SecretGrant lets the kernel read values by their name.
type SecretGrant map[string]Secret

// StateGrant lets the kernel keep values by key between calls, one set per lane.
type StateGrant struct {
	// All keys and values together, with 64 bytes for each entry; 1MiB if it is
	// left out.
	Size pipeline.Bytes `yaml:"size,optional" min:"1"`
}

// Codes of problems with grants.
const (
	codeUnknownGrant   = "unknown-grant"   // no capability of that name, or a bare name
	codeTwoGrants      = "two-grants"      // two capabilities in one entry
	codeDuplicateGrant = "duplicate-grant" // a capability granted twice
	codeBadGrant       = "bad-grant"       // a value that cannot be granted
	codeMissingGrant   = "missing-grant"   // the kernel wants what it does not get
)

var _ pipeline.Union = (*Grant)(nil)

// Variants lists what stands behind each capability, for schema and reference.
func (Grant) Variants() (byName map[string]pipeline.Variant, common reflect.Type) {
	return map[string]pipeline.Variant{
		capability.NameHTTP:   {Type: reflect.TypeFor[HTTPGrant]()},
		capability.NameBlob:   {Type: reflect.TypeFor[BlobGrant]()},
		capability.NameSecret: {Type: reflect.TypeFor[SecretGrant]()},
		capability.NameState:  {Type: reflect.TypeFor[StateGrant]()},
	}, reflect.TypeFor[struct{}]()
}

// target returns what the value behind a capability's name decodes into, with
// its defaults; nil for another name.
func (g *Grant) target(name string) any {
	switch name {
	case capability.NameHTTP:
		g.HTTP = &HTTPGrant{Methods: []string{"GET", "HEAD"}, Timeout: pipeline.Duration(capability.DefaultHTTPTimeout),
			Request: capability.DefaultHTTPSize, Response: capability.DefaultHTTPSize}
		return g.HTTP
	case capability.NameBlob:
		g.Blob = &BlobGrant{Size: capability.DefaultBlob}
		return g.Blob
	case capability.NameSecret:
		return &g.Secret
	case capability.NameState:
		g.State = &StateGrant{Size: capability.DefaultState}
		return g.State
	}
	return nil
}

// name is the capability that is granted, or "".
func (g *Grant) name() string {
	switch {
	case g.HTTP != nil:
		return capability.NameHTTP
	case g.Blob != nil:
		return capability.NameBlob
	case g.Secret != nil:
		return capability.NameSecret
	case g.State != nil:
		return capability.NameState
	}
	return ""
}

// UnmarshalNode reads a mapping with one capability.
func (g *Grant) UnmarshalNode(n *pipeline.Node) {
	if n.Kind() != pipeline.KindMap {
		notAGrant(n)
		return
	}
	first, unknown := "", false
	for _, f := range n.Fields() {
		to := (&Grant{}).target(f.Name)
		switch {
		case to == nil:
			f.Key.Problem(codeUnknownGrant, grantHint(f.Name), "%q is no capability", f.Name)
			unknown = true
		case first != "":
			f.Key.Problem(codeTwoGrants, "begin a new list entry with - "+f.Name, "%s in the grant of %s", f.Name, first)
		default:
			first = f.Name
			f.Value.Decode(g.target(f.Name))
		}
	}
	if first == "" && !unknown {
		n.Problem(codeUnknownGrant, grantHint(""), "there is no capability")
	}
}

// notAGrant reports "- http" and anything else that is no mapping.
func notAGrant(n *pipeline.Node) {
	if n.Kind() == pipeline.KindScalar {
		n.Problem(codeUnknownGrant, grantHint(n.Raw()), "want a mapping that says how far the grant goes, got %q", n.Raw())
		return
	}
	n.Problem(pipeline.CodeWrongType, grantHint(""), "want a grant, got %s", n.Kind())
}

// grantExample is what to write for a capability.
func grantExample(name string) string {
	switch name {
	case capability.NameHTTP:
		return "- http: { hosts: [api.example.com] }"
	case capability.NameBlob:
		return "- blob: { from: file:var/objects }"
	case capability.NameSecret:
		return "- secret: { name: ${env:NAME} }"
	case capability.NameState:
		return "- state: { size: 1MiB }"
	}
	return ""
}

func grantHint(name string) string {
	if near := pipeline.Nearest(name, capability.Names()); near != "" {
		return "write " + grantExample(near)
	}
	return "known: " + strings.Join(capability.Names(), ", ")
}
