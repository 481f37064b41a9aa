package boltfile

import (
	"bytes"
	"strings"
	"testing"
)

// A page that a tree names, but that no tree can have, is a fault and is not read:
// a head, a page behind the last one, and one that is too deep. Each of them is
// there, with a good header.
func TestPagesThatNoTreeCanHave(t *testing.T) {
	const pageSize, pages = 512, 4
	data := make([]byte, 2*pages*pageSize)
	for id := range uint64(2 * pages) {
		nativeOrder.PutUint64(data[id*pageSize:], id)
	}
	for _, tt := range []struct {
		id    uint64
		depth int
	}{{0, 0}, {1, 0}, {pages, 0}, {pages + 1, 0}, {1 << 60, 0}, {2, maxDepth + 1}} {
		var problems []string
		f := &File{
			r: bytes.NewReader(data), size: int64(len(data)), pageSize: pageSize, pages: pages, reached: make([]bool, pages),
			problem: func(err error) { problems = append(problems, err.Error()) },
		}
		f.load(tt.id, tt.depth, &treeWalk{each: func([]byte, []byte, uint32) { t.Errorf("page %d was read", tt.id) }})
		if len(problems) != 1 || !strings.Contains(problems[0], "it cannot be where the tree says") {
			t.Errorf("page %d at depth %d: %q", tt.id, tt.depth, problems)
		}
	}
}
