package broadcast

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"agentctl/agent/link"
	"agentctl/agent/logs"
	"agentctl/agent/plumtree"
)

const (
	// Feature is what an agent says of itself on a link that takes part in trees.
	Feature = "tree"
	// treeByte begins a message of a tree on a link. Serf's messages and the frames of
	// large events begin otherwise.
	treeByte = 0xA2
	// switchTime is how long at most the first event along the trees waits for those that
	// went over links to all, so that it does not overtake them.
	switchTime = 5 * time.Second
	// stuckLong is for how long a neighbour acknowledges nothing that is none any more.
	stuckLong = plumtree.StuckAfter + 2*time.Second
	// brokenEvery is how often, at first, a neighbour that breaks the protocol is logged.
	brokenEvery = time.Second
)

// Overhead is how many bytes a message of a tree has at most beyond its event.
const Overhead = 512

var treeHead = []byte{treeByte}

// tree is this node's part in the trees: a [plumtree.Tree] with links, a clock and a lock.
type tree struct {
	cfg     *Config
	began   time.Time
	sampled logs.Sampled
	changed chan struct{} // holds a value when neighbours are to be chosen anew
	grew    chan struct{} // likewise, since more agents are known
	due     *time.Timer   // when core has something to do
	taking  chan struct{} // holds a value when takeDue is to see to what was delivered
	serving atomic.Pointer[served]
	border  map[string]bool // whether members whose round trip is about Near count as near
	asleep  atomic.Bool     // no event goes along trees, and none did lately

	mu       sync.Mutex
	core     *plumtree.Tree
	chosen   map[string]plumtree.Neighbour // whose links are kept
	up       map[string]plumtree.Link      // neighbours that core has
	at       [plumtree.MaxLinks]neighbour
	large    bool // the cluster is too large for links to all
	treeOnly bool // all members alive take part in trees
	since    time.Time
	carries  bool // events of this node go along the trees
	last     time.Time
	alarm    time.Duration              // when Run wakes
	pending  []Message                  // delivered, and not taken yet
	waiting  map[plumtree.ID][]*receipt // of events that came, wait for their order, and are not taken
	gossip   [][]byte                   // to be passed on by gossip
	slow     []string                   // agents that acknowledged nothing when last looked
	stuck    map[string]bool            // those that do not for long
	fresh    news                       // what this node has found out lately
	lately   int                        // agents heard of since latelyFrom, from others or not
	few      bool                       // most members were not known to be agents when last looked
	to       []link.Peer                // memory of apply

	latelyFrom time.Duration

	turn chan struct{} // holds a value while somebody takes what is pending; taken before mu
}

// neighbour is one that core has.
type neighbour struct {
	peer  link.Peer
	heard time.Time
}

// Message is an event of another node as it went over links.
type Message struct {
	Bytes []byte
	ID    plumtree.ID
	// Held says that gossip does not carry the event for now: serf is not to pass it on.
	Held bool
}

func newTree(cfg *Config) *tree {
	now := time.Now()
	core, err := plumtree.New(plumtree.Config{Self: cfg.Self, Incarnation: uint64(now.UnixNano())})
	if err != nil {
		panic(err) // a name that serf does not take either
	}
	t := &tree{
		cfg: cfg, began: now, sampled: logs.Sampled{Logger: cfg.Logger},
		changed: make(chan struct{}, 1), grew: make(chan struct{}, 1), due: time.NewTimer(never), taking: make(chan struct{}, 1), turn: make(chan struct{}, 1),
		core: core, chosen: map[string]plumtree.Neighbour{}, up: map[string]plumtree.Link{}, alarm: never,
		waiting: map[plumtree.ID][]*receipt{},
	}
	t.asleep.Store(true)
	return t
}

// never is later than all times.
const never = time.Duration(1<<63 - 1)

func (t *tree) now() time.Duration { return time.Since(t.began) }

// raise puts a value into a channel that has none.
func raise(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run does what is due, and chooses neighbours, until ctx ends.
func (t *tree) Run(ctx context.Context) {
	look := time.NewTicker(plumtree.StuckLook)
	look.Stop()
	defer t.due.Stop()
	defer look.Stop()
	settle := time.NewTimer(never) // after members have changed
	defer settle.Stop()
	looking, soon := false, false
	var grown time.Time // by when neighbours are chosen, while more agents become known
	raise(t.changed)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.due.C:
			t.mu.Lock()
			t.alarm = never
			t.applyAlone(t.core.Due(t.now()))
			t.mu.Unlock()
			continue
		case <-t.changed:
			if !soon { // many changes must not put it off
				soon = true
				settle.Reset(reviseWait)
			}
			continue
		case <-t.grew:
			switch now := time.Now(); {
			case soon:
			case !t.growing():
				soon = true
				settle.Reset(reviseWait)
			case grown.IsZero():
				grown = now.Add(growLimit)
				settle.Reset(growWait)
			default:
				settle.Reset(min(growWait, grown.Sub(now)))
			}
			continue
		case <-settle.C:
			soon, grown = false, time.Time{}
			settle.Reset(t.revise())
		case <-look.C:
			t.lookForStuck()
		}
		t.mu.Lock()
		if busy := len(t.up)+len(t.chosen) > 0; busy != looking {
			if looking = busy; busy {
				look.Reset(plumtree.StuckLook)
			} else {
				look.Stop()
			}
		}
		t.mu.Unlock()
	}
}

// takeDue takes what no neighbour's message has brought: events that have waited long enough
// for those before them. It may wait for the intake, and Run must not.
func (t *tree) takeDue(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.taking:
			t.take()
		}
	}
}

