package link

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Two nodes that keep a link to each other have one. The node of the greater name waits for
// the other one to open it, and opens it itself if that does not.
func TestBothKeepOneLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var lost losses
		a, b := memNode(t, mem, 1, both(members, lost.config)), memNode(t, mem, 2, both(members, lost.config))
		b.Keep([]Peer{a.peer})
		a.Keep([]Peer{b.peer})
		synctest.Wait()
		if mem.dialed() != 1 || !a.Open("node2") || !b.Open("node1") {
			t.Errorf("%d links were opened at once", mem.dialed())
		}
		time.Sleep(time.Hour)
		a.mustHaveOneLink(mem, 1)
		a.Keep(nil) // so that the opener has no use for it
		time.Sleep(time.Hour)
		a.mustHaveOneLink(mem, 1)
		b.Keep(nil)
		time.Sleep(20 * time.Minute)
		wantLinks(t, "with nobody who keeps it", a, 0, 0)
		if a.known()+b.known() > 0 {
			t.Errorf("%d and %d peers are known", a.known(), b.known())
		}

		b.Keep([]Peer{a.peer})
		time.Sleep(yieldTime - time.Millisecond)
		if mem.dialed() != 1 {
			t.Error("the greater name opened a link at once")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		b.mustHaveOneLink(mem, 2)
		a.Keep([]Peer{b.peer})
		time.Sleep(time.Hour)
		b.mustHaveOneLink(mem, 2)
		if len(lost.of) > 0 {
			t.Errorf("these were lost: %v", lost.of)
		}

		begin := time.Now()
		a.Keep(nil)
		b.Forget("node1")
		b.Keep([]Peer{a.peer})
		synctest.Wait()
		b.send(a.peer, "now") // a message does not wait
		synctest.Wait()
		if len(a.received()) != 1 || time.Since(begin) > 0 {
			t.Errorf("the message came after %v: %q", time.Since(begin), a.received())
		}
	})
}

// mustHaveOneLink fails unless the node has one link, which it opened.
func (n *node) mustHaveOneLink(mem *memNet, dialed int) {
	n.t.Helper()
	wantLinks(n.t, fmt.Sprint("at ", time.Now()), n, 1, 0)
	if mem.dialed() != dialed {
		n.t.Errorf("%d links were opened in all, not %d", mem.dialed(), dialed)
	}
}

// A link that its opener needed for a request only stays while the other side keeps it.
func TestTheAcceptorKeepsALink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var lost losses
		a, b := memNode(t, mem, 1, both(members, lost.config)), memNode(t, mem, 2, both(members, lost.config, answering))
		a.ask(b, "one")
		b.Keep([]Peer{a.peer})
		time.Sleep(time.Hour)
		a.mustHaveOneLink(mem, 1)
		b.Keep(nil)
		time.Sleep(20 * time.Minute)
		wantLinks(t, "with nobody who keeps it", a, 0, 0)
		if len(lost.of) > 0 {
			t.Errorf("these were lost: %v", lost.of)
		}
	})
}

// A kept link that is idle for long is not relied on by the other side. The one that the
// other side opens replaces it.
func TestAnIdleLinkIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var lost losses
		a, b := memNode(t, mem, 1, both(members, lost.config)), memNode(t, mem, 2, both(members, lost.config))
		a.Keep([]Peer{b.peer})
		time.Sleep(10 * time.Minute)
		b.send(a.peer, "one")
		time.Sleep(5 * time.Second)
		a.send(b.peer, "two")
		time.Sleep(5 * time.Second)
		wantMessages(t, a.received(), "one")
		wantMessages(t, b.received(), "two")
		b.mustHaveOneLink(mem, 2)
		if len(lost.of) > 0 {
			t.Errorf("these were lost: %v", lost.of)
		}
	})
}

// Of the links that a peer opened the last one is used, as the peer has given up the others.
func TestTheLastLinkOfThePeerIsUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, members)
		to := Peer{Name: "node2", Addr: "10.0.0.2:7946"}
		for i := range 3 {
			streams := openBoth(t, dialedFrom(t, mem, "10.0.0.2", a), "node2")
			time.Sleep(time.Second)
			a.send(to, fmt.Sprint(i))
			select {
			case st := <-streams:
				st.writeReply(statusOK, nil)
			case <-time.After(2 * time.Second):
				t.Errorf("link %d is not used", i)
			}
		}
	})
}

