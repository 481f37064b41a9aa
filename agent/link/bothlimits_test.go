package link

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler/varint"
)

// A stranger that opens a link under a member's name, but from another host, or a peer
// that is at another address by now, is sent nothing: no message, no request, and no ID.
func TestAStrangerIsNotAdopted(t *testing.T) {
	for name, host := range map[string]string{"another host": "10.0.0.77", "another member's host": "10.0.0.3"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mem := newMemNet()
				a := memNode(t, mem, 1, both(members, answering))
				b := memNode(t, mem, 2, both(members, answering))
				streams := openBoth(t, dialedFrom(t, mem, host, a), "node2")
				synctest.Wait()
				a.send(b.peer, "for the member")
				a.ask(b, "for the member")
				time.Sleep(time.Second)
				a.Keep([]Peer{b.peer})
				a.Keep([]Peer{{Name: "node2", Addr: "10.0.0.9:7946"}}) // it moves, and comes back
				a.Keep([]Peer{b.peer})
				time.Sleep(2 * idleInterval)
				a.send(b.peer, "again")
				synctest.Wait()
				select {
				case st := <-streams:
					head, _ := st.r.Peek(st.r.Buffered())
					t.Errorf("a stream was opened to the stranger, with %x", head)
				default:
				}
				wantMessages(t, b.received(), "for the member", "again")
			})
		})
	}
}

// A peer that is at another address by now is not spoken to over the link from its former
// one, and under another ID; nor is one whose link comes from another address than it has.
func TestAPeerThatMovedIsNotAdopted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, both(members, func(c *Config) {
			c.Member = func(name, host string) bool { return name == "node2" && host != "10.0.0.4" } // at several hosts
		}))
		streams := openBoth(t, dialedFrom(t, mem, "10.0.0.2", a), "node2")
		synctest.Wait()
		a.send(Peer{Name: "node2", Addr: "10.0.0.2:7946"}, "one")
		synctest.Wait()
		first, head := <-streams, make([]byte, 18)
		io.ReadFull(first.r, head)
		first.writeReply(statusOK, nil)
		inner := mem.add(4)
		moved := startNode(t, "node2", inner.Addr().String(), inner, nil)
		a.send(moved.peer, "two")
		time.Sleep(10 * time.Second)
		wantMessages(t, moved.received(), "one", "two")
		if from := moved.from; len(from) > 0 && bytes.Equal(from[0].sender[:], head[1:17]) {
			t.Error("the ID is still the same")
		}
		if n := len(streams); n > 0 {
			t.Errorf("%d more streams were opened on the link from the former address", n)
		}
	})
}

// openBoth opens a link that takes streams, which come on what it returns.
func openBoth(t *testing.T, conn net.Conn, name string) <-chan *stream {
	t.Helper()
	g, err := testBoth(name).open(conn, psk{}, newSenderID())
	if err != nil {
		t.Fatal(err)
	}
	lk := newLink(g, true, uncounted)
	t.Cleanup(lk.close)
	return streamsOf(t, lk)
}

func streamsOf(t *testing.T, lk *link) <-chan *stream {
	streams := make(chan *stream, 100)
	go func() {
		for {
			s, err := lk.session.AcceptStream()
			if err != nil {
				return
			}
			streams <- newStream(t.Context(), s, bufio.NewReader(nil), func(int64) {})
		}
	}()
	return streams
}

// The ID on a link of the peer is that of the node's own links to it, and comes ahead of the
// number. A peer with the link of a former version gets none.
func TestTheIDOnALinkOfThePeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, members)
		streams := openBoth(t, dialedFrom(t, mem, "10.0.0.2", a), "node2")
		synctest.Wait()
		a.send(Peer{Name: "node2", Addr: "10.0.0.2:7946"}, "hello")
		synctest.Wait()
		a.Links.mu.Lock()
		id := a.peers["node2"].id
		a.Links.mu.Unlock()
		want := append(append([]byte{byte(kindEventsBack)}, id[:]...), 1)
		want = varint.AppendBytes(want, "hello")
		st := <-streams
		got := make([]byte, len(want))
		if _, err := io.ReadFull(st.r, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%x came, %v; want %x", got, err, want)
		}
	})
}

// raw is a member with the name node2 that a node opens a link to, and whose link a test
// uses itself.
func rawMember(t *testing.T, mem *memNet, n *node) *link {
	t.Helper()
	inner := mem.add(2)
	n.Keep([]Peer{{Name: "node2", Addr: inner.Addr().String()}})
	c := <-inner.StreamCh()
	io.ReadFull(c, make([]byte, 1))
	g, err := testBoth("node2").accept(c, []psk{{}})
	if err != nil {
		t.Fatal(err)
	}
	lk := newLink(g, false, uncounted)
	t.Cleanup(lk.close)
	go func() { // the node's stream of events
		for {
			s, err := lk.session.AcceptStream()
			if err != nil {
				return
			}
			io.ReadFull(s, make([]byte, 2))
			s.Write([]byte{statusOK, 0})
		}
	}()
	synctest.Wait()
	return lk
}

