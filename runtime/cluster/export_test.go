package cluster

// Session returns the name of the present session, empty if it is over.
func (m *Member) Session() string {
	if s := m.current(); !s.over() {
		return s.id
	}
	return ""
}

// Size returns how many records are in memory, ended ones included.
func (m *Memory) Size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(len(m.names), len(m.records))
}

// Pacers returns how many keys a limiter remembers the rate of.
func (l *Limiter) Pacers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pacers)
}

// Complain is complain.
func (m *Member) Complain(what string, err error) { m.complain(m.ctx, what, err) }
