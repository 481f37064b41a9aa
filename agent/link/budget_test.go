package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rawFrame is a frame of yamux.
func rawFrame(kind byte, flags uint16, stream, length uint32, body ...byte) []byte {
	b := []byte{0, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(binary.BigEndian.AppendUint32(b, length), body...)
}

// rawConn is a plain link from the i-th address whose frames a test writes itself.
func rawConn(t *testing.T, mem *memNet, i int, name string, to *node) net.Conn {
	t.Helper()
	g, err := testParty(name).open(dialed(t, mem, i, to), psk{}, senderID{})
	if err != nil {
		t.Fatal(err)
	}
	g.SetDeadline(time.Time{})
	return g
}

// open are the names of the links that others have opened, and how many of each.
func (n *node) open() map[string]int {
	n.Links.mu.Lock()
	defer n.Links.mu.Unlock()
	names := map[string]int{}
	for lk := range n.accepted {
		if lk.alive() {
			names[lk.peer.Name]++
		}
	}
	return names
}

// A link with streams without end is closed, also where each of them is refused or was
// closed by both sides but for a last word; others are served on.
func TestLinkWithTooManyStreams(t *testing.T) {
	for name, body := range map[string][]byte{
		"silent":         nil,
		"of no kind":     {99},
		"of many events": {byte(kindEvents), 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mem := newMemNet()
				a, b := memNode(t, mem, 1, nil), memNode(t, mem, 2, nil)
				a.send(b.peer, "before")
				synctest.Wait()
				conn := rawConn(t, mem, 5, "stranger", b)
				go io.Copy(io.Discard, conn)
				streams := uint32(0)
				for ; streams < 1000; streams++ {
					if _, err := conn.Write(rawFrame(frameTypeData, frameFlagSYN, 2*streams+1, uint32(len(body)), body...)); err != nil {
						break
					}
					synctest.Wait()
				}
				if streams <= linkStreams || streams > sessionStreams+1 || b.metric("agentctl_link_closed_total", closeStreams) != 1 {
					t.Errorf("the link was closed after %d streams, and %v closed links are counted", streams, b.metric("agentctl_link_closed_total", closeStreams))
				}
				a.send(b.peer, "after")
				synctest.Wait()
				wantMessages(t, b.received(), "before", "after")
			})
		})
	}
}

// The other side has some time to close a stream that was closed here.
func TestStreamThatIsNotClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		b := memNode(t, mem, 2, nil)
		conn := rawConn(t, mem, 5, "stranger", b)
		begin := time.Now()
		go conn.Write(rawFrame(frameTypeData, frameFlagSYN, 1, 1, 99))
		io.Copy(io.Discard, conn)
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("the link was closed after %v", took)
		}
	})
}

// Pings have to be answered, so a flood of them ends the link.
func TestLinkThatPingsWithoutEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		b := memNode(t, mem, 2, nil)
		conn := rawConn(t, mem, 5, "stranger", b)
		go io.Copy(io.Discard, conn)
		n := uint32(0)
		for ; n < 1000; n++ {
			if _, err := conn.Write(rawFrame(frameTypePing, frameFlagSYN, 0, n)); err != nil {
				break
			}
			synctest.Wait()
		}
		if n < pingBurst || n > 2*pingBurst {
			t.Errorf("the link was closed after %d pings", n)
		}
	})
}

