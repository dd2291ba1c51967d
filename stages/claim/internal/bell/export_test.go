package bell

// Channel is what Wakes returns, to be closed.
func Channel(b *Bell) chan struct{} { return b.wakes }
