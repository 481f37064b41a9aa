package agent

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/agent/plumtree"
	"agentctl/handler"
	"agentctl/scripts/testkit"

	"github.com/hashicorp/serf/serf"
)

// In a cluster that is too large for links to all, agents find each other, and the events of
// a publisher go along trees: to every journal once and in order, and none by gossip.
func TestALargeClusterHasTrees(t *testing.T) {
	fullyLinked = 16
	defer func() { fullyLinked = 0 }()
	bubble(t, func(t *testing.T) {
		const n = plumtree.MaxFull + 2
		nodes := make([]*node, n)
		for i := range nodes {
			nodes[i] = start(t, func(o *config.Options) { o.LogLevel = "warn" })
		}
		join(t, nodes...)
		for _, m := range nodes {
			testkit.WaitFor(t, "every agent to know of all others", func() bool {
				agents, _, _ := m.peers.Sort(m.reachable())
				return len(agents) == n-1
			})
		}
		time.Sleep(20 * time.Second) // links to neighbours open, and the former ones are idle
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprint("event ", i))
		}
		publishAll(t, nodes[7].Agent, want...)
		for i, m := range nodes {
			if i == 7 {
				continue
			}
			testkit.WaitFor(t, "the events at "+m.opts.NodeName, func() bool { return m.took(t, intake.Link) >= len(want) })
			var got []string
			for r, err := range m.journal.Events(1) {
				if err != nil {
					t.Fatal(err)
				}
				if r.Event.Type == handler.User {
					got = append(got, string(r.Event.Payload))
				}
			}
			if !slices.Equal(got, want) || m.took(t, intake.Link) != len(want) {
				t.Errorf("%s has %q, and took %d over links", m.opts.NodeName, got, m.took(t, intake.Link))
			}
		}
		for _, m := range nodes {
			if queue := m.serf.Stats()["event_queue"]; queue != "0" {
				t.Errorf("%s has gossip carry %s events", m.opts.NodeName, queue)
			}
		}
		rumor(t, nodes)
	})
}

// rumor has one node let an event go by gossip. Serf at the others would not pass it on,
// since each has it already, so it would come to few of them.
func rumor(t *testing.T, nodes []*node) {
	publishAll(t, nodes[7].Agent, "rumor")
	var raw []byte
	for _, m := range nodes {
		testkit.WaitFor(t, "the event at "+m.opts.NodeName, func() bool {
			r, ok := m.journal.At(m.journal.Head())
			if !ok || string(r.Event.Payload) != "rumor" {
				return false
			}
			e := gossip.Message{LTime: serf.LamportTime(r.Event.LTime), Name: r.Event.Name, Payload: r.Event.Payload}
			var err error
			raw, err = e.Encode()
			return err == nil
		})
	}
	nodes[3].serf.PassOn(raw)
	passing := map[*node]bool{} // those that had gossip carry it
	for range 100 {
		for _, m := range nodes {
			if m.serf.Stats()["event_queue"] != "0" {
				passing[m] = true
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	if len(passing) < len(nodes)*3/4 {
		t.Errorf("only %d of %d nodes pass on by gossip what one of them lets go", len(passing), len(nodes))
	}
}
