package link

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, withKeys("one"))
		b := memNode(t, mem, 2, func(c *Config) {
			withKeys("one")(c)
			c.Handlers = map[Kind]Handler{
				KindRepair: func(_ context.Context, from Peer, req []byte) ([]byte, error) {
					return append([]byte(from.Name+" says "), req...), nil
				},
				KindBody: func(_ context.Context, _ Peer, req []byte) ([]byte, error) {
					return bytes.Repeat(req, 1<<20), nil
				},
				KindQuestion: func(context.Context, Peer, []byte) ([]byte, error) {
					return nil, errors.New("no such thing" + strings.Repeat("!", 5000))
				},
			}
			c.maxRequest, c.maxResponse = 1000, 3<<20
		})
		if got, err := a.Request(t.Context(), b.peer, KindRepair, []byte("hi")); err != nil || string(got) != "node1 says hi" {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := a.Request(t.Context(), b.peer, KindBody, []byte("abc")); err != nil || len(got) != 3<<20 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := a.Request(t.Context(), b.peer, KindBody, []byte("abcd")); !strings.Contains(err.Error(), "longer than the limit") {
			t.Errorf("an answer that is too long: %v", err)
		}
		_, err := a.Request(t.Context(), b.peer, KindQuestion, nil)
		if text, ok := errors.AsType[remoteError](err); !ok || !strings.HasPrefix(string(text), "no such thing") || len(text) > maxErrorText {
			t.Errorf("a handler's error came as %.100v", err)
		}
		if _, err := a.Request(t.Context(), b.peer, KindBody, make([]byte, 1001)); !errors.Is(err, errTooLong) {
			t.Errorf("a request longer than the peer takes: %v", err)
		}
		if _, err := a.Request(t.Context(), b.peer, KindBody, make([]byte, 128<<10+1)); !errors.Is(err, errTooLong) {
			t.Errorf("a request longer than may be sent: %v", err)
		}
		// An unknown kind is refused, and the link stays.
		if _, err := a.Request(t.Context(), b.peer, 77, []byte("?")); !errors.Is(err, ErrUnknownKind) {
			t.Errorf("an unknown kind: %v", err)
		}
		a.send(b.peer, "still there")
		synctest.Wait()
		wantMessages(t, b.received(), "still there")
		if n := mem.dialed(); n != 1 {
			t.Errorf("%d links were opened", n)
		}
		for result, want := range map[string]float64{"ok": 2, "failed": 2, "too_long": 1, "unknown_kind": 1} {
			if n := b.metric("agentctl_link_requests_total", result); n != want {
				t.Errorf("%v requests are counted as %s, not %v", n, result, want)
			}
		}
	})
}

// However many ask, handlers run a few at a time; the others are told that the
// peer is busy, or wait on their own side.
func TestRequestsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var mu sync.Mutex
		var running, most, handled int
		b := memNode(t, mem, 1, func(c *Config) {
			c.maxRequests = 20 // half of them for strangers
			c.Handlers = map[Kind]Handler{KindBody: func(context.Context, Peer, []byte) ([]byte, error) {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				running--
				handled++
				mu.Unlock()
				return nil, nil
			}}
		})
		var askers []*node
		for i := range 4 {
			askers = append(askers, memNode(t, mem, i+2, nil))
		}
		results := make(chan error)
		for i := range 120 {
			go func() {
				_, err := askers[i%4].Request(t.Context(), b.peer, KindBody, nil)
				results <- err
			}()
		}
		var ok, busy int
		for range 120 {
			switch err := <-results; {
			case err == nil:
				ok++
			case errors.Is(err, errBusy):
				busy++
			default:
				t.Error(err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if most != 10 {
			t.Errorf("%d handlers ran at a time, not 10", most)
		}
		if ok != handled || ok < 10 || busy == 0 {
			t.Errorf("%d were answered, %d handled, %d told that the peer is busy", ok, handled, busy)
		}
	})
}

// A request ends with its context, its timeout, its peer or Run, whatever the
// handler does, and the handler's context ends too.
func TestRequestEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var handlers atomic.Int64
		a := memNode(t, mem, 1, nil)
		b := memNode(t, mem, 2, func(c *Config) {
			c.Handlers = map[Kind]Handler{KindBody: func(ctx context.Context, _ Peer, _ []byte) ([]byte, error) {
				handlers.Add(1)
				defer handlers.Add(-1)
				<-ctx.Done()
				return nil, ctx.Err()
			}}
		})
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Request(ctx, b.peer, KindBody, nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("a request with a second took %v: %v", time.Since(begin), err)
		}
		begin = time.Now()
		if _, err := a.Request(t.Context(), b.peer, KindBody, nil); err == nil || time.Since(begin) > 10*time.Second {
			t.Errorf("a request took %v: %v", time.Since(begin), err)
		}
		result := make(chan error)
		ask := func() {
			go func() {
				_, err := a.Request(t.Context(), b.peer, KindBody, nil)
				result <- err
			}()
			time.Sleep(time.Second)
		}
		ask()
		a.Forget("node2")
		if err := <-result; !errors.Is(err, errForgotten) {
			t.Errorf("asking a peer that was forgotten: %v", err)
		}
		ask()
		a.process()
		if err := <-result; !errors.Is(err, errNotRunning) {
			t.Errorf("asking while Run ends: %v", err)
		}
		time.Sleep(time.Minute)
		if n := handlers.Load(); n != 0 {
			t.Errorf("%d handlers still run", n)
		}
		if _, err := a.Request(t.Context(), b.peer, KindBody, nil); !errors.Is(err, errNotRunning) {
			t.Errorf("asking after Run: %v", err)
		}
	})
}

// Who answers at a node's address under another name is not that node.
func TestAnotherNodeAtTheAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), memNode(t, mem, 2, nil)
		before := Peer{Name: "before", Addr: b.peer.Addr}
		_, err := a.Request(t.Context(), before, KindBody, nil)
		if wrong, ok := errors.AsType[*wrongNodeError](err); !ok || wrong.got != "node2" {
			t.Errorf("%v", err)
		}
		a.send(before, "not for node2")
		time.Sleep(time.Minute)
		wantMessages(t, b.received())
		// The node has come back elsewhere: what waits goes there.
		inner := mem.add(3)
		c := startNode(t, "before", inner.Addr().String(), inner, nil)
		a.send(c.peer, "second")
		time.Sleep(10 * time.Second)
		wantMessages(t, c.received(), "not for node2", "second")
	})
}

// A node that moves while a link to its old address is being opened is served
// at the new one.
func TestNodeMovesWhileItIsDialed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, old := memNode(t, mem, 1, nil), mem.add(2)
		to := Peer{Name: "node", Addr: old.Addr().String()}
		a.send(to, "one")
		time.Sleep(time.Second)
		now := startNode(t, "node", "10.0.0.3:7946", mem.add(3), nil)
		a.send(now.peer, "two")
		before := startNode(t, "node", to.Addr, old, nil) // takes the dial
		time.Sleep(10 * time.Second)
		wantMessages(t, before.received())
		wantMessages(t, now.received(), "one", "two")
	})
}
