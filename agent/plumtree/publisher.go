package plumtree

import (
	"math/bits"
	"time"
)

// maxPublishers is of how many publishers a node knows the tree and the order. It
// forgets the one that was silent for longest.
const maxPublishers = 1024

// maxEager is how many neighbours get the events of a publisher whole. Those that ask
// beyond it get the event that they asked for, and later ones from others that they ask.
const maxEager = 12

// publisher is what a node knows of one.
type publisher struct {
	name string
	// eager are the neighbours that get its events whole, and parent is the one that
	// this node expects them from.
	eager  links
	parent Link
	// pruned are those that were asked not to send its events whole. They may do so
	// until they have heard of it.
	pruned links
	// shortcut is when a neighbour in another region was grafted last for being faster.
	shortcut time.Duration
	heard    time.Duration

	inc     uint64 // the last incarnation of which an event was delivered
	seq     uint64 // of the last event that was delivered; the highest so far
	begun   bool   // the two are known
	waiting []*entry
}

// graft has a neighbour get the publisher's events whole, if there is room.
func (p *publisher) graft(l Link) {
	if bits.OnesCount32(uint32(p.eager)) < maxEager {
		p.eager |= l.bit()
	}
}

type publishers struct{ byName map[string]*publisher }

func (p *publishers) init()    { p.byName = map[string]*publisher{} }
func (p *publishers) len() int { return len(p.byName) }

// publisher returns what is known of a publisher, now that an event of it came.
func (t *Tree) publisher(now time.Duration, name []byte) *publisher {
	p := t.publishers.byName[string(name)]
	if p == nil {
		if t.publishers.len() == maxPublishers {
			t.dropPublisher()
		}
		p = &publisher{name: string(name), eager: t.backbone, parent: noLink, shortcut: now - shortcutWait}
		t.publishers.byName[p.name] = p
	}
	p.heard = now
	return p
}

// dropPublisher forgets the publisher that was silent for longest.
func (t *Tree) dropPublisher() {
	var oldest *publisher
	for _, p := range t.publishers.byName {
		if oldest == nil || p.heard < oldest.heard || p.heard == oldest.heard && p.name < oldest.name {
			oldest = p
		}
	}
	if len(oldest.waiting) > 0 {
		t.stats.Overflows++
		t.release(oldest, len(oldest.waiting))
	}
	delete(t.publishers.byName, oldest.name)
}

func (p *publishers) forget(l Link) {
	for _, p := range p.byName {
		p.eager &^= l.bit()
		p.pruned &^= l.bit()
		if p.parent == l {
			p.parent = noLink
		}
	}
}
