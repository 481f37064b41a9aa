package durable

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"agentctl/agent/link"
	"agentctl/scripts/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// node is a Durable over a journal and a disk in memory.
type node struct {
	*Durable
	name    string
	cluster *cluster

	mu      sync.Mutex
	journal map[string]bool
	file    map[string]bool // what the journal had when the last sync began
	took    time.Duration   // by a sync
	broken  error           // of a sync
	failing string          // it is known to fail
	begun   int             // syncs
	over    chan struct{}   // closed when the sync under way ends; nil if there is none

	cut       bool // requests do not get through
	old       bool // it knows no such requests
	former    bool // it knows no delegates
	requests  int
	delegated int // of the requests

	sent int  // requests of this node
	lies bool // says that all others have all events
	lied int
}

// cluster is nodes that ask each other.
type cluster struct {
	nodes  map[string]*node
	stock  []string
	oneWay time.Duration // of links
}

// newCluster makes nodes; those whose name ends with ! have no data directory.
func newCluster(names ...string) *cluster {
	c := &cluster{nodes: map[string]*node{}}
	for _, name := range names {
		n := &node{name: name, cluster: c, journal: map[string]bool{}, file: map[string]bool{}, took: time.Millisecond}
		cfg := Config{Self: name, Had: n.had, Sync: n.sync, Failing: func() string { return n.failing }, Members: n.members, Alive: n.alive}
		cfg.Ask = func(ctx context.Context, to string, req []byte) ([]byte, error) {
			n.mu.Lock()
			n.sent++
			lies := n.lies
			if lies {
				n.lied++
			}
			n.mu.Unlock()
			if ids, err := decodeRequest(req); lies && err == nil {
				return encodeReply(reply{synced: slices.Repeat([]bool{true}, len(ids))}), nil
			}
			return c.ask(ctx, name, to, req)
		}
		if name[len(name)-1] == '!' {
			cfg.Sync = nil
		}
		n.Durable = New(cfg)
		c.nodes[name] = n
	}
	return c
}

func (n *node) members() (all []Member) {
	for name := range n.cluster.nodes {
		if name != n.name {
			all = append(all, Member{Name: name, Peer: true})
		}
	}
	for _, name := range n.cluster.stock {
		all = append(all, Member{Name: name})
	}
	return all
}

func (n *node) alive() (names []string) {
	for _, m := range n.members() {
		names = append(names, m.Name)
	}
	return names
}

// errFormer is the answer of an agent that knows no delegates.
var errFormer = errors.New(`link: the peer failed: durable: a message that begins with "\x02", and version 1 is spoken here`)

var errLink = errors.New("the link broke")

func (c *cluster) ask(ctx context.Context, from, name string, req []byte) ([]byte, error) {
	n := c.nodes[name]
	time.Sleep(c.oneWay)
	defer time.Sleep(c.oneWay)
	n.mu.Lock()
	n.requests++
	cut, old, former := n.cut, n.old, n.former
	if req[0] == delegatedVersion {
		n.delegated++
	}
	n.mu.Unlock()
	switch {
	case old:
		return nil, link.ErrUnknownKind
	case former && req[0] != version:
		return nil, errFormer
	case cut:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return n.Handle(ctx, from, req)
}

// take is an event that comes to the journal.
func (n *node) take(id string) {
	n.mu.Lock()
	n.journal[id] = true
	n.mu.Unlock()
	n.Took(id)
}

func (n *node) had(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.journal[id]
}

// onDisk tells whether an event would be there after a crash now.
func (n *node) onDisk(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.file[id]
}

// sync waits for a commit that begins after the call. Calls that wait share one.
func (n *node) sync(ctx context.Context) error {
	for own := false; ; {
		n.mu.Lock()
		if n.broken != nil {
			defer n.mu.Unlock()
			return n.broken
		}
		if n.over == nil {
			own, n.over = true, make(chan struct{})
			n.begun++
			go n.commit(n.over)
		}
		over := n.over
		n.mu.Unlock()
		select {
		case <-over:
		case <-ctx.Done():
			return ctx.Err()
		}
		if own {
			return nil
		}
		n.mu.Lock()
		next := n.over == nil
		n.mu.Unlock()
		own = !next // somebody else has begun the next one, which is after the call, too
	}
}

func (n *node) commit(over chan struct{}) {
	n.mu.Lock()
	ids := make([]string, 0, len(n.journal))
	for id := range n.journal {
		ids = append(ids, id)
	}
	took := n.took
	n.mu.Unlock()
	time.Sleep(took)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range ids {
		n.file[id] = true
	}
	n.over = nil
	close(over)
}

// publish publishes an event that the journal of each node gets after its delay; never,
// where there is none.
func (c *cluster) publish(from, id string, n int, within time.Duration, delays map[string]time.Duration) (Report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return c.nodes[from].Publish(ctx, n, func(context.Context) (string, error) {
		for name, delay := range delays {
			time.AfterFunc(delay, func() { c.nodes[name].take(id) })
		}
		return id, nil
	})
}

// everywhere is a delay at all nodes.
func (c *cluster) everywhere(delay time.Duration) map[string]time.Duration {
	all := map[string]time.Duration{}
	for name := range c.nodes {
		all[name] = delay
	}
	return all
}

// have checks who has an event, and that it is on their disks at this moment.
func (c *cluster) have(t *testing.T, id string, r Report, want ...string) {
	t.Helper()
	if !slices.Equal(r.Have, want) {
		t.Errorf("%s is at %v, want %v; missing %v", id, r.Have, want, r.Missing)
	}
	for _, name := range r.Have {
		if !c.nodes[name].onDisk(id) {
			t.Errorf("%s counts, and has not got %s on its disk", name, id)
		}
	}
}
