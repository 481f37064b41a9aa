package link

import (
	"cmp"
	"errors"
	"slices"
	"sync"
)

// What the links that others have opened may hold of this node's memory: what has come
// and is not delivered or answered yet, answers that are not sent yet, and streams.
const (
	// sessionStreams is how many streams a link has, with those that are refused or
	// closing: yamux keeps their windows until the other side closes them too. A peer
	// that behaves has linkRequests, one of events, and as many that it gave up.
	sessionStreams = 3 * linkStreams
	// streamCost is what a stream takes beside what it holds, in bytes: its read buffer,
	// a goroutine and yamux' own.
	streamCost = 48 << 10
	// peerMemory is for all links of a peer. One that behaves holds the longest message, a
	// window, its requests and some answers, together less than 6 MiB.
	peerMemory = 8 << 20
	// strangerMemory is for the links of all strangers together: room for maxLinks links
	// with a stream of events each.
	strangerMemory = 16 << 20
)

// errHeld ends a link that holds too much.
var errHeld = errors.New("it holds more memory than its limit")

// budget counts what accepted links hold, and closes links of who holds too much. A peer
// is a member with its own host; all other links are those of strangers, whatever their
// names are. Of strangers the host that holds most loses a link, so that one host cannot
// push out another. It is safe for concurrent use.
type budget struct {
	member func(name, host string) bool // nil: nobody is
	over   func(lk *link)               // told of a link that is closed; must not wait

	mu     sync.Mutex // guards also what links have of it
	owners map[string]*owner
	links  int
}

// owner is a peer, or all strangers.
type owner struct {
	bytes    int64
	requests int // that are handled
	links    map[*link]struct{}
}

// holding is a link's part in a budget.
type holding struct {
	owner    string // "": strangers
	bytes    int64
	requests int
	gone     bool // not counted any more
}

func (b *budget) ownerOf(lk *link) string {
	if b.member != nil && b.member(lk.peer.Name, lk.host) {
		return lk.peer.Name
	}
	return ""
}

func limitOf(owner string) int64 {
	if owner == "" {
		return strangerMemory
	}
	return peerMemory
}

// enter counts a link from now on. If there are more than most, it returns the least used
// one of who has most links, which is not counted any more.
func (b *budget) enter(lk *link, most int) (extra *link) {
	name := b.ownerOf(lk)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addLocked(lk, name)
	if b.links <= most {
		return nil
	}
	// Several owners or hosts may have equally many: all of their links are compared.
	var widest []*link
	for _, o := range mostOf(b.owners, func(o *owner) int64 { return int64(len(o.links)) }) {
		for _, links := range mostOf(byHost(o.links), func(l []*link) int64 { return int64(len(l)) }) {
			widest = append(widest, links...)
		}
	}
	extra = slices.MinFunc(widest, leastUsed)
	b.removeLocked(extra)
	return extra
}

func (b *budget) leave(lk *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.removeLocked(lk)
}

// hold counts n more bytes of a link. While its owner holds too much, the heaviest links
// are closed. The error says that this one is among them.
func (b *budget) hold(lk *link, n int64) error {
	b.mu.Lock()
	if lk.held.gone {
		b.mu.Unlock()
		return errHeld
	}
	lk.held.bytes += n
	b.owners[lk.held.owner].bytes += n
	closed := b.shrinkLocked(lk.held.owner)
	b.mu.Unlock()
	for _, other := range closed {
		b.over(other)
		other.conn.Close() // its session ends by that; an error says that it has
	}
	if slices.Contains(closed, lk) {
		return errHeld
	}
	return nil
}

// mayHold is hold, but where there is no room it counts nothing and closes nothing.
func (b *budget) mayHold(lk *link, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if lk.held.gone || b.owners[lk.held.owner].bytes+n > limitOf(lk.held.owner) {
		return false
	}
	lk.held.bytes += n
	b.owners[lk.held.owner].bytes += n
	return true
}

// begin counts a request that is handled, of so many that may be at a time. It reports
// false if the owner has its share: a quarter for a peer, half for strangers.
func (b *budget) begin(lk *link, most int) bool {
	share := most / 4
	b.mu.Lock()
	defer b.mu.Unlock()
	if lk.held.owner == "" {
		share = most / 2
	}
	if lk.held.gone || b.owners[lk.held.owner].requests >= share {
		return false
	}
	lk.held.requests++
	b.owners[lk.held.owner].requests++
	return true
}

// end takes back a request.
func (b *budget) end(lk *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !lk.held.gone {
		lk.held.requests--
		b.owners[lk.held.owner].requests--
	}
}

// release takes back what was held.
func (b *budget) release(lk *link, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !lk.held.gone {
		lk.held.bytes -= n
		b.owners[lk.held.owner].bytes -= n
	}
}

// shrinkLocked takes links off that are to be closed, until the owner is within its limit.
func (b *budget) shrinkLocked(name string) (closed []*link) {
	if b.owners[name].bytes <= limitOf(name) {
		return nil
	}
	if name == "" {
		b.reclaimLocked()
	}
	for o := b.owners[name]; o != nil && o.bytes > limitOf(name); o = b.owners[name] {
		heavy := mostOf(byHost(o.links), func(links []*link) (sum int64) {
			for _, lk := range links {
				sum += lk.held.bytes
			}
			return sum
		})[0]
		lk := slices.MaxFunc(heavy, func(a, b *link) int { return cmp.Compare(a.held.bytes, b.held.bytes) })
		b.removeLocked(lk)
		closed = append(closed, lk)
	}
	return closed
}

// reclaimLocked gives peers their links that came before they were known as members.
func (b *budget) reclaimLocked() {
	for lk := range b.owners[""].links {
		if name := b.ownerOf(lk); name != "" {
			held := lk.held
			b.removeLocked(lk)
			b.addLocked(lk, name)
			lk.held.bytes, lk.held.requests = held.bytes, held.requests
			b.owners[name].bytes += held.bytes
			b.owners[name].requests += held.requests
		}
	}
}

func (b *budget) addLocked(lk *link, name string) {
	if b.owners[name] == nil {
		b.owners[name] = &owner{links: map[*link]struct{}{}}
	}
	lk.held = holding{owner: name}
	b.owners[name].links[lk] = struct{}{}
	b.links++
}

func (b *budget) removeLocked(lk *link) {
	if lk.held.gone {
		return
	}
	o := b.owners[lk.held.owner]
	o.bytes -= lk.held.bytes
	o.requests -= lk.held.requests
	delete(o.links, lk)
	if len(o.links) == 0 {
		delete(b.owners, lk.held.owner)
	}
	b.links--
	lk.held.gone = true
}

func byHost(links map[*link]struct{}) map[string][]*link {
	hosts := map[string][]*link{}
	for lk := range links {
		hosts[lk.host] = append(hosts[lk.host], lk)
	}
	return hosts
}

// mostOf returns the values with the greatest weight, of which there is at least one
// unless there are no values.
func mostOf[V any](of map[string]V, weight func(V) int64) (all []V) {
	most := int64(-1)
	for _, v := range of {
		switch w := weight(v); {
		case w > most:
			most, all = w, []V{v}
		case w == most:
			all = append(all, v)
		}
	}
	return all
}
