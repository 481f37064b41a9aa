package lyingfs

import (
	"math/rand/v2"
	"slices"
)

// pageSize is how much a disk writes at once.
const pageSize = 4096

// content is the bytes of a file.
type content struct {
	live    []byte       // as programs see them
	kept    []byte       // as the last sync left them
	changed map[int]bool // the pages that were changed since, by number
}

func (c *content) write(data []byte, at int) {
	if end := at + len(data); end > len(c.live) {
		c.resize(end)
	}
	copy(c.live[at:], data)
	c.change(at, at+len(data))
}

// read returns a copy of up to n bytes.
func (c *content) read(at, n int) []byte {
	at = min(at, len(c.live))
	return slices.Clone(c.live[at:min(at+n, len(c.live))])
}

func (c *content) resize(size int) {
	c.change(min(size, len(c.live)), max(size, len(c.live)))
	c.live = resized(c.live, size)
}

// change notes that bytes from one place up to another are not those of the last sync.
func (c *content) change(from, to int) {
	if c.changed == nil {
		c.changed = map[int]bool{}
	}
	for page := from / pageSize; page*pageSize < to; page++ {
		c.changed[page] = true
	}
}

func (c *content) sync() {
	c.kept = resized(c.kept, len(c.live))
	for page := range c.changed {
		c.copyPage(c.kept, page)
	}
	clear(c.changed)
}

// survivor is what a crash leaves.
func (c *content) survivor(chance float64) []byte {
	size := len(c.kept)
	if rand.Float64() < chance {
		size = len(c.live)
	}
	left := resized(slices.Clone(c.kept), max(len(c.kept), len(c.live)))
	for page := range c.changed {
		if rand.Float64() < chance {
			c.copyPage(left, page)
		}
	}
	return resized(left, size)
}

// copyPage copies a page, as far as there is one, to the same place elsewhere.
func (c *content) copyPage(to []byte, page int) {
	if at := page * pageSize; at < len(c.live) {
		copy(to[at:], c.live[at:min(at+pageSize, len(c.live))])
	}
}

// resized cuts off the end, or adds zeros.
func resized(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size]
	}
	return append(b, make([]byte, size-len(b))...)
}
