package cluster

// Session returns the name of the present session, empty if it is over.
func (m *Member) Session() string {
	if s := m.current(); !s.over() {
		return s.id
	}
	return ""
}