// Streams without end close a link also where the node has opened it, and those of the node
// count with them.
func TestAcceptorWithTooManyStreams(t *testing.T) {
	for name, body := range map[string][]byte{
		"silent": nil, "of no kind": {99}, "of many events": append(append([]byte{byte(kindEventsBack)}, make([]byte, 16)...), 1),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mem := newMemNet()
				a := memNode(t, mem, 1, members)
				lk := rawMember(t, mem, a)
				streams := 0
				for ; streams < 1000; streams++ {
					s, err := lk.session.OpenStream()
					if err != nil {
						break
					}
					if _, err := s.Write(body); err != nil {
						break
					}
					synctest.Wait()
				}
				if streams <= linkStreams || streams > sessionStreams || a.metric("agentctl_link_closed_total", closeStreams) != 1 {
					t.Errorf("the link was closed after %d streams, and %v closed links are counted", streams, a.metric("agentctl_link_closed_total", closeStreams))
				}
			})
		})
	}
}

// A member has one share of requests, on links that it opened and on links that were opened
// to it.
func TestBothDirectionsShareTheSlots(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		release := make(chan struct{})
		a := memNode(t, mem, 1, both(members, func(c *Config) {
			c.maxRequests = 40 // 10 for a member
			c.Handlers = map[Kind]Handler{KindBody: func(context.Context, Peer, []byte) ([]byte, error) {
				<-release
				return nil, nil
			}}
		}))
		opened := rawMember(t, mem, a)
		g, err := testBoth("node2").open(dialedFrom(t, mem, "10.0.0.2", a), psk{}, newSenderID())
		if err != nil {
			t.Fatal(err)
		}
		accepted := newLink(g, true, uncounted)
		defer accepted.close()
		results := make(chan error, 100)
		for i := range 16 {
			lk := []*link{opened, accepted}[i%2]
			go func() {
				st, err := lk.openStream(t.Context(), varint.AppendBytes(appendKind(nil, KindBody), ""), answerBuffer, func(int64) {})
				if err == nil {
					_, err = st.readReply(0)
					st.Close()
				}
				results <- err
			}()
		}
		synctest.Wait()
		for range 6 {
			if err := <-results; !errors.Is(err, errBusy) {
				t.Errorf("a request beyond the member's share: %v", err)
			}
		}
		if len(results) > 0 {
			t.Errorf("%d requests of the member's share were answered", len(results))
		}
		close(release)
		for range 10 {
			if err := <-results; err != nil {
				t.Errorf("a request of the member's share: %v", err)
			}
		}
	})
}

// What a member has sent counts together, on links that it opened and on links that were
// opened to it. Over the limit one of its links is closed.
func TestBothDirectionsShareMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, both(members, func(c *Config) {
			c.maxRequests = 1000
			c.Handlers = map[Kind]Handler{KindBody: func(ctx context.Context, _ Peer, _ []byte) ([]byte, error) {
				<-ctx.Done()
				return nil, nil
			}}
		}))
		links := []*link{rawMember(t, mem, a)}
		for range 2 {
			g, err := testBoth("node2").open(dialedFrom(t, mem, "10.0.0.2", a), psk{}, newSenderID())
			if err != nil {
				t.Fatal(err)
			}
			lk := newLink(g, true, uncounted)
			defer lk.close()
			links = append(links, lk)
		}
		request := varint.AppendBytes(appendKind(nil, KindBody), make([]byte, 128<<10))
		for range linkStreams - 1 { // less than 12 MiB on two links, and more on three
			for _, lk := range links {
				lk.openStream(t.Context(), request, answerBuffer, func(int64) {})
			}
			synctest.Wait()
			a.budget.mu.Lock()
			if o := a.budget.owners["10.0.0.2"]; o.bytes > peerMemory {
				t.Errorf("the member holds %d bytes", o.bytes)
			}
			a.budget.mu.Unlock()
		}
		if n := a.metric("agentctl_link_closed_total", closeMemory); n == 0 {
			t.Error("none of its links was closed")
		}
		a.opened.mu.Lock()
		defer a.opened.mu.Unlock()
		if o := a.opened.owners["10.0.0.2"]; o != nil && o.bytes > 1<<20 {
			t.Errorf("%d bytes count as answers", o.bytes)
		}
	})
}

