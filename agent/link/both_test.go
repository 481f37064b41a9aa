package link

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// members says that the i-th node of a network in memory has the i-th address.
func members(c *Config) {
	c.Member = func(name, host string) bool {
		i, found := strings.CutPrefix(name, "node")
		return found && host == "10.0.0."+i
	}
}

// alone is a member of a former version, which opens no streams on links of others.
func alone(c *Config) {
	members(c)
	c.noBothWays = true
}

// answering answers each request with the node's own name and the asker's.
func answering(c *Config) {
	c.Handlers = map[Kind]Handler{KindBody: func(_ context.Context, from Peer, req []byte) ([]byte, error) {
		return append([]byte(c.Name+" to "+from.Name+": "), req...), nil
	}}
}

// both has all of these change a configuration.
func both(changes ...func(*Config)) func(*Config) {
	return func(c *Config) {
		for _, change := range changes {
			change(c)
		}
	}
}

// wantLinks fails unless so many are open.
func wantLinks(t testing.TB, when string, n *node, out, in float64) {
	t.Helper()
	if o, i := n.links(); o != out || i != in {
		t.Errorf("%s, %s has %v links out and %v in, not %v and %v", when, n.peer.Name, o, i, out, in)
	}
}

func (n *node) ask(to *node, req string) {
	n.t.Helper()
	got, err := n.Request(context.Background(), to.peer, KindBody, []byte(req))
	if want := to.peer.Name + " to " + n.peer.Name + ": " + req; err != nil || string(got) != want {
		n.t.Errorf("%s asks %s: %q, %v; want %q", n.peer.Name, to.peer.Name, got, err, want)
	}
}

// One link carries the messages and requests of both sides, whoever opened it.
func TestOneLinkGoesBothWays(t *testing.T) {
	for name, keys := range map[string]func(*Config){"plain": func(*Config) {}, "keyed": withKeys("one")} {
		for _, opener := range []int{1, 2} {
			t.Run(fmt.Sprint(name, " ", opener), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					mem := newMemNet()
					var opened []Peer
					a := memNode(t, mem, opener, both(keys, members, answering))
					b := memNode(t, mem, 3-opener, both(keys, members, answering, func(c *Config) {
						c.Features = []string{"tree"}
						c.Opened = func(p Peer) { opened = append(opened, p) }
					}))
					forth, back := numbered(3000), numbered(2999)
					a.send(b.peer, forth...)
					synctest.Wait()
					b.send(a.peer, back...)
					a.ask(b, "forth")
					b.ask(a, "back")
					synctest.Wait()
					wantMessages(t, b.received(), forth...)
					wantMessages(t, a.received(), back...)
					if from := a.from[0]; from.Name != b.peer.Name || !from.Has("tree") {
						t.Errorf("messages came from %+v", from)
					}
					if len(opened) != 1 || opened[0].Name != a.peer.Name || opened[0].Addr != a.peer.Addr || !opened[0].Has(featureBothWays) {
						t.Errorf("the acceptor was told that it has links to %+v", opened)
					}
					if is, err := b.IsPeer(t.Context(), a.peer); !is || err != nil || !b.Open(a.peer.Name) || !a.Open(b.peer.Name) {
						t.Errorf("the opener is a peer: %v, %v, and they have links: %v, %v", is, err, b.Open(a.peer.Name), a.Open(b.peer.Name))
					}
					if n := mem.dialed(); n != 1 || a.Waiting()+b.Waiting() > 0 {
						t.Errorf("%d links were opened, and %d and %d messages wait", n, a.Waiting(), b.Waiting())
					}
					wantLinks(t, "in the end", a, 1, 0)
					wantLinks(t, "in the end", b, 0, 1)
				})
			})
		}
	}
}

// Between a node of a former version and one of this, each direction has its own link, as
// it has if a peer's link does not come from its address.
func TestLinksThatGoOneWay(t *testing.T) {
	for name, c := range map[string][2]func(*Config){
		"former acceptor":          {members, alone},
		"former opener":            {alone, members},
		"both former":              {alone, alone},
		"an acceptor without list": {members, func(*Config) {}},
		"from another address":     {members, func(c *Config) { c.Member = func(_, host string) bool { return host == "10.0.0.9" } }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mem := newMemNet()
				var lost losses
				a, b := memNode(t, mem, 1, both(c[0], answering, lost.config)), memNode(t, mem, 2, both(c[1], answering, lost.config))
				a.send(b.peer, "forth")
				synctest.Wait()
				b.send(a.peer, "back")
				a.ask(b, "forth")
				b.ask(a, "back")
				a.Keep([]Peer{b.peer})
				b.Keep([]Peer{a.peer})
				time.Sleep(time.Hour)
				a.send(b.peer, "again")
				b.send(a.peer, "again")
				synctest.Wait()
				wantMessages(t, b.received(), "forth", "again")
				wantMessages(t, a.received(), "back", "again")
				wantLinks(t, "in the end", a, 1, 1)
				if n := mem.dialed(); n != 2 || len(lost.of) > 0 {
					t.Errorf("%d links were opened, and these lost: %v", n, lost.of)
				}
			})
		})
	}
}

