package plumtree

import (
	"slices"
	"time"

	"agentctl/handler/queue"
)

const (
	// Recent is how old an event is when a node forgets it. Announced is how old it is
	// at most when a new neighbour is told of it. The age is the time at nodes, each a
	// quarter of a second less at most, without that on links. No event is sent that is
	// over 20 seconds old. So no copy comes to a node that has forgotten the event, unless
	// links and rounding take 10 seconds.
	Recent    = 30 * time.Second
	Announced = 10 * time.Second
	// maxRecent is how many events a node remembers, and maxRecentBytes how many
	// bytes of them it keeps for neighbours that ask. If they are more, it lets the
	// oldest go.
	maxRecent      = 8192
	maxRecentBytes = 4 << 20
)

// entry is an event that came to this node.
type entry struct {
	id        ID
	publisher *publisher
	seq, inc  uint64
	payload   []byte // until it is delivered
	size      int    // of the payload
	waits     bool   // it waits for those before it
	msg       []byte // the event as it is passed on; nil if the node has let go of it
	landing   uint64
	said      links // that have it, by their own word
	sent      links // that it was sent to
	asked     links // that it was asked of, and that did not send it
	from      Link  // that it came by first
	arrived   time.Duration
	began     time.Duration // when it was published, as far as is known
	told      links         // that got a digest of it
	passed    time.Duration // when a message with it or its ID was sent last
	held      bool          // its gossip is held back, see hold.go
	own       bool          // it was published here
	direct    bool          // its publisher sends it to all
}

// have are the neighbours that have it, or will by a message that was sent to them.
func (e *entry) have() links { return e.said | e.sent }

// age is how old an event is, in units of ageUnit.
func (e *entry) age(now time.Duration) uint64 { return uint64((now - e.began) / ageUnit) }

// aged is a message of an event with another age than 0.
func aged(msg []byte, age uint64) []byte {
	msg = slices.Clone(msg)
	msg[2] = byte(age)
	return msg
}

// recent are the events that came lately, in the order in which they came.
type recent struct {
	byID  map[ID]*entry
	order queue.Ring[*entry]
	kept  int // of order, those at the front that have no msg any more
	told  int // of order, those at the front of which all neighbours know
	held  int // of order, those at the front whose gossip is held back no longer, or only for lost links
	bytes int
}

func (r *recent) init()            { r.byID = map[ID]*entry{} }
func (r *recent) len() int         { return r.order.Len() }
func (r *recent) get(id ID) *entry { return r.byID[id] }

// add remembers an event. What has to go for it is passed on by gossip if it is held.
func (r *recent) add(t *Tree, e *entry, now time.Duration) {
	r.expire(t, now)
	if r.len() == maxRecent {
		r.pop(t)
	}
	r.byID[e.id] = e
	r.order.PushBack(e)
	r.bytes += len(e.msg)
	for ; r.bytes > maxRecentBytes && r.kept < r.len()-1; r.kept++ {
		old := r.order.At(r.kept)
		if r.kept >= r.held {
			t.letGo(old)
		}
		r.bytes -= len(old.msg)
		old.msg, old.held = nil, false
	}
}

func (r *recent) pop(t *Tree) {
	e := r.order.PopFront()
	if r.held == 0 {
		t.letGo(e)
	}
	r.bytes -= len(e.msg)
	e.msg, e.held = nil, false
	r.kept = max(r.kept-1, 0)
	r.told = max(r.told-1, 0)
	r.held = max(r.held-1, 0)
	if r.byID[e.id] == e { // a liar may have sent what was published here afterwards
		delete(r.byID, e.id)
	}
}

func (r *recent) expire(t *Tree, now time.Duration) {
	for r.next() <= now {
		r.pop(t)
	}
}

// next is when the oldest event is forgotten.
func (r *recent) next() time.Duration {
	if r.len() == 0 {
		return forever
	}
	return r.order.At(0).arrived + Recent
}

// nextUntold is when the neighbours are to be told of the events that they were not told
// of.
func (r *recent) nextUntold() time.Duration {
	if r.told == r.len() {
		return forever
	}
	return r.order.At(r.told).arrived + announceWait
}

// tell calls do for these events.
func (r *recent) tell(do func(*entry)) {
	for ; r.told < r.len(); r.told++ {
		do(r.order.At(r.told))
	}
}

// last calls do for the last n events that a neighbour may ask for, from the oldest on.
func (r *recent) last(n int, do func(*entry)) {
	for i := max(r.kept, r.len()-n); i < r.len(); i++ {
		do(r.order.At(i))
	}
}

// forget takes a neighbour out of all sets: its number will be another's.
func (r *recent) forget(l Link) {
	for i := range r.len() {
		e := r.order.At(i)
		e.said &^= l.bit()
		e.sent &^= l.bit()
		e.asked &^= l.bit()
		e.told &^= l.bit()
		if e.from == l {
			e.from = noLink
		}
	}
}
