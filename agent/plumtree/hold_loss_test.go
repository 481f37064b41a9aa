package plumtree

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Every event that a living node has comes to all that live, over links or by gossip,
// although gossip is held back: through deaths that nobody notices for a while, lost links
// that nobody opens again, partitions, links that hold up messages, and false digests.
func TestHeldGossipLosesNothing(t *testing.T) {
	for range 3 { // the cases are many, and each takes little time
		rapid.Check(t, heldGossipLosesNothing)
	}
}

func heldGossipLosesNothing(t *rapid.T) {
	m := &heldModel{t: t, at: map[string]time.Duration{}, gossip: map[string]map[int]time.Duration{}, stock: forever}
	for i := range rapid.IntRange(2, 5).Draw(t, "nodes") {
		m.join()
		m.link(i, max(i-1, 0))
	}
	if rapid.Bool().Draw(t, "a liar") {
		m.join()
		m.nodes[len(m.nodes)-1].liar = true
		for i := range len(m.nodes) - 1 {
			m.link(i, len(m.nodes)-1)
		}
		m.look()
	}
	node := func(what string) int { return rapid.IntRange(0, len(m.nodes)-1).Draw(t, what) }
	const limit = 9 * time.Second // so that no event is too old in the end
	t.Repeat(map[string]func(*rapid.T){
		"publish": func(*rapid.T) { m.publish(node("node")) },
		"deliver": func(t *rapid.T) {
			for range rapid.IntRange(1, 9).Draw(t, "times") {
				m.deliver(node("from"), node("to"), rapid.IntRange(1, 3).Draw(t, "messages"))
			}
		},
		"all": func(*rapid.T) { m.deliverAll() },
		"lie": m.lie,
		"partition": func(t *rapid.T) {
			side := rapid.SliceOfN(rapid.Bool(), len(m.nodes), len(m.nodes)).Draw(t, "side")
			for i := range m.nodes {
				for j := range i {
					if side[i] != side[j] {
						m.cut(i, j)
					}
				}
			}
		},
		"cut":  func(*rapid.T) { m.cut(node("a"), node("b")) },
		"link": func(*rapid.T) { m.link(node("a"), node("b")) },
		"link what is wanted": func(*rapid.T) {
			for i := range m.nodes {
				for _, j := range m.wanted(i) {
					m.link(i, j)
				}
			}
		},
		"die":    func(*rapid.T) { m.die(node("node")) },
		"notice": func(*rapid.T) { m.notice(node("node")) },
		"join": func(*rapid.T) {
			if len(m.nodes) < 8 {
				m.join()
			}
		},
		"stock": func(t *rapid.T) {
			if rapid.IntRange(0, 3).Draw(t, "joins") == 0 {
				m.stock = min(m.stock, m.now)
			}
		},
		"time": func(t *rapid.T) {
			d := time.Duration(rapid.SampledFrom([]int{20, 100, 1000, 2000}).Draw(t, "ms")) * time.Millisecond
			if m.now+d < limit {
				m.pass(d, rapid.Bool().Draw(t, "prompt"))
			}
		},
	})
	m.pass(time.Duration(len(m.nodes)+4)*announceWait+HoldTime+unnoticed, true)
	m.check()
}

func (m *heldModel) check() {
	for _, key := range m.events {
		spread := false
		for i, at := range m.gossip[key] {
			spread = spread || m.nodes[i].died >= at+spreads
		}
		if spread {
			continue
		}
		var have, lack []int
		for i, n := range m.nodes {
			switch {
			case !n.alive() || n.liar || n.joined > m.at[key]:
			case n.got[key]:
				have = append(have, i)
			default:
				lack = append(lack, i)
			}
		}
		if len(have) > 0 && m.stock <= m.at[key] {
			m.t.Errorf("%v have %s, and the stock member does not have it", have, key)
		}
		if len(have) > 0 && len(lack) > 0 {
			m.t.Errorf("%v have %s, and %v do not have it", have, key, lack)
		}
	}
}