// Answers that come on a link of the peer count as those on links that were opened here.
func TestAnswersOnALinkOfThePeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		long := make([]byte, 3<<20)
		a := memNode(t, mem, 1, both(members, func(c *Config) {
			c.Handlers = map[Kind]Handler{KindBody: func(context.Context, Peer, []byte) ([]byte, error) { return long, nil }}
		}))
		b := memNode(t, mem, 2, members)
		a.send(b.peer, "open")
		synctest.Wait()
		results := make(chan error)
		for range 2 { // together 12 MiB, with the bytes of their streams more than a member may send
			go func() {
				got, err := b.Request(t.Context(), a.peer, KindBody, nil)
				if err == nil && len(got) != len(long) {
					err = errors.New("a part of it")
				}
				results <- err
			}()
		}
		for range 2 {
			if err := <-results; err != nil {
				t.Errorf("an answer: %v", err)
			}
		}
		synctest.Wait()
		b.opened.mu.Lock()
		if o := b.opened.owners["10.0.0.1"]; o == nil || o.total() != 0 {
			t.Errorf("this is held in the end: %+v", o)
		}
		b.opened.mu.Unlock()
		if mem.dialed() != 1 {
			t.Errorf("%d links were opened", mem.dialed())
		}
	})
}

// Links that a node opens are not among those that it accepts, though others send on them.
func TestNumbersOfLinksOfBothDirections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var lost losses
		few := func(c *Config) { c.maxLinks = 3 }
		hub := memNode(t, mem, 5, both(members, few, lost.config))
		var others []Peer
		for i := range 4 {
			n := memNode(t, mem, i+1, both(members, lost.config))
			n.Keep([]Peer{hub.peer})
			others = append(others, memNode(t, mem, i+6, members).peer)
		}
		hub.Keep(others[:3])
		time.Sleep(time.Second)
		if out, in := hub.links(); out != 3 || in != 3 || lost.told("node6") > 0 {
			t.Errorf("%v and %v links are open where 3 are allowed in each direction", out, in)
		}
	})
}

// Events come on a link from one side under one kind: the opener's ID is in its hello, and
// the acceptor's ahead of the events. One link keeps one ID of an acceptor in mind.
func TestKindsOfEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, members)
		lk := rawMember(t, mem, a)
		send := func(lk *link, kind Kind, id senderID, first byte, text string) error {
			head := appendKind(nil, kind)
			if kind == kindEventsBack {
				head = append(head, id[:]...)
			}
			st, err := lk.openStream(t.Context(), varint.AppendBytes(append(head, first), text), answerBuffer, func(int64) {})
			if err != nil {
				return err
			}
			_, err = st.readReply(0)
			st.Close()
			synctest.Wait()
			return err
		}
		one := newSenderID()
		if err := send(lk, kindEvents, one, 1, "as its opener"); !errors.Is(err, ErrUnknownKind) {
			t.Errorf("the acceptor's events under the kind of the opener: %v", err)
		}
		for range 2 {
			if err := send(lk, kindEventsBack, one, 1, "once"); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		for range 2 * sourcesLimit {
			if err := send(lk, kindEventsBack, newSenderID(), 1, "other"); err != nil {
				t.Fatal(err)
			}
		}
		a.sources.mu.Lock()
		if n := len(a.sources.known); n != 1 {
			t.Errorf("one link has %d senders in mind", n)
		}
		a.sources.mu.Unlock()
		g, err := testBoth("node3").open(dialedFrom(t, mem, "10.0.0.3", a), psk{}, one)
		if err != nil {
			t.Fatal(err)
		}
		accepted := newLink(g, true, uncounted)
		defer accepted.close()
		if err := send(accepted, kindEventsBack, one, 1, "as its acceptor"); !errors.Is(err, ErrUnknownKind) {
			t.Errorf("the opener's events under the kind of the acceptor: %v", err)
		}
		got := a.received()
		if got = slices.DeleteFunc(got, func(m string) bool { return m == "other" }); !slices.Equal(got, []string{"once"}) {
			t.Errorf("%q came", got)
		}
	})
}

// Links that end with the node, or whose key is removed, end in both directions.
func TestOneLinkForBothEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		rings := []*ring{{keys: []string{"old", "new"}}, {keys: []string{"old", "new"}}}
		a, b := memNode(t, mem, 1, both(members, rings[0].config)), memNode(t, mem, 2, both(members, rings[1].config))
		a.Keep([]Peer{b.peer})
		b.Keep([]Peer{a.peer})
		time.Sleep(5 * time.Second)
		for i, n := range []*node{b, a} {
			rings[1-i].set("new")
			n.KeysChanged()
			a.send(b.peer, "one")
			b.send(a.peer, "one")
			time.Sleep(5 * time.Second)
			if lk := b.linkTo("node1"); lk == nil || lk.key != newPSK(testKey("new")) {
				t.Error("the link with the removed key is in use")
			}
		}
		wantMessages(t, a.received(), "one", "one")
		wantMessages(t, b.received(), "one", "one")
		if out, in := a.links(); out+in != 1 {
			t.Errorf("%v and %v links are open", out, in)
		}
		begin := time.Now()
		b.stop()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("the acceptor stopped after %v", took)
		}
		a.send(b.peer, "later")
		b = memNode(t, mem, 2, both(members, rings[1].config))
		time.Sleep(10 * time.Second)
		wantMessages(t, b.received(), "later")
		a.stop()
		if _, in := b.links(); in != 0 {
			t.Errorf("%v links are open whose opener stopped", in)
		}
	})
}
