package gossip

import (
	"errors"
	"fmt"
	"log"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/memnet"
)

// clique is nodes in memory that have joined each other: n0 and so on. Those that are
// ours have a Node, and serf's own have none.
type clique struct {
	t      *testing.T
	net    *memnet.Network
	serfs  []*serf.Serf
	ours   []*Node
	events []chan serf.Event
	logger *log.Logger // of nodes that start from now on; nil: nobody's
}

// newClique makes a node for each letter of kinds: o for ours, s for serf's own.
func newClique(t *testing.T, kinds string) *clique {
	t.Helper()
	t.Cleanup(func() { time.Sleep(time.Minute) }) // runs last: probes and dials end by themselves
	c := &clique{t: t, net: memnet.New(memnet.Config{})}
	for i, kind := range kinds {
		c.add(kind)
		if i > 0 {
			c.join(i, 0)
		}
	}
	c.await("all to know all", func() bool { return c.all(serf.StatusAlive) })
	return c
}

func (c *clique) add(kind rune) {
	c.t.Helper()
	c.serfs, c.ours, c.events = append(c.serfs, nil), append(c.ours, nil), append(c.events, nil)
	c.start(len(c.serfs)-1, kind)
}

func (c *clique) start(i int, kind rune) {
	c.t.Helper()
	c.events[i] = make(chan serf.Event, 1024)
	conf := bareConfig(c.net, fmt.Sprint("n", i), c.addr(i), c.events[i])
	if c.logger != nil {
		conf.Logger = c.logger
	}
	if kind == 'o' {
		c.ours[i] = openBare(c.t, Config{Serf: conf})
		c.serfs[i] = c.ours[i].Serf
		return
	}
	s, err := serf.Create(conf)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { s.Shutdown() })
	c.serfs[i] = s
}

// restart has a node of ours leave, and starts it again.
func (c *clique) restart(i int) {
	c.t.Helper()
	if err := errors.Join(c.serfs[i].Leave(), c.serfs[i].Shutdown()); err != nil {
		c.t.Fatal(err)
	}
	c.start(i, 'o')
}

func (c *clique) addr(i int) string { return fmt.Sprintf("10.0.0.%d:7946", i+1) }

// join has a node do what the join command does, and returns what that says.
func (c *clique) join(at, to int) error {
	c.t.Helper()
	if _, err := c.serfs[at].Join([]string{c.addr(to)}, false); err != nil {
		c.t.Fatal(err)
	}
	if c.ours[at] != nil {
		return c.ours[at].Mend()
	}
	return nil
}

// sees is the status that a node gives another one; none if it does not list it.
func (c *clique) sees(at, other int) serf.MemberStatus {
	for _, m := range c.serfs[at].Members() {
		if m.Name == fmt.Sprint("n", other) {
			return m.Status
		}
	}
	return serf.StatusNone
}

func (c *clique) all(status serf.MemberStatus) bool {
	for at := range c.serfs {
		for other := range c.serfs {
			if at != other && c.sees(at, other) != status {
				return false
			}
		}
	}
	return true
}

func (c *clique) await(what string, done func() bool) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// told are the events that a node's serf has told of another one since the last call.
func (c *clique) told(at, other int) (types []string) {
	synctest.Wait()
	for len(c.events[at]) > 0 {
		if e, ok := (<-c.events[at]).(serf.MemberEvent); ok && e.Members[0].Name == fmt.Sprint("n", other) {
			types = append(types, strings.TrimPrefix(e.Type.String(), "member-"))
		}
	}
	return types
}
