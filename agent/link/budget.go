package link

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
)

// What links may hold of this node's memory: what has come and is not delivered or
// answered yet, answers that are not sent yet, and the streams of others.
const (
	// sessionStreams is how many streams a link has, with those that are refused or
	// closing: yamux keeps their windows until the other side closes them too. A peer
	// that behaves has linkRequests, one of events, and as many that it gave up.
	sessionStreams = 3 * linkStreams
	// streamCost is what a stream takes beside what it holds, in bytes: its read buffer,
	// a goroutine and yamux' own.
	streamCost = 48 << 10
	// dataCost is how many times a byte of data is counted: the buffer that yamux has for a
	// frame doubles once the frame is in it.
	dataCost = 2
	// peerMemory is for the streams that a host with members opens. A peer that behaves
	// holds the longest message, a window, its requests and some answers, together less
	// than 10 MiB.
	peerMemory = 12 << 20
	// openedMemory is for the answers of a host that are read at a time.
	openedMemory = 16 << 20
	// linksMemory is for all streams of others, and as much for all that this node opens.
	linksMemory = 48 << 20
	// strangerMemory is for the streams of all strangers together: room for maxLinks links
	// with a stream of events each.
	strangerMemory = 16 << 20
)

// errHeld ends a link that holds too much.
var errHeld = errors.New("it holds more memory than its limit")

// budget counts what links hold for the streams that one side opens, and closes links of
// who holds too much. For the streams of others the owner is the host of the link, if the
// link has the name of a member with that host: a host may have many names. All others are
// those of strangers. Of strangers the host that holds most loses a link, so that one host
// cannot push out another. For the streams that this node opens, the owner is the host
// that answers. A link that goes both ways is in both budgets. What a closed link holds
// counts until the link is gone, and others wait for that before they hold more. It is
// safe for concurrent use.
type budget struct {
	part  func(lk *link) *holding // what it holds of this budget
	owner func(lk *link) string   // "": strangers
	each  int64                   // bytes that an owner may hold
	over  func(lk *link)          // told of a link that is closed; must not wait

	mu     sync.Mutex // guards also what links have of it
	freed  sync.Cond  // of mu: something is held no more
	owners map[string]*owned
	open   int64 // bytes of all owners
	all    int64 // likewise, with those of links that are not gone yet
	links  int   // those that entered
}

func (b *budget) init(each int64, part func(*link) *holding, owner func(*link) string, over func(*link)) {
	b.each, b.part, b.owner, b.over = each, part, owner, over
	b.owners = map[string]*owned{}
	b.freed.L = &b.mu
}

// owned is what an owner has: a host, or all strangers.
type owned struct {
	bytes    int64
	closed   int   // links that are not gone yet
	ending   int64 // bytes of those
	requests int   // that are handled
	links    map[*link]struct{}
}

// holding is a link's part in a budget.
type holding struct {
	owner    string // "": strangers
	entered  bool   // it is one of the links whose number is bounded
	bytes    int64
	requests int
	closed   bool // to be closed, and no link any more that counts
	gone     bool // not counted any more
}

func (b *budget) limitOf(owner string) int64 {
	if owner == "" {
		return strangerMemory
	}
	return b.each
}

// countLocked counts bytes of an owner, and of its links that are not gone yet.
func (b *budget) countLocked(o *owned, bytes, ending int64) {
	o.bytes, o.ending = o.bytes+bytes, o.ending+ending
	b.open, b.all = b.open+bytes, b.all+bytes+ending
}

// roomLocked tells whether an owner can hold n more bytes.
func (b *budget) roomLocked(owner string, n int64) bool {
	return b.owners[owner].total()+n <= b.limitOf(owner) && b.all+n <= linksMemory
}

// enter counts a link from now on. If more than most have entered, it returns the least
// used one of who has most of them, which is not counted any more.
func (b *budget) enter(lk *link, most int) (extra *link) {
	name := b.owner(lk)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addLocked(lk, name, true)
	if b.links <= most {
		return nil
	}
	// Several owners or hosts may have equally many: all of their links are compared.
	var widest []*link
	for _, o := range mostOf(b.owners, func(o *owned) int64 { return int64(len(b.enteredOf(o))) }) {
		for _, links := range mostOf(byHost(b.enteredOf(o)), func(l []*link) int64 { return int64(len(l)) }) {
			widest = append(widest, links...)
		}
	}
	extra = slices.MinFunc(widest, leastUsed)
	b.removeLocked(extra)
	return extra
}

// enteredOf are an owner's links that have entered.
func (b *budget) enteredOf(o *owned) map[*link]struct{} {
	links := maps.Clone(o.links)
	maps.DeleteFunc(links, func(lk *link, _ struct{}) bool { return !b.part(lk).entered })
	return links
}

// leave is called once a link has ended, and everything that it held is free.
func (b *budget) leave(lk *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.removeLocked(lk)
	if held := b.part(lk); !held.gone {
		held.gone = true
		b.endedLocked(*held)
	}
	b.freed.Broadcast()
}