// A member that was not known when its link came has one link later on.
func TestALaterMemberHasOneLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var known atomic.Bool
		a := memNode(t, mem, 1, members)
		b := memNode(t, mem, 2, func(c *Config) { c.Member = func(_, host string) bool { return known.Load() && host == "10.0.0.1" } })
		a.Keep([]Peer{b.peer})
		b.Keep([]Peer{a.peer})
		time.Sleep(time.Minute)
		wantLinks(t, "before the member is known", b, 1, 1)
		known.Store(true)
		time.Sleep(time.Minute)
		wantLinks(t, "after it is known", b, 0, 1)
	})
}

// A peer that breaks its link over and over is not dialed more by those who wait for it to
// open one; and a kept link that both lost is one link again.
func TestBothOpenABrokenLinkAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var lost losses
		a, b := memNode(t, mem, 1, both(members, lost.config)), memNode(t, mem, 2, both(members, lost.config))
		a.Keep([]Peer{b.peer})
		b.Keep([]Peer{a.peer})
		for i := range 20 {
			time.Sleep(time.Minute)
			mem.breakAll()
			a.send(b.peer, fmt.Sprint(i))
			b.send(a.peer, fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		if n := mem.dialed(); n > 1+2*20 || lost.told("node1") > 40 || lost.told("node2") > 40 {
			t.Errorf("%d links were opened after 20 broke, and these lost: %v", n, lost.of)
		}
		if len(a.received()) != 20 || len(b.received()) != 20 {
			t.Errorf("%d and %d messages came", len(a.received()), len(b.received()))
		}
		if out, in := a.links(); out+in != 1 { // whoever was first
			t.Errorf("in the end, there are %v links out and %v in, not one", out, in)
		}
	})
}

// breakAll closes all connections.
func (n *memNet) breakAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		c.Close()
	}
}

// A link that is not in use any more at its opener is not trusted by the other side: a
// request just before it is closed opens another one.
func TestRequestOnALinkThatIsAboutToEnd(t *testing.T) {
	for _, idle := range []time.Duration{30 * time.Second, time.Minute - time.Millisecond, time.Minute} {
		bubble(t, func(t *testing.T) {
			mem := newMemNet()
			a, b := memNode(t, mem, 1, both(members, answering)), memNode(t, mem, 2, both(members, answering))
			a.ask(b, "open")
			time.Sleep(idle)
			b.ask(a, "still there?")
			if n := mem.dialed(); (n == 1) != (idle == 30*time.Second) {
				t.Errorf("%d links were opened when one was idle for %v", n, idle)
			}
		})
	}
}

// A link that is kept no more is closed a minute or two after its last use, and not after
// five. Until then requests and messages go over it.
func TestALinkThatIsKeptNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var lost losses
		a, b := memNode(t, mem, 1, both(members, answering, lost.config)), memNode(t, mem, 2, both(members, answering, lost.config))
		a.Keep([]Peer{b.peer})
		synctest.Wait()
		b.Keep([]Peer{a.peer})
		a.send(b.peer, "one")
		b.send(a.peer, "two")
		time.Sleep(10 * time.Minute)
		wantLinks(t, "while it is kept", a, 1, 0)
		a.Keep(nil)
		time.Sleep(10 * time.Minute)
		wantLinks(t, "while the other one keeps it", a, 1, 0)
		b.Keep(nil)
		time.Sleep(10 * time.Second)
		a.ask(b, "soon after")
		b.ask(a, "soon after")
		a.send(b.peer, "three")
		b.send(a.peer, "four")
		time.Sleep(30 * time.Second)
		wantLinks(t, "soon after its last use", a, 1, 0)
		time.Sleep(3 * time.Minute)
		wantLinks(t, "in the end", a, 0, 0)
		wantMessages(t, b.received(), "one", "three")
		wantMessages(t, a.received(), "two", "four")
		if n := mem.dialed(); n != 1 || len(lost.of) > 0 {
			t.Errorf("%d links were opened, and these lost: %v", n, lost.of)
		}
	})
}
