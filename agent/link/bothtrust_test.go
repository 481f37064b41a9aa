package link

import (
	"bufio"
	"bytes"
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
