package capability

// Names of the capabilities, as manifests want them and pipeline files grant
// them.
const (
	NameHTTP   = "http"
	NameBlob   = "blob"
	NameSecret = "secret"
	NameState  = "state"
)

// Names returns all capabilities in alphabetic order.
func Names() []string { return []string{NameBlob, NameHTTP, NameSecret, NameState} }

// Set is what one kernel is granted; a nil field is not granted, so the zero Set
// grants nothing. It may be used by several goroutines at the same time. Who
// made the Set closes it, after the last use.
type Set struct {
	// HTTP reaches hosts; see NewHTTP.
	HTTP *HTTP
	// Blob reads content by digest; see NewBlob.
	Blob *Blob
	// Secrets are values by name.
	Secrets map[string]string
	// State bounds the State that each lane gets.
	State *StateConfig
}

// Has tells whether a capability is granted. A name that is none is not.
func (s Set) Has(name string) bool {
	switch name {
	case NameHTTP:
		return s.HTTP != nil
	case NameBlob:
		return s.Blob != nil
	case NameSecret:
		return s.Secrets != nil
	case NameState:
		return s.State != nil
	}
	return false
}

// Close ends idle connections. The Set stays usable.
func (s Set) Close() {
	if s.HTTP != nil {
		s.HTTP.Close()
	}
}

// NewState returns an empty State, or nil if none is granted.
func (s Set) NewState() *State {
	if s.State == nil {
		return nil
	}
	return NewState(*s.State)
}

// Secret returns a secret's value.
func (s Set) Secret(name string) ([]byte, error) {
	if s.Secrets == nil {
		return nil, NotGranted(NameSecret)
	}
	value, ok := s.Secrets[name]
	if !ok {
		return nil, fault(NotFound, "no secret of that name")
	}
	return []byte(value), nil
}
