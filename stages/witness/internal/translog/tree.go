package translog

import (
	"bytes"
	"fmt"
	"maps"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is the right edge of the Merkle tree: the tile at the end of each level,
// and full tiles that were finished since the last trim. Everything left of it is
// read from disk when somebody asks.
type tree struct {
	size  int64
	tiles map[coord][]byte
	// read returns a full tile.
	read func(c coord) ([]byte, error)
}

var _ tlog.HashReader = (*tree)(nil)

func (t *tree) clone() *tree {
	c := &tree{size: t.size, tiles: make(map[coord][]byte, len(t.tiles)), read: t.read}
	for at, data := range t.tiles {
		c.tiles[at] = bytes.Clone(data)
	}
	return c
}

// add appends the hash of an entry and marks the tiles that it changes.
func (t *tree) add(h tlog.Hash, dirty map[coord]bool) {
	n := t.size
	t.size++
	for level := 0; ; level++ {
		c := coord{level, n >> tileHeight}
		t.tiles[c] = append(t.tiles[c], h[:]...)
		dirty[c] = true
		if len(t.tiles[c]) < tileWidth*hashSize {
			return
		}
		h, n = tileRoot(t.tiles[c]), c.n
	}
}

// trim forgets the full tiles.
func (t *tree) trim() {
	maps.DeleteFunc(t.tiles, func(_ coord, data []byte) bool { return len(data) == tileWidth*hashSize })
}

// tileRoot returns the root of the subtree over a full tile.
func tileRoot(data []byte) tlog.Hash {
	level := make([]tlog.Hash, len(data)/hashSize)
	for i := range level {
		copy(level[i][:], data[i*hashSize:])
	}
	for ; len(level) > 1; level = level[:len(level)/2] {
		for i := 0; i < len(level)/2; i++ {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
	}
	return level[0]
}

// ReadHashes implements tlog.HashReader for every tree up to this size.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		tile := tlog.TileForIndex(tileHeight, index)
		c := coord{tile.L, tile.N}
		data, ok := t.tiles[c]
		if !ok {
			var err error
			if data, err = t.read(c); err != nil {
				return nil, err
			}
		}
		tile.W = len(data) / hashSize
		h, err := tlog.HashFromTile(tile, data, index)
		if err != nil {
			return nil, fmt.Errorf("tile %s: %w", c.stem(), err)
		}
		out[i] = h
	}
	return out, nil
}

// root returns the root of the first size entries.
func (t *tree) root(size int64) (tlog.Hash, error) {
	return tlog.TreeHash(size, t)
}
