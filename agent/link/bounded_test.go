package link

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The least recently used link makes room; links with something under way stay.
func TestLinksAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, func(c *Config) { c.maxLinks = 2 })
		var to []Peer
		var nodes []*node
		for i := 2; i < 6; i++ {
			n := memNode(t, mem, i, nil)
			nodes, to = append(nodes, n), append(to, n.peer)
		}
		a.send(to[0], "first")
		time.Sleep(time.Second)
		a.send(to[1], "first")
		time.Sleep(time.Second)
		a.send(to[0], "again")
		time.Sleep(time.Second)
		a.send(to[2], "first") // takes the place of the link to to[1]
		synctest.Wait()
		for i, want := range []bool{true, false, true} {
			if got := a.linkTo(to[i].Name) != nil; got != want {
				t.Errorf("link %d is open: %v, want %v", i, got, want)
			}
		}
		for range 20 {
			a.Broadcast(to, []byte("all"))
			time.Sleep(time.Minute)
			if n := a.metric("agentctl_link_open", "out"); n > 2 {
				t.Fatalf("%v links are open", n)
			}
		}
		for i, n := range nodes {
			if got := n.received(); strings.Count(strings.Join(got, ","), "all") != 20 {
				t.Errorf("node %d received %q", i, got)
			}
		}
	})
}

func TestAcceptedLinksAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		b := memNode(t, mem, 1, func(c *Config) { c.maxLinks = 3 })
		for i := 2; i < 10; i++ {
			memNode(t, mem, i, nil).send(b.peer, "hello")
			time.Sleep(time.Second)
			if n := b.metric("agentctl_link_open", "in"); n > 3 {
				t.Fatalf("%v links are open", n)
			}
		}
		if n := len(b.received()); n != 8 {
			t.Errorf("%d of 8 messages were received", n)
		}
	})
}

// However many links are opened at once, there are never too many.
func TestLinksAreBoundedInABurst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 100, func(c *Config) { c.maxLinks = 5 })
		var to []Peer
		var nodes []*node
		for i := range 20 {
			n := memNode(t, mem, i, func(c *Config) {
				take := c.Deliver
				c.Deliver = func(from Peer, msgs [][]byte) Ack {
					if n := a.metric("agentctl_link_open", "out"); n > 5 {
						t.Errorf("%v links are open", n)
					}
					return take(from, msgs)
				}
			})
			nodes, to = append(nodes, n), append(to, n.peer)
		}
		a.Broadcast(to, []byte("all"))
		time.Sleep(time.Minute)
		for _, n := range nodes {
			wantMessages(t, n.received(), "all")
		}
	})
}
