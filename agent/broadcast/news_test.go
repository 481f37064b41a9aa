package broadcast

import (
	"fmt"
	"testing"
	"time"
)

// A node tells all of an agent that it has found, if it is one of the few that would serve
// it. It tells of none while it hears of many: their lists say so, too.
func TestManyAgentsAtOnceAreNoNews(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, large, 0, 0, everyone)
		time.Sleep(2 * newsTime)
		told := func() (n int) { // what the nodes have published
			stats, _, _ := f.nodes[5].tree.figures()
			return stats.Recent
		}
		found := func(name string) {
			for _, m := range f.nodes {
				m.Agents([]string{name}, false)
			}
			time.Sleep(2 * growWait)
		}
		before := told()
		found("another")
		if n := told() - before; n < 1 || n > servers+1 {
			t.Errorf("%d nodes tell of an agent", n)
		}
		before = told()
		var many []string
		for i := range maxNews {
			many = append(many, fmt.Sprintf("agent-%d", i))
		}
		for _, m := range f.nodes {
			m.Agents(many, true)
		}
		found("one-of-many")
		if n := told() - before; n != 0 {
			t.Errorf("%d nodes tell of one of many agents", n)
		}
		time.Sleep(newsTime)
		before = told()
		found("a-later-one")
		if n := told() - before; n < 1 {
			t.Error("nobody tells of an agent after many")
		}
	})
}

// Neighbours are not chosen among the first agents that become known, but among all.
func TestNeighboursAreChosenOnceMostAreKnown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, large, 0, 0, func(*member, int) {})
		m := f.nodes[0]
		time.Sleep(time.Second)
		for _, other := range f.nodes[1:] {
			m.cfg.Peers.Told([]string{other.name})
			time.Sleep(reviseWait)
		}
		time.Sleep(growWait)
		m.tree.mu.Lock()
		chosen := len(m.tree.chosen)
		m.tree.mu.Unlock()
		// A few are opened to agents that have come to know this one meanwhile.
		if links := m.port.Sent().Streams; chosen < 10 || links > int64(chosen+chosen/4) {
			t.Errorf("%d links were opened for %d neighbours", links, chosen)
		}
	})
}
