package repair

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"pgregory.net/rapid"

	"agentctl/handler"
	"agentctl/handler/journal"
)

// modelNode is an agent: a journal, a repair, and what a crash leaves of them.
type modelNode struct {
	c    *modelCluster
	name string
	half int // of a partition
	up   bool

	limit   int // of the journal's history
	mem     *journal.Journal
	rep     *Repair
	born    time.Time
	log     []handler.Event // all that was appended
	gaps    []time.Time
	clock   uint64
	trimmed bool

	liar bool   // see lies
	lie  string // which of them it tells

	forgetful bool // its next journal knows nothing of what was trimmed

	kept struct { // on the disk
		log, gaps     int
		state, record []byte
	}
}

// modelCluster is some nodes and the network between them. All of it runs on
// one goroutine, so that a failure can be repeated and made smaller.
type modelCluster struct {
	t         *rapid.T        // of the model test
	ctx       context.Context // ends with the bubble
	nodes     []*modelNode
	published map[string]time.Time
	starts    uint64
	asks      int // since the last fault was planned
	fault     int // the ask at which it comes; 0 for none
	meanwhile func(asked *modelNode)
	bytes     int
	near      int                         // so many of those behind a node are its near peers
	asked     func(peer string, size int) // nil for nobody to tell
}

func newCluster(ctx context.Context) *modelCluster {
	return &modelCluster{ctx: ctx, published: map[string]time.Time{}}
}

// add starts one more node, whose journal retains up to limit events.
func (c *modelCluster) add(limit int) *modelNode {
	n := &modelNode{c: c, name: fmt.Sprint("n", len(c.nodes)), limit: limit}
	c.nodes = append(c.nodes, n)
	n.start()
	return n
}

func (n *modelNode) start() {
	if len(n.log) == 0 && n.kept.state == nil {
		n.born = time.Now()
	}
	n.up, n.clock = true, 1
	for _, p := range n.c.nodes { // serf is told with the join
		if p.up && p.half == n.half {
			n.clock = max(n.clock, p.clock)
		}
	}
	n.c.starts++
	n.mem = journal.New(journal.Config{MaxEvents: n.limit})
	for _, e := range n.log {
		n.keep(e)
	}
	store := Store(n.mem)
	if n.forgetful {
		store = &forgetfulStore{n.mem}
	}
	rep, err := New(n.c.ctx, Config{
		Store: store,
		Peers: func() (names []string) {
			for _, p := range n.c.nodes {
				if p != n && p.up && p.half == n.half {
					names = append(names, p.name)
				}
			}
			return names
		},
		Near: func() (names []string) {
			at := slices.Index(n.c.nodes, n)
			for i := range min(n.c.near, len(n.c.nodes)-1) {
				names = append(names, n.c.nodes[(at+1+i)%len(n.c.nodes)].name)
			}
			return names
		},
		Ask: n.ask,
		Take: func(_ context.Context, events []handler.Event) error {
			for _, e := range events {
				n.take(e)
			}
			return nil
		},
		Gap: func(string) error {
			n.gaps = append(n.gaps, time.Now())
			return nil
		},
		Clock: func() uint64 { return n.clock },
		State: n.kept.state,
		Save: func(_ context.Context, state []byte) error {
			n.commit()
			n.kept.state = state
			return nil
		},
		Record: n.kept.record,
		SaveRecord: func(_ context.Context, record []byte) error {
			n.commit()
			n.kept.record = record
			return nil
		},
		spawn: func(compare func()) { compare() },
		rand:  rand.New(rand.NewPCG(n.c.starts, 0)),
	})
	if err != nil {
		n.c.fail("%s: %v", n.name, err)
	}
	n.rep = rep
	rep.begin()
}

// forgetfulStore is a journal that an earlier process had: what that let go of
// is not known, but that there was something.
type forgetfulStore struct{ *journal.Journal }

func (s *forgetfulStore) Had(id string) bool {
	_, held := s.Find(id)
	return held
}

func (s *forgetfulStore) Extent() (journal.Extent, error) {
	x, err := s.Journal.Extent()
	x.Floor = 0
	return x, err
}

func (n *modelNode) keep(e handler.Event) {
	n.clock = max(n.clock, e.LTime+1)
	if err := n.mem.Append(e); err != nil {
		n.c.fail("%s: %v", n.name, err)
	}
	x, _ := n.mem.Extent()
	n.trimmed = n.trimmed || x.Trimmed > 0
}

// take is the intake: an event that the journal does not hold is appended.
func (n *modelNode) take(e handler.Event) {
	if _, held := n.mem.Find(e.ID); held {
		return
	}
	e.Time = time.Now()
	n.log = append(n.log, e)
	n.keep(e)
}