// Two nodes that open a link at once use that of the smaller name, and the other one ends
// without a loss, a copy or a word of it.
func TestLinksThatCross(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := slowMemNet(time.Millisecond) // so that neither is there before the other one is dialed
		var lost losses
		a, b := memNode(t, mem, 1, both(members, answering, lost.config)), memNode(t, mem, 2, both(members, answering, lost.config))
		a.Keep([]Peer{b.peer})
		b.Keep([]Peer{a.peer})
		a.send(b.peer, numbered(500)...)
		b.send(a.peer, numbered(500)...)
		synctest.Wait()
		a.send(b.peer, "more")
		b.send(a.peer, "more")
		time.Sleep(time.Second)
		a.ask(b, "one")
		b.ask(a, "two")
		wantMessages(t, b.received(), append(numbered(500), "more")...)
		wantMessages(t, a.received(), append(numbered(500), "more")...)
		if mem.dialed() != 2 {
			t.Errorf("%d links were opened at once, so nothing was tested", mem.dialed())
		}
		wantLinks(t, "after a second", a, 1, 0)
		wantLinks(t, "after a second", b, 0, 1)
		time.Sleep(time.Hour)
		if len(lost.of) > 0 || mem.dialed() != 2 {
			t.Errorf("%d links were opened in an hour, and these lost: %v", mem.dialed(), lost.of)
		}
	})
}

// A link that another one replaces ends once the requests on it are answered.
func TestARetiredLinkAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, both(members, func(c *Config) {
			c.Handlers = map[Kind]Handler{KindBody: func(context.Context, Peer, []byte) ([]byte, error) {
				time.Sleep(5 * time.Second)
				return []byte("late"), nil
			}}
		}))
		b := memNode(t, mem, 2, members)
		answer := make(chan string)
		go func() {
			got, err := b.Request(t.Context(), a.peer, KindBody, nil)
			answer <- fmt.Sprint(string(got), err)
		}()
		time.Sleep(time.Second)
		// The smaller name opens another link, as if it was on its way already.
		g, err := testBoth("node1").open(dialedFrom(t, mem, "10.0.0.1", b), psk{}, newSenderID())
		if err != nil {
			t.Fatal(err)
		}
		lk := newLink(g, true, uncounted)
		defer lk.close()
		time.Sleep(time.Second)
		wantLinks(t, "with a request under way", b, 1, 1)
		if got := b.linkTo("node1"); got == nil || got.opened {
			t.Error("the link of the smaller name is not used")
		}
		if got := <-answer; got != "late<nil>" {
			t.Errorf("the answer is %q", got)
		}
		time.Sleep(time.Second)
		wantLinks(t, "after the answer", b, 0, 1)
	})
}

// dialedFrom returns a stream to a node from a host.
func dialedFrom(t *testing.T, mem *memNet, host string, to *node) net.Conn {
	t.Helper()
	conn, err := mem.Add(host+":5").DialTimeout(to.peer.Addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// testBoth is one side of a handshake that takes streams.
func testBoth(name string) *party {
	p := testParty(name)
	p.self.features = []string{featureOwnID, featureBothWays}
	return p
}

// Forget at the acceptor ends its own use of the link, which goes on for the opener, and is
// used again once something comes on it. Forget at the opener closes it.
func TestForgetOfOneLinkForBoth(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var lost losses
		a, b := memNode(t, mem, 1, both(members, lost.config)), memNode(t, mem, 2, both(members, lost.config))
		a.Keep([]Peer{b.peer})
		a.send(b.peer, "one")
		synctest.Wait()
		b.send(a.peer, "one")
		time.Sleep(time.Minute)
		wantLinks(t, "before", a, 1, 0)
		b.Forget("node1")
		time.Sleep(2 * time.Second)
		a.send(b.peer, "two")
		time.Sleep(time.Second)
		if mem.dialed() != 1 || len(lost.of) > 0 {
			t.Errorf("%d links were opened, and these lost: %v", mem.dialed(), lost.of)
		}
		b.send(a.peer, "two")
		time.Sleep(time.Second)
		if mem.dialed() != 1 {
			t.Errorf("%d links were opened, though the peer is there", mem.dialed())
		}
		a.Forget("node2")
		time.Sleep(time.Second)
		wantLinks(t, "after the opener forgot the peer", b, 0, 0)
		b.send(a.peer, "three")
		a.send(b.peer, "three")
		time.Sleep(time.Second)
		wantMessages(t, a.received(), "one", "two", "three")
		wantMessages(t, b.received(), "one", "two", "three")
	})
}

// A link of a peer that was forgotten is not used again before the former stream of events on
// it has ended, as there is one at a time.
func TestForgottenLinkThatIsInUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var lost losses
		next := make(chan bool)
		a := memNode(t, mem, 1, both(members, lost.config, func(c *Config) { c.Deliver = func(Peer, [][]byte) Ack { <-next; return Ack{} } }))
		b := memNode(t, mem, 2, members)
		defer close(next)
		a.Keep([]Peer{b.peer})
		synctest.Wait()
		b.send(a.peer, "one")
		synctest.Wait()
		b.Forget("node1")
		time.Sleep(10 * time.Millisecond)
		a.send(b.peer, "still here")
		time.Sleep(10 * time.Millisecond)
		b.send(a.peer, "two")
		time.Sleep(10 * time.Millisecond)
		if mem.dialed() != 2 {
			t.Errorf("%d links were opened at once", mem.dialed())
		}
		if len(lost.of) > 0 {
			t.Errorf("these were lost: %v", lost.of)
		}
	})
}

// A peer that was forgotten, and from whose link nothing comes, is not spoken to over it.
func TestForgottenLinkOfASilentPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		hole := &holeConn{}
		mem.wrap = func(c net.Conn) net.Conn {
			if hole.Conn != nil {
				return c
			}
			hole.Conn = c
			return hole
		}
		a, b := memNode(t, mem, 1, members), memNode(t, mem, 2, members)
		a.send(b.peer, "one")
		time.Sleep(time.Second)
		hole.open.Store(true)
		b.Forget("node1")
		b.send(a.peer, "two")
		time.Sleep(time.Second)
		wantMessages(t, a.received(), "two")
		if mem.dialed() != 2 {
			t.Errorf("%d links were opened", mem.dialed())
		}
	})
}
