package plumtree

import "time"

// Serf passes each event on by gossip, some 15 packets a node. Where the tree carries it
// to all, that is waste. So each node holds its gossip back, until it has seen that the
// tree did its part around it. DESIGN.md tells why no event is lost by that.

const (
	// HoldTime is how long the gossip of an event is held back. Then it is dropped if each
	// neighbour has the event or was told of it, and else let go. A second of it is for the
	// digests, and the rest for their acknowledgement.
	HoldTime = announceWait + 3*time.Second
	// StuckAfter is how long a link has acknowledged nothing of what was sent when it counts
	// as stuck. An event that waits for those before it is not acknowledged meanwhile, nor
	// anything behind it. The rest is for the way and a busy machine.
	StuckAfter = OrderWait + time.Second
	// StuckLook is how often the caller looks which links are stuck, at least.
	StuckLook = 500 * time.Millisecond
	// acknowledged is how long ago a message was sent that has been acknowledged, unless
	// its link is stuck.
	acknowledged = StuckAfter + StuckLook
	// Watched is for how long the loss of a link still lets an event go, after the last
	// message about it. The neighbour may have died before it passed the event on, and that
	// may go unnoticed for 10 seconds and more.
	Watched = 20 * time.Second
)

// SetHold tells whether the gossip of events is held back. The caller says no while a
// member is alive that is no agent of the tree or is not yet known, and while this node has
// no link to a neighbour that it has chosen and that is alive. Then what is held is let go
// by the next Due.
func (t *Tree) SetHold(hold bool) { t.hold = hold }

// SetStuck tells whether a link has messages to acknowledge and has acknowledged none for
// [StuckAfter]. The caller looks each [StuckLook]. An event that was sent over a stuck link
// may not have come.
func (t *Tree) SetStuck(l Link, stuck bool) {
	if t.used.has(l) {
		t.stuck.set(l, stuck)
	}
}

// Gossiped tells that this node passes an event on by gossip, whatever this package said of
// it: the event came by gossip too. So it is not let go later.
func (t *Tree) Gossiped(id ID) {
	if e := t.recent.get(id); e != nil {
		e.held = false
	}
}

// holdBack tells whether the gossip of an event is held back, now that this node delivers
// or publishes it. A node without neighbours does not, nor one that has let go of the
// event's bytes.
func (t *Tree) holdBack(e *entry) bool {
	if !t.hold || t.used&^t.passive == 0 || e.msg == nil {
		return false
	}
	t.stats.Held++
	e.held = true
	return true
}

// letGo has an event passed on by gossip, if it is held.
func (t *Tree) letGo(e *entry) {
	if !e.held {
		return
	}
	e.held = false
	t.stats.LetGo++
	t.out.Gossip = append(t.out.Gossip, Event{
		Publisher: e.publisher.name, Incarnation: e.inc, Seq: e.seq, Payload: e.msg[len(e.msg)-e.size:], ID: e.id,
	})
}

// nextHeld is when the gossip of an event was held back for long enough.
func (t *Tree) nextHeld() time.Duration {
	r := &t.recent
	for ; r.held < r.len(); r.held++ {
		switch e := r.order.At(r.held); {
		case e.held && !t.hold:
			return e.arrived
		case e.held || e.waits:
			return e.arrived + HoldTime
		}
	}
	return forever
}

// holdDue decides on the events that were held back for long enough. If none is to be held
// any more, it lets all go.
func (t *Tree) holdDue(now time.Duration) {
	for r := &t.recent; t.nextHeld() <= now; r.held++ {
		if e := r.order.At(r.held); !t.hold || !t.carried(now, e) {
			t.letGo(e)
		}
	}
}

// carried tells whether the tree has brought an event to each neighbour, or will.
func (t *Tree) carried(now time.Duration, e *entry) bool {
	need := t.toTell(e)
	if e.own {
		need = t.used &^ t.passive
	}
	return now-e.passed >= acknowledged && need&^e.said&^((e.sent|e.told)&^t.stuck) == 0
}

// lost lets go what a lost neighbour was to pass on: it may have died before it did. A
// passive one was to pass on only what it was told of.
func (t *Tree) lost(now time.Duration, l Link) {
	for i := range t.recent.len() {
		e := t.recent.order.At(i)
		if now-max(e.arrived, e.passed) < Watched && (!t.passive.has(l) || (e.sent | e.told).has(l)) {
			t.letGo(e)
		}
	}
}
