package link

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler/varint"
)

// rawMember is a member with the name node2 that a node opens a link to, and whose link a test
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
