package plumtree

import (
	"errors"
	"fmt"
	"time"
)

const (
	// MaxLinks is how many neighbours a node may have.
	MaxLinks = 32
	// MaxFull is up to how many agents all of them are each other's neighbours.
	MaxFull = 31
	// Near is the round trip below which a neighbour is near. Farther ones are in
	// another region.
	Near = 20 * time.Millisecond
)

// Send is a message to a neighbour. Its bytes must not be changed.
type Send struct {
	To      Link
	Message []byte
}

// Event is an event of a publisher.
type Event struct {
	Publisher   string
	Incarnation uint64
	Seq         uint64
	Payload     []byte
	// ID tells it from all other events.
	ID ID
	// Late says that a later event of the publisher was delivered before.
	Late bool
	// Held says that the event is given to this node's serf without being passed on by
	// gossip. See [Tree.SetHold].
	Held bool
}

// Actions are what a node has to do: it sends the messages in their order, and
// delivers the events in theirs. Last it passes on by gossip those that were held. They
// are valid until the node's next call.
type Actions struct {
	Sends  []Send
	Events []Event
	// Gossip are events that this node has delivered or published, and that its serf passes
	// on now. Those that came to it by gossip as well need no second time.
	Gossip []Event
	// Waits is for Receive: the events among its messages that wait for those before them,
	// copies of such events too. Each is in Events of this call or a later one, after
	// [OrderWait] at most.
	Waits []ID
	// Held is for Publish, and says the same as in [Event].
	Held bool
}

// Config is what a [Tree] is made of.
type Config struct {
	Self string // this node's name, of at most MaxName bytes
	// Incarnation tells the lives of this node apart. It must be higher than that of
	// any life before, such as the time of its start.
	Incarnation uint64
}

// Stats counts what happened since the start, and what is held now.
type Stats struct {
	Received   uint64 // events that came for the first time
	Duplicates uint64 // copies that came after them
	Pulls      uint64 // events that were asked for
	Missed     uint64 // events that no neighbour has sent although it was asked
	Ignored    uint64 // digests that were dropped, since their neighbour had announced too much
	Late       uint64 // events that were delivered late
	Held       uint64 // events whose gossip was held back
	LetGo      uint64 // of these, those that were passed on by gossip in the end
	Overflows  uint64 // times that events were delivered before their time, for lack of room

	Recent, RecentBytes int // events that a neighbour may ask for
	Wanted              int // events that neighbours have and this node lacks
	Waiting             int // events that wait for those before them
	Publishers          int
}

// Tree is one node's part of the broadcast. Times are those of any clock that does not
// go back. Its methods are not safe for concurrent use.
type Tree struct {
	cfg     Config
	landing uint64 // of the events that land here

	used, backbone, early, far, passive links
	neighbours                          [MaxLinks]neighbour
	stuck                               links // see SetStuck
	full                                bool
	hold                                bool   // see SetHold
	seq                                 uint64 // of the last event that was published here

	publishers publishers
	recent     recent
	wanted     wanted
	waiting    waiting

	in      message // memory of Receive
	out     Actions
	digests []announcement // for the end of the call
	stats   Stats
}

// neighbour is what is known of one.
type neighbour struct {
	Neighbour
	announced  int // events that are wanted and that it has announced
	unanswered int // pulls that it has not answered
}

// announcement is an event that all neighbours of a set are told of.
type announcement struct {
	to      links
	landing uint64
	id      ID
}

// New makes a node without neighbours.
func New(cfg Config) (*Tree, error) {
	if len(cfg.Self) == 0 || len(cfg.Self) > MaxName {
		return nil, fmt.Errorf("a node's name has 1 to %d bytes, and this one %d", MaxName, len(cfg.Self))
	}
	t := &Tree{cfg: cfg}
	// From 1 on, since 0 is for events that landed nowhere yet, and below stray.
	t.landing = 1 + uint64(idOf([]byte(cfg.Self)))%(maxLanding-1)
	t.publishers.init()
	t.recent.init()
	t.wanted.init()
	return t, nil
}