// Links that hold what they have sent are closed over the limit of their peer, or of all
// strangers: first those of the host that holds most. Nobody else loses a link.
func TestLinksHoldBoundedMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		release := make(chan struct{})
		defer close(release)
		b := memNode(t, mem, 2, func(c *Config) {
			c.maxRequests = 1000
			c.Handlers = map[Kind]Handler{KindBody: func(ctx context.Context, _ Peer, _ []byte) ([]byte, error) {
				select {
				case <-release:
				case <-ctx.Done():
				}
				return nil, nil
			}}
			c.Member = func(name, host string) bool { return strings.HasPrefix(name, "member") && host != "10.0.6.1" }
		})
		fill := func(from int, name string, streams int) {
			t.Helper()
			conn := rawConn(t, mem, from, name, b)
			go io.Copy(io.Discard, conn)
			body := make([]byte, linkWindow) // a request that is too long, in two parts
			body[0] = byte(KindBody)
			body[1], body[2], body[3] = 0x80, 0x80, 0x08 // a length of 128 KiB
			for i := range uint32(streams) {
				if _, err := conn.Write(rawFrame(frameTypeData, frameFlagSYN, 2*i+1, linkWindow, body...)); err != nil {
					break
				}
				synctest.Wait()
			}
		}
		fill(1, "honest-stranger", 2)
		fill(3, "member-a", 2)
		fill(4, "member-b", 16)
		for i := range 10 {
			fill(5, fmt.Sprint("stranger-", i), 14) // some 4 MiB
			fill(5, "member-of-another-host", 14)
		}
		for range 3 {
			fill(4, "member-b", 16)
		}
		open := b.open()
		if open["honest-stranger"] != 1 || open["member-a"] != 1 {
			t.Errorf("others have lost their links: %v are open", open)
		}
		b.budget.mu.Lock()
		defer b.budget.mu.Unlock()
		for name, o := range b.budget.owners {
			if o.bytes > b.budget.limitOf(name) {
				t.Errorf("%q holds %d bytes", name, o.bytes)
			}
		}
		if _, ok := b.budget.owners["10.0.5.1"]; !ok || len(b.budget.owners) != 3 {
			t.Errorf("%d owners are known", len(b.budget.owners))
		}
		if n := b.metric("agentctl_link_closed_total", closeMemory); n < 10 {
			t.Errorf("%v links are counted as closed", n)
		}
	})
}

// Strangers and each peer have a share of the requests that are handled at a time.
func TestRequestsAreShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		release := make(chan struct{})
		b := memNode(t, mem, 50, func(c *Config) {
			c.maxRequests = 16
			c.Member = func(name, _ string) bool { return name == "node1" || name == "node2" }
			c.Handlers = map[Kind]Handler{KindBody: func(_ context.Context, _ Peer, _ []byte) ([]byte, error) {
				<-release
				return nil, nil
			}}
		})
		type result struct {
			asker int
			err   error
		}
		results := make(chan result)
		ask := func(asker *node, i int) {
			for range 8 {
				go func() {
					_, err := asker.Request(t.Context(), b.peer, KindBody, nil)
					results <- result{i, err}
				}()
			}
		}
		var askers []*node
		for i := range 6 {
			askers = append(askers, memNode(t, mem, 6-i, nil)) // node6 to node1
			ask(askers[i], 6-i)
		}
		got := map[int]int{} // answered with busy
		for range 6*8 - 8 - 2*4 {
			r := <-results
			if !errors.Is(r.err, errBusy) {
				t.Errorf("node%d: %v", r.asker, r.err)
			}
			got[r.asker]++
		}
		if got[1] != 4 || got[2] != 4 || got[3]+got[4]+got[5]+got[6] != 24 {
			t.Errorf("%v were told that the node is busy", got)
		}
		close(release)
		for range 8 + 2*4 {
			if r := <-results; r.err != nil {
				t.Errorf("node%d: %v", r.asker, r.err)
			}
		}
	})
}

// What was held is given back.
func TestNothingIsHeldInTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, nil)
		b := memNode(t, mem, 2, func(c *Config) {
			c.Handlers = map[Kind]Handler{KindBody: func(_ context.Context, _ Peer, req []byte) ([]byte, error) { return req, nil }}
		})
		a.send(b.peer, append(numbered(3000), strings.Repeat("x", 68<<10))...)
		for i := range 100 {
			kind := KindBody
			if i%3 == 0 {
				kind = 99
			}
			a.Request(t.Context(), b.peer, kind, make([]byte, 100<<10))
		}
		time.Sleep(time.Second)
		b.budget.mu.Lock()
		defer b.budget.mu.Unlock()
		if held := b.budget.owners[""].bytes; held != streamCost { // of events
			t.Errorf("%d bytes are held by an idle link", held)
		}
	})
}