func (n *modelNode) commit() { n.kept.log, n.kept.gaps = len(n.log), len(n.gaps) }

func (n *modelNode) crash(lost bool) {
	n.up = false
	if lost {
		n.log, n.gaps, n.kept.state = nil, nil, nil
	} else {
		n.log, n.gaps = n.log[:n.kept.log], n.gaps[:n.kept.gaps]
	}
	n.commit()
}

var errUnreachable = errors.New("unreachable")

func (n *modelNode) ask(ctx context.Context, peer string, req []byte) ([]byte, error) {
	p := n.c.node(peer)
	n.c.asks++
	if n.c.asks == n.c.fault {
		if n.c.meanwhile == nil {
			return nil, errUnreachable
		}
		n.c.meanwhile(p)
	}
	if !p.up || !n.up || p.half != n.half {
		return nil, errUnreachable
	}
	resp, err := p.rep.Handle(ctx, n.name, req)
	if err == nil && p.liar {
		resp = p.lied(ctx, req, resp)
	}
	n.c.bytes += len(req) + len(resp)
	if n.c.asked != nil {
		n.c.asked(peer, len(req)+len(resp))
	}
	return resp, err
}

func (c *modelCluster) node(name string) *modelNode {
	return c.nodes[slices.IndexFunc(c.nodes, func(n *modelNode) bool { return n.name == name })]
}

// GoString is how rapid prints it.
func (n *modelNode) GoString() string { return n.name }

// settle lets all nodes meet until nothing changes any more.
func (c *modelCluster) settle() {
	for _, n := range c.nodes {
		n.half = 0
		if !n.up {
			n.start()
		}
	}
	least, most := 0, 100 // passes
	if len(c.honest()) < len(c.nodes) {
		// Liars go on lying, and a flush for their sake may have to wait.
		least, most = 70, 300
	}
	turns := 2 * len(c.nodes)
	if c.near > 0 { // the others have their turns more seldom
		turns, least, most = farEvery*turns, 2*least, farEvery*most
	}
	for quiet, passes := 0, 0; quiet < turns || passes < least; passes++ {
		if passes > most {
			c.fail("the nodes never agree")
		}
		time.Sleep(20 * time.Second)
		before := c.counts()
		for _, n := range c.nodes {
			n.rep.round(c.ctx)
		}
		waits := slices.ContainsFunc(c.honest(), func(n *modelNode) bool { return len(c.honest()) == len(c.nodes) && n.rep.state.pending != "" })
		if quiet++; waits || c.counts() != before {
			quiet = 0
		}
	}
}

// counts is what grows until the nodes agree. Liars can have nodes flushed for ever.
func (c *modelCluster) counts() (n int) {
	honest := c.honest()
	for _, node := range honest {
		n += len(node.log)
		if len(honest) == len(c.nodes) {
			n += len(node.gaps)
		}
	}
	return n
}

// check: each event that a node had, and did not lose in a crash, came to all
// that were born before it was published, or they have been flushed since.
func (c *modelCluster) check() {
	honest := c.honest()
	trimmed := len(honest) < len(c.nodes) // or said to be
	for _, n := range honest {
		trimmed = trimmed || n.trimmed
		for _, other := range honest {
			for _, e := range other.log {
				at := c.published[e.ID]
				missed := n.born.Before(at) && !slices.ContainsFunc(n.log, func(l handler.Event) bool { return l.ID == e.ID })
				if missed && !slices.ContainsFunc(n.gaps, func(gap time.Time) bool { return !gap.Before(at) }) {
					c.fail("%s lacks event %s of %s, which %s had", n.name, e.ID, at.Format(time.TimeOnly), other.name)
				}
			}
		}
	}
	for _, n := range c.nodes {
		if !trimmed && len(n.gaps) > 0 {
			c.fail("%s is flushed, and no node ever let go of an event", n.name)
		}
	}
}

// quiet: nodes that agree say so with one short question and answer.
func (c *modelCluster) quiet() {
	for _, n := range c.nodes {
		c.asks, c.bytes = 0, 0
		n.rep.round(c.ctx)
		most := min(2, len(c.nodes)-1)
		least := most
		if c.near > 0 {
			least, most = 0, 1
		}
		if c.asks < least || c.asks > most || c.bytes > 160*most {
			c.fail("%s asked %d times and used %d bytes, and nothing was new", n.name, c.asks, c.bytes)
		}
	}
}

// failure is what a try found to be wrong.
type failure string

func (c *modelCluster) fail(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }
