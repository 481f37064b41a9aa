package broadcast

import (
	"slices"
	"strings"
	"testing"
	"time"

	"agentctl/agent/memnet"
	"agentctl/agent/plumtree"
)

// of are the events of a publisher among others.
func of(events []string, m *member) []string {
	return slices.DeleteFunc(events, func(e string) bool { return !strings.HasPrefix(e, m.name+" ") })
}

// In a large cluster the events of each publisher come to every node once, in their order,
// over few links.
func TestEventsGoAlongTrees(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, memnet.Config{MinDelay: time.Millisecond / 5, MaxDelay: time.Millisecond}, 60, 0, everyone)
		time.Sleep(settled)
		publishers := []*member{f.nodes[7], f.nodes[33]}
		sent := [][]string{publishers[0].publish(0, 300), publishers[1].publish(0, 300)}
		time.Sleep(settled)
		for _, m := range f.nodes {
			for i, p := range publishers {
				want := sent[i]
				if m == p {
					want = nil // it has its own already
				}
				if got := of(m.events(), p); !slices.Equal(got, want) {
					t.Fatalf("%s has %d events of %s, not %d in their order: %q", m.name, len(got), p.name, len(want), got[:min(len(got), 9)])
				}
			}
			m.tree.mu.Lock()
			if n := len(m.tree.up); n < plumtree.MaxLinks/2 || n > plumtree.MaxLinks {
				t.Errorf("%s has %d neighbours", m.name, n)
			}
			m.tree.mu.Unlock()
		}
	})
}

// Agents that know of one other agent each find all others by comparing their lists.
func TestListsOfAgentsBecomeTheSame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, memnet.Config{MinDelay: time.Millisecond / 5, MaxDelay: time.Millisecond}, 50, 0, func(m *member, i int) {
			m.cfg.Peers.Heard(nameOf((i + 1) % 50))
		})
		time.Sleep(time.Minute)
		for _, m := range f.nodes {
			agents, former, rest := m.cfg.Peers.Sort(m.cfg.Members())
			if len(agents) != 49 || len(former) != 0 || len(rest) != 1 {
				t.Errorf("%s knows of %d agents; %d others", m.name, len(agents), len(former)+len(rest)-1)
			}
		}
		sent := f.nodes[0].publish(0, 10)
		time.Sleep(settled)
		for _, m := range f.nodes[1:] {
			if got := m.events(); !slices.Equal(got, sent) {
				t.Errorf("%s has %q", m.name, got)
			}
		}
	})
}