// A host with very many links loses its own.
func TestLinksOfOneHostCostNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		b := memNode(t, mem, 1, func(c *Config) { c.maxLinks = 10 })
		for i := range 4 {
			go io.Copy(io.Discard, rawConn(t, mem, 20+i, fmt.Sprint("honest-", i), b))
			time.Sleep(time.Second)
		}
		for i := range 30 {
			go io.Copy(io.Discard, rawConn(t, mem, 5, fmt.Sprint("liar-", i), b))
			time.Sleep(time.Second)
		}
		want := map[string]int{"honest-0": 1, "honest-1": 1, "honest-2": 1, "honest-3": 1}
		for i := range 6 {
			want[fmt.Sprint("liar-", 24+i)] = 1
		}
		if diff := cmp.Diff(want, b.open()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A link that came before its node was known as a member is not a stranger's afterwards.
func TestAPeerThatIsKnownLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var known atomic.Bool
		b := memNode(t, mem, 2, func(c *Config) {
			c.Member = func(name, _ string) bool { return name == "late" && known.Load() }
			c.maxRequests = 1000
			c.Handlers = map[Kind]Handler{KindBody: func(ctx context.Context, _ Peer, _ []byte) ([]byte, error) {
				<-ctx.Done()
				return nil, nil
			}}
		})
		// Requests that are not answered, with more behind them.
		fill := func(from int, name string, streams int) {
			t.Helper()
			conn := rawConn(t, mem, from, name, b)
			go io.Copy(io.Discard, conn)
			for i := range uint32(streams) {
				body := append([]byte{byte(KindBody)}, make([]byte, linkWindow-1)...)
				conn.Write(rawFrame(frameTypeData, frameFlagSYN, 2*i+1, linkWindow, body...))
				synctest.Wait()
			}
		}
		fill(1, "late", 8)
		known.Store(true)
		for i := range 40 {
			fill(20+i, fmt.Sprint("stranger-", i), 4)
		}
		if n := b.metric("agentctl_link_closed_total", closeMemory); n == 0 || b.open()["late"] != 1 {
			t.Errorf("%v links were closed, and those are open: %v", n, b.open())
		}
	})
}

// What a closed link holds counts until it is gone: those that come instead of it wait,
// and then go on.
func TestClosedLinksCountUntilTheyAreGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		release := make(chan struct{})
		var handled, most, all atomic.Int64
		b := memNode(t, mem, 2, func(c *Config) {
			c.maxRequests = 1000
			c.Handlers = map[Kind]Handler{KindBody: func(context.Context, Peer, []byte) ([]byte, error) {
				most.Store(max(most.Load(), handled.Add(1)))
				all.Add(1)
				<-release // whatever becomes of the link
				handled.Add(-1)
				return nil, nil
			}}
		})
		request := append([]byte{byte(KindBody), 0x80, 0x80, 0x08}, make([]byte, 128<<10)...)
		for i := range 20 {
			conn := rawConn(t, mem, 5, fmt.Sprint("stranger-", i), b)
			go io.Copy(io.Discard, conn)
			go func() {
				for i := range uint32(14) {
					if _, err := conn.Write(rawFrame(frameTypeData, frameFlagSYN, 2*i+1, uint32(len(request)), request...)); err != nil {
						return
					}
				}
			}()
			synctest.Wait()
		}
		before := all.Load()
		if held := most.Load() * dataCost * (128 << 10); held > strangerMemory || held < strangerMemory/2 {
			t.Errorf("requests of %d bytes were handled at a time", held)
		}
		close(release)
		synctest.Wait()
		if all.Load() == before {
			t.Error("no request came after those of closed links")
		}
	})
}