// Stats returns the counts.
func (t *Tree) Stats() Stats {
	s := t.stats
	s.Recent, s.RecentBytes = t.recent.len(), t.recent.bytes
	s.Wanted, s.Waiting, s.Publishers = t.wanted.len(), t.waiting.n, t.publishers.len()
	return s
}

// ErrFull says that a node has MaxLinks neighbours.
var ErrFull = fmt.Errorf("there are %d neighbours", MaxLinks)

// Add takes a neighbour, and tells it which events are not older than [Announced].
// It returns [ErrFull] if there are too many, and another error for a name that is
// there already.
func (t *Tree) Add(now time.Duration, n Neighbour) (Link, Actions, error) {
	t.begin()
	for s := t.used; s != 0; {
		if t.neighbours[s.first()].Name == n.Name {
			return noLink, Actions{}, fmt.Errorf("%s is a neighbour already", n.Name)
		}
	}
	free := ^t.used
	if free == 0 {
		return noLink, Actions{}, ErrFull
	}
	l := free.first()
	t.used |= l.bit()
	t.neighbours[l] = neighbour{Neighbour: n}
	t.update(l, n)
	t.introduce(now, l)
	return l, t.end(), nil
}

// Update takes what is known of a neighbour now. Its name stays. One that is passive no
// more is told of the events that it may lack.
func (t *Tree) Update(now time.Duration, l Link, n Neighbour) Actions {
	t.begin()
	if t.used.has(l) {
		was := t.passive.has(l)
		t.update(l, n)
		if was && !n.Passive {
			t.introduce(now, l)
		}
	}
	return t.end()
}

func (t *Tree) update(l Link, n Neighbour) {
	t.neighbours[l].RTT = n.RTT
	t.backbone.set(l, n.Backbone && !n.Passive)
	t.early.set(l, n.Early && !n.Passive)
	t.far.set(l, n.RTT >= Near)
	if n.Passive && !t.passive.has(l) {
		t.publishers.forget(l)
	}
	t.passive.set(l, n.Passive)
}

// introduce tells a neighbour of the events that are not older than [Announced].
func (t *Tree) introduce(now time.Duration, l Link) {
	t.recent.expire(t, now)
	t.recent.last(maxAnnounced, func(e *entry) {
		if now-e.began < Announced {
			t.tell(now, e, l.bit())
		}
	})
}

// Remove forgets a neighbour. What it was to bring comes from others.
func (t *Tree) Remove(now time.Duration, l Link) Actions {
	t.begin()
	if !t.used.has(l) {
		return t.end()
	}
	t.lost(now, l)
	for _, s := range []*links{&t.used, &t.backbone, &t.early, &t.far, &t.passive, &t.stuck} {
		s.set(l, false)
	}
	t.neighbours[l] = neighbour{}
	t.publishers.forget(l)
	t.recent.forget(l)
	t.wanted.forget(l, now)
	return t.end()
}

// SetFull tells whether every agent is a neighbour. Events that are published here then go
// to all neighbours, and none of them passes them on.
func (t *Tree) SetFull(full bool) { t.full = full }

// Publish sends an event to the other nodes. This node does not deliver it. The payload
// must not be changed afterwards, and has at most [MaxPayload] bytes.
func (t *Tree) Publish(now time.Duration, payload []byte) (Actions, error) {
	t.begin()
	if len(payload) > MaxPayload {
		return Actions{}, fmt.Errorf("an event has %d bytes where %d are allowed", len(payload), MaxPayload)
	}
	t.seq++
	msg := eventHead(make([]byte, 0, 32+len(t.cfg.Self)+len(payload)), t.full, 0, 0)
	head := len(msg)
	msg = appendBody(msg, t.cfg.Self, t.cfg.Incarnation, t.seq, payload)
	e := &entry{
		id: idOf(msg[head:]), inc: t.cfg.Incarnation, seq: t.seq, size: len(payload), msg: msg,
		from: noLink, arrived: now, passed: now, began: now, own: true, direct: t.full,
	}
	e.publisher = t.publisher(now, []byte(t.cfg.Self))
	t.recent.add(t, e, now)
	to := e.publisher.eager
	if t.full {
		to = t.used
	}
	t.pass(now, e, to)
	if !t.full {
		t.announce(now, e)
	}
	t.out.Held = t.holdBack(e)
	return t.end(), nil
}

