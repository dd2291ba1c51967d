package translog

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight // hashes in a full tile, entries in a full bundle
	hashSize   = tlog.HashSize
	// MaxEntry is the largest entry: its length is written as a uint16.
	MaxEntry = 1<<16 - 1
)

// entriesLevel is the level of entry bundles, as in tlog.Tile.
const entriesLevel = -1

// coord names a tile or entry bundle, without its width.
type coord struct {
	level int
	n     int64
}

// path returns the slash-separated name of the tile with this width, below the
// log's folder (C2SP tlog-tiles).
func (c coord) path(width int) string {
	p := c.stem()
	if width < tileWidth {
		p += ".p/" + strconv.Itoa(width)
	}
	return p
}

func (c coord) stem() string {
	name := fmt.Sprintf("%03d", c.n%1000)
	for n := c.n / 1000; n > 0; n /= 1000 {
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	level := "entries"
	if c.level != entriesLevel {
		level = strconv.Itoa(c.level)
	}
	return "tile/" + level + "/" + name
}

// parsePath is the inverse of path.
func parsePath(p string) (c coord, width int, ok bool) {
	width = tileWidth
	stem, w, partial := strings.Cut(p, ".p/")
	if partial {
		var err error
		if width, err = strconv.Atoi(w); err != nil || width < 1 || width >= tileWidth {
			return c, 0, false
		}
	}
	parts := strings.Split(stem, "/")
	if len(parts) < 3 || parts[0] != "tile" {
		return c, 0, false
	}
	c.level = entriesLevel
	if parts[1] != "entries" {
		var err error
		if c.level, err = strconv.Atoi(parts[1]); err != nil {
			return c, 0, false
		}
	}
	for _, part := range parts[2:] {
		n, err := strconv.Atoi(strings.TrimPrefix(part, "x"))
		if err != nil || n < 0 || n > 999 || c.n > 1<<40 {
			return c, 0, false
		}
		c.n = c.n*1000 + int64(n)
	}
	return c, width, c.path(width) == p
}

// widthAt returns how many hashes (or entries) the tile has in a log of this size.
func (c coord) widthAt(size int64) int {
	have := size >> (tileHeight * max(0, c.level))
	return int(min(max(0, have-c.n*tileWidth), tileWidth))
}

// appendEntry appends an entry to a bundle.
func appendEntry(bundle, entry []byte) []byte {
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entry)))
	return append(bundle, entry...)
}

// splitBundle cuts a bundle into exactly so many entries.
func splitBundle(bundle []byte, width int) ([][]byte, error) {
	entries := make([][]byte, 0, width)
	for len(bundle) > 0 {
		if len(bundle) < 2 {
			return nil, fmt.Errorf("a length is cut off after %d entries", len(entries))
		}
		n := int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < 2+n {
			return nil, fmt.Errorf("entry %d of the bundle is cut off", len(entries))
		}
		entries = append(entries, bundle[2:2+n])
		bundle = bundle[2+n:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("%d entries, want %d", len(entries), width)
	}
	return entries, nil
}