// hold counts n more bytes of a link before they are in memory. While its owner holds too
// much, the heaviest links are closed, and hold waits until they are gone. The error says
// that this one is among them.
func (b *budget) hold(lk *link, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.part(lk)
	if !held.closed {
		held.bytes += n
		b.countLocked(b.owners[held.owner], n, 0)
	}
	for !held.closed {
		closed := b.shrinkLocked(held.owner)
		switch {
		case len(closed) > 0:
			b.mu.Unlock()
			for _, other := range closed {
				b.over(other)
				other.conn.Close() // its session ends by that; an error says that it has
			}
			b.mu.Lock()
		case b.roomLocked(held.owner, 0):
			return nil
		default:
			b.freed.Wait()
		}
	}
	return errHeld
}

func (o *owned) total() int64 { return o.bytes + o.ending }

// mayHold is hold, but where there is no room it counts nothing and closes nothing.
func (b *budget) mayHold(lk *link, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.part(lk)
	if held.closed || !b.roomLocked(held.owner, n) {
		return false
	}
	held.bytes += n
	b.countLocked(b.owners[held.owner], n, 0)
	return true
}

// begin counts a request that is handled, of so many that may be at a time. It reports
// false if the owner has its share: a quarter for a peer, half for strangers.
func (b *budget) begin(lk *link, most int) bool {
	share := most / 4
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.part(lk)
	if held.owner == "" {
		share = most / 2
	}
	if held.closed || b.owners[held.owner].requests >= share {
		return false
	}
	held.requests++
	b.owners[held.owner].requests++
	return true
}

// end takes back a request.
func (b *budget) end(lk *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if held := b.part(lk); !held.closed {
		held.requests--
		b.owners[held.owner].requests--
	}
}

// release takes back what was held.
func (b *budget) release(lk *link, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.part(lk)
	if held.gone {
		return
	}
	held.bytes -= n
	if o := b.owners[held.owner]; held.closed {
		b.countLocked(o, 0, -n)
	} else {
		b.countLocked(o, -n, 0)
	}
	b.freed.Broadcast()
}

// shrinkLocked takes links off that are to be closed, until the owner and all owners are
// within their limits.
func (b *budget) shrinkLocked(name string) (closed []*link) {
	if name == "" && b.owners[name].bytes > strangerMemory {
		b.reclaimLocked()
	}
	for o := b.owners[name]; o != nil && o.bytes > b.limitOf(name); {
		closed = append(closed, b.closeLocked(o))
	}
	for b.open > linksMemory {
		closed = append(closed, b.closeLocked(mostOf(b.owners, func(o *owned) int64 { return o.bytes })[0]))
	}
	return closed
}

// closeLocked takes off the heaviest link of the heaviest host of an owner.
func (b *budget) closeLocked(o *owned) *link {
	heavy := mostOf(byHost(o.links), func(links []*link) (sum int64) {
		for _, lk := range links {
			sum += b.part(lk).bytes
		}
		return sum
	})[0]
	lk := slices.MaxFunc(heavy, func(x, y *link) int { return cmp.Compare(b.part(x).bytes, b.part(y).bytes) })
	b.removeLocked(lk)
	return lk
}

// reclaimLocked gives peers their links that came before they were known as members.
func (b *budget) reclaimLocked() {
	for lk := range b.owners[""].links {
		if name := b.owner(lk); name != "" {
			held := *b.part(lk)
			b.removeLocked(lk)
			b.endedLocked(held) // though it goes on
			b.addLocked(lk, name, held.entered)
			b.part(lk).bytes, b.part(lk).requests = held.bytes, held.requests
			b.countLocked(b.owners[name], held.bytes, 0)
			b.owners[name].requests += held.requests
		}
	}
}

// add counts what a link holds from now on, however many there are.
func (b *budget) add(lk *link) {
	name := b.owner(lk)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addLocked(lk, name, false)
}

func (b *budget) addLocked(lk *link, name string, entered bool) {
	if b.owners[name] == nil {
		b.owners[name] = &owned{links: map[*link]struct{}{}}
	}
	*b.part(lk) = holding{owner: name, entered: entered}
	b.owners[name].links[lk] = struct{}{}
	if entered {
		b.links++
	}
}

// removeLocked takes a link off that ends. What it holds is its owner's until it is gone.
func (b *budget) removeLocked(lk *link) {
	held := b.part(lk)
	if held.closed {
		return
	}
	o := b.owners[held.owner]
	b.countLocked(o, -held.bytes, held.bytes)
	o.closed++
	o.requests -= held.requests
	delete(o.links, lk)
	if held.entered {
		b.links--
	}
	held.closed = true
	b.freed.Broadcast() // it may wait itself
}

// endedLocked gives back what a link has held that was taken off.
func (b *budget) endedLocked(held holding) {
	o := b.owners[held.owner]
	b.countLocked(o, 0, -held.bytes)
	if o.closed--; o.closed == 0 && len(o.links) == 0 {
		delete(b.owners, held.owner)
	}
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
