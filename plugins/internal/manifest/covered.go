package manifest

import "maps"

// covered is what the keywords of a schema have looked at in an object or a
// list (JSON Schema core, section 11); nil if nobody asks.
type covered struct {
	all   bool
	names map[string]bool
	first int          // elements before this one
	items map[int]bool // elements beyond
}

func (c *covered) everything() {
	if c != nil {
		c.all = true
	}
}

func (c *covered) name(name string) {
	if c == nil || c.all {
		return
	}
	if c.names == nil {
		c.names = map[string]bool{}
	}
	c.names[name] = true
}

func (c *covered) upTo(n int) {
	if c != nil {
		c.first = max(c.first, n)
	}
}

func (c *covered) item(i int) {
	if c == nil || c.all {
		return
	}
	if c.items == nil {
		c.items = map[int]bool{}
	}
	c.items[i] = true
}

func (c *covered) hasName(name string) bool { return c.all || c.names[name] }
func (c *covered) hasItem(i int) bool       { return c.all || i < c.first || c.items[i] }

// merge adds what another schema has looked at in the same value.
func (c *covered) merge(d *covered) {
	if c == nil || c.all {
		return
	}
	if c.all = d.all; c.all {
		return
	}
	c.upTo(d.first)
	if c.names == nil {
		c.names = d.names
	} else {
		maps.Copy(c.names, d.names)
	}
	if c.items == nil {
		c.items = d.items
	} else {
		maps.Copy(c.items, d.items)
	}
}