// Receive takes messages of a neighbour, in the order in which it sent them. It keeps
// their bytes, which must not be changed. An error says that a message is none of this
// protocol: it and those behind it are not taken, and the link should be closed.
func (t *Tree) Receive(now time.Duration, from Link, messages ...[]byte) (Actions, error) {
	t.begin()
	if !t.used.has(from) {
		return Actions{}, errors.New("a message of no neighbour")
	}
	for _, b := range messages {
		if err := t.in.read(b); err != nil {
			return t.end(), err
		}
		switch t.in.kind {
		case kindEvent:
			t.event(now, from, b)
		case kindDigest:
			t.digest(now, from)
		case kindPull:
			t.known(func(e *entry) { e.publisher.graft(from) })
			t.serve(now, from)
		case kindFetch:
			t.serve(now, from)
		case kindGraft:
			t.known(func(e *entry) { e.publisher.graft(from) })
		case kindPrune:
			t.known(func(e *entry) { e.publisher.eager &^= from.bit() })
		}
	}
	return t.end(), nil
}

// Due does what is due. Call it at the time that [Tree.Next] tells.
func (t *Tree) Due(now time.Duration) Actions {
	t.begin()
	t.pullDue(now)
	t.releaseDue(now)
	t.announceDue(now)
	t.holdDue(now)
	t.recent.expire(t, now)
	return t.end()
}

// Next is when Due has something to do; never is true if there is no such time.
func (t *Tree) Next() (at time.Duration, never bool) {
	at = min(t.wanted.next(), t.waiting.next(), t.recent.nextUntold(), t.nextHeld(), t.recent.next())
	return at, at == forever
}

// forever is later than all times.
const forever = time.Duration(1<<63 - 1)

func (t *Tree) begin() {
	clear(t.out.Sends)
	clear(t.out.Events)
	clear(t.out.Gossip)
	t.out = Actions{Sends: t.out.Sends[:0], Events: t.out.Events[:0], Gossip: t.out.Gossip[:0], Waits: t.out.Waits[:0]}
	t.digests = t.digests[:0]
}

// end adds the digests.
func (t *Tree) end() Actions {
	if len(t.digests) > 0 {
		t.sendDigests()
	}
	return t.out
}

func (t *Tree) send(to Link, msg []byte) { t.out.Sends = append(t.out.Sends, Send{to, msg}) }

// known calls do for the events of a message that this node remembers.
func (t *Tree) known(do func(*entry)) {
	for _, id := range t.in.ids {
		if e := t.recent.get(id); e != nil {
			do(e)
		}
	}
}

// pass sends an event to the neighbours of a set that do not have it.
func (t *Tree) pass(now time.Duration, e *entry, to links) {
	if to &= t.used &^ e.have(); to == 0 {
		return
	}
	e.sent |= to
	e.passed = now
	msg := e.msg
	if age := e.age(now); age > 0 {
		msg = aged(msg, age)
	}
	for to != 0 {
		t.send(to.first(), msg)
	}
}

// serve sends a neighbour the events that it asks for. An event goes over a link once: if
// it is late on the link, a second copy behind it would be later.
func (t *Tree) serve(now time.Duration, to Link) {
	t.known(func(e *entry) {
		if e.msg != nil && e.age(now) <= maxAge {
			t.pass(now, e, to.bit())
		}
	})
}
