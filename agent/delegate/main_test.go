package delegate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

const version = 7

// cluster is nodes that ask each other over links that take a millisecond each way.
type cluster struct {
	nodes map[string]*node
	names []string
}

// node answers every question with what is true of it.
type node struct {
	*Delegates
	cluster *cluster
	name    string
	truth   func() string

	deaf    bool // requests do not get through
	refuses bool // it knows no requests to ask others
	// lie changes what the node passes on as a delegate.
	lie func(names []string, answers []*Answer)
	// handle answers requests to ask others in place of all that, if it is set.
	handle func(ctx context.Context, raw []byte) ([]byte, error)

	mu      sync.Mutex
	asked   int // questions to it
	passed  int // requests to ask others
	results []string
}

func newCluster(n int) *cluster {
	c := &cluster{nodes: map[string]*node{}}
	for i := range n {
		c.add(fmt.Sprintf("gateway-%05d", i))
	}
	return c
}

func (c *cluster) add(name string) *node {
	n := &node{cluster: c, name: name, truth: func() string { return "final " + name }}
	n.Delegates = New(Config{
		Self: name, Version: version,
		Here:   func(context.Context, []byte) (Answer, error) { return Answer{Shared: []byte(n.truth())}, nil },
		Others: func() Others { return n },
		Handled: func(result string) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.results = append(n.results, result)
		},
	})
	c.nodes[name] = n
	c.names = append(c.names, name)
	return n
}

var errUnknown = errors.New("no such member")

// reach gets a request to a node.
func (n *node) reach(ctx context.Context, name string) (*node, error) {
	to := n.cluster.nodes[name]
	if to == nil {
		return nil, errUnknown
	}
	if to.deaf {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(time.Millisecond)
	return to, nil
}

func (n *node) Ask(ctx context.Context, name string, question []byte) (Answer, error) {
	to, err := n.reach(ctx, name)
	if err != nil {
		return Answer{}, err
	}
	to.mu.Lock()
	to.asked++
	to.mu.Unlock()
	a := Answer{Shared: []byte(to.truth())}
	time.Sleep(time.Millisecond)
	return a, ctx.Err()
}

func (n *node) Pass(ctx context.Context, name string, raw []byte) ([]byte, error) {
	to, err := n.reach(ctx, name)
	if err != nil {
		return nil, err
	}
	defer time.Sleep(time.Millisecond)
	to.mu.Lock()
	to.passed++
	to.mu.Unlock()
	switch {
	case to.refuses:
		return nil, errUnknown
	case to.handle != nil:
		return to.handle(ctx, raw)
	}
	reply, err := to.Handle(ctx, n.name, raw)
	if err == nil && to.lie != nil {
		r, err := decodeRequest(raw)
		if err != nil {
			return nil, err
		}
		answers, err := decodeReply(version, reply, len(r.names))
		if err != nil {
			return nil, err
		}
		to.lie(r.names, answers)
		reply = encodeReply(version, answers)
	}
	return reply, err
}

// inquiry asks all other nodes from one, until all have a final answer or time is over.
// It returns those answers, and when the last one came.
func (n *node) inquiry(within time.Duration) (said map[string]string, took time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	began := time.Now()
	said = map[string]string{}
	var mu sync.Mutex
	final := func(a Answer) bool { return bytes.HasPrefix(a.Shared, []byte("final")) }
	note := func(name string, a Answer) {
		mu.Lock()
		defer mu.Unlock()
		if final(a) {
			said[name], took = string(a.Shared), time.Since(began)
		}
	}
	q := n.Inquire([]byte("question"), final, note)
	defer q.Wait()
	defer cancel()
	others := slices.DeleteFunc(slices.Clone(n.cluster.names), func(name string) bool { return name == n.name })
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		mu.Lock()
		names := slices.DeleteFunc(slices.Clone(others), func(name string) bool { return said[name] != "" })
		mu.Unlock()
		if len(names) == 0 || ctx.Err() != nil {
			return said, took
		}
		q.Round(ctx, Round{Names: names, Pool: others, Others: n, Ask: func(ctx context.Context, name string) func() bool {
			a, err := n.Ask(ctx, name, nil)
			return func() bool {
				if err == nil {
					note(name, a)
				}
				return err == nil && final(a)
			}
		}})
		select {
		case <-q.Idle():
			if !q.OneSided() {
				time.Sleep(pause)
			}
		case <-time.After(min(pause, Hedge/2)):
		}
	}
}

// want checks that all said is true, and that nobody but some is missing.
func (n *node) want(t *testing.T, said map[string]string, but ...string) {
	t.Helper()
	missing := 0
	for _, name := range n.cluster.names {
		switch {
		case name == n.name || slices.Contains(but, name):
		case said[name] == "":
			missing++
		case said[name] != "final "+name:
			t.Errorf("%s is believed to have said %q", name, said[name])
		}
	}
	if missing > 0 {
		t.Errorf("%d nodes have said nothing", missing)
	}
}

func bubble(t *testing.T, run func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, run)
}