// applyAlone is apply for a caller that does not take what is delivered. t.mu is held.
func (t *tree) applyAlone(a plumtree.Actions) {
	t.apply(a)
	if len(t.pending)+len(t.gossip) > 0 {
		raise(t.taking)
	}
}

// apply does what core has to do. What it delivers is taken by the next take. t.mu is
// held.
func (t *tree) apply(a plumtree.Actions) {
	for i := 0; i < len(a.Sends); {
		msg := a.Sends[i].Message
		t.to = t.to[:0]
		for ; i < len(a.Sends) && same(a.Sends[i].Message, msg); i++ {
			t.to = append(t.to, t.at[a.Sends[i].To].peer)
		}
		send := t.cfg.Links.Tell
		if plumtree.IsEvent(msg) {
			send = t.cfg.Links.Send
		}
		if err := send(t.to, treeHead, msg); err != nil {
			t.cfg.Logger.Debug("a message to neighbours was not sent", "error", err)
		}
	}
	for i := range a.Events {
		e := &a.Events[i]
		t.pending = append(t.pending, Message{Bytes: e.Payload, ID: e.ID, Held: e.Held})
	}
	for i := range a.Gossip {
		t.gossip = append(t.gossip, a.Gossip[i].Payload)
	}
	t.alarmLocked()
}

// alarmLocked has Run wake when core has something to do. It may wake sooner, if
// that is no longer so. t.mu is held.
func (t *tree) alarmLocked() {
	if at, none := t.core.Next(); !none && at < t.alarm {
		t.alarm = at
		t.due.Reset(max(0, at-t.now()))
	}
}

// same tells whether two messages are the same bytes in memory.
func same(a, b []byte) bool { return len(a) == len(b) && &a[0] == &b[0] }

// receive takes messages of a neighbour. When it returns, their events are taken, and copies
// of events as well, but for those that wait for their order: of these it tells r.
func (t *tree) receive(from link.Peer, msgs [][]byte, r *receipt) {
	events := slices.ContainsFunc(msgs, plumtree.IsEvent)
	r.events = r.events || events
	t.mu.Lock()
	l, ok := t.linkOf(from)
	if !ok {
		t.mu.Unlock()
		t.cfg.Logger.Debug("messages of a node that can be no neighbour", "node", from.Name, "messages", len(msgs))
		return
	}
	t.at[l].heard = time.Now()
	a, err := t.core.Receive(t.now(), l, msgs...)
	t.apply(a)
	t.waitLocked(r, a.Waits)
	events = events || len(a.Events)+len(a.Gossip) > 0
	if err != nil {
		t.removeLocked(from.Name)
	}
	t.mu.Unlock()
	if err != nil {
		t.sampled.Log(slog.LevelWarn, "a neighbour breaks the protocol of trees", brokenEvery, "peer", from.Name, "error", err)
	}
	if events {
		t.take() // also for a copy of one that somebody else is just taking
	}
}

// take has what was delivered taken in. One caller at a time does, so events keep their
// order; the others wait for it. While the intake is full, nothing else does: events go on
// to neighbours meanwhile.
func (t *tree) take() {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	t.mu.Lock()
	batch, gossip := t.pending, t.gossip
	t.pending, t.gossip = nil, nil
	waited := t.waitedLocked(batch)
	t.mu.Unlock()
	events := batch[:0]
	for _, m := range batch {
		if n, ok := readNews(m.Bytes); ok {
			t.cfg.Peers.Told(n.agents)
			t.cfg.Peers.Denied(n.others)
			raise(t.changed)
		} else {
			events = append(events, m)
		}
	}
	if len(events) > 0 {
		t.cfg.Take(events)
	}
	if len(waited) > 0 {
		t.takenIn(waited...)
	}
	gossip = slices.DeleteFunc(gossip, func(b []byte) bool { _, ok := readNews(b); return ok })
	if len(gossip) > 0 {
		t.cfg.Gossip(gossip)
	}
}

// publish sends an event of this node. held says that gossip does not carry it for now.
func (t *tree) publish(payload []byte) (held bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, err := t.core.Publish(t.now(), payload)
	t.applyAlone(a)
	return a.Held, err
}

// gossiped is told of an event that came by gossip, too.
func (t *tree) gossiped(id plumtree.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.core.Gossiped(id)
}

// carry tells whether the next event of this node goes along the trees. It changes over
// between links to all and trees only if no event of the one can overtake one of the other.
func (t *tree) carry() bool {
	if t.asleep.Load() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	quiet := now.Sub(t.last)
	t.last = now
	switch {
	case t.large && !t.carries:
		t.carries = t.cfg.Links.Waiting() == 0 || now.Sub(t.since) >= switchTime
	case !t.large && t.carries:
		t.carries = quiet < plumtree.OrderWait
		t.asleep.Store(!t.carries)
	}
	return t.carries
}

// lookForStuck tells core which neighbours acknowledge nothing. One that does not for long is
// none until it does: it may have died, or pass nothing on.
func (t *tree) lookForStuck() {
	stuck := t.cfg.Links.Stuck(plumtree.StuckAfter)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(stuck)+len(t.slow)+len(t.stuck) > 0 { // mostly there are none
		for name, l := range t.up {
			t.core.SetStuck(l, slices.Contains(stuck, name))
		}
		t.slow = stuck
		t.stuck = map[string]bool{}
		for _, name := range t.cfg.Links.Stuck(stuckLong) {
			t.stuck[name] = true
			t.removeLocked(name)
		}
	}
	for name, n := range t.chosen {
		if _, up := t.up[name]; up || slices.Contains(stuck, name) || !t.cfg.Links.Open(name) {
			continue
		}
		if peer, ok := t.cfg.Peers.Member(name); ok {
			t.addLocked(n, peer)
		}
	}
}
