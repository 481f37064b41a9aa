package plumtree

import (
	"math/bits"
	"time"
)

// Link is a neighbour's number, from 0 to MaxLinks-1. It is given anew once the
// neighbour is gone.
type Link int

const noLink Link = -1

// links is a set of neighbours.
type links uint32

func (l Link) bit() links {
	if l == noLink {
		return 0
	}
	return 1 << l
}
func (s links) has(l Link) bool { return s&l.bit() != 0 }

// set takes a neighbour in, or out.
func (s *links) set(l Link, in bool) {
	*s &^= l.bit()
	if in {
		*s |= l.bit()
	}
}

// first takes the lowest neighbour out of a set that has one.
func (s *links) first() Link {
	l := Link(bits.TrailingZeros32(uint32(*s)))
	*s &^= l.bit()
	return l
}

// Neighbour is a node at the other end of a link.
type Neighbour struct {
	Name string
	// RTT is how long a message and its answer take, as far as is known; 0 counts
	// as near.
	RTT time.Duration
	// Backbone says that events of publishers that this node has not heard of go to
	// the neighbour whole. The other neighbours get digests of them.
	Backbone bool
	// Early says that the neighbour gets digests at once. The others get them within a
	// second; of events that their publisher sends to all, they get none.
	Early bool
	// Passive says that this node has not chosen the neighbour, although that may have
	// chosen this node. It gets events for which it asks, and is told of none but those of
	// the last ten seconds when it comes.
	Passive bool
}
