package link

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler/varint"
)

// liar is a peer that others open links to, and that does with each stream what answer
// does.
func liar(t *testing.T, mem *memNet, i int, name string, answer func(st *stream)) Peer {
	t.Helper()
	inner := mem.add(i)
	go func() {
		for {
			select {
			case c := <-inner.StreamCh():
				io.ReadFull(c, make([]byte, 1))
				g, err := testParty(name).accept(c, []psk{{}})
				if err != nil {
					continue
				}
				lk := newLink(g, false, uncounted)
				go func() {
					for {
						s, err := lk.session.AcceptStream()
						if err != nil {
							lk.close()
							return
						}
						go answer(newStream(t.Context(), s, bufio.NewReader(nil), func(int64) {}))
					}
				}()
			case <-t.Context().Done():
				return
			}
		}
	}()
	return Peer{Name: name, Addr: inner.Addr().String()}
}

// What peers send on links that were opened here is bounded for each host, and given back.
// Over the limit a link is closed, not when the time for its requests is over.
func TestAnswersHoldBoundedMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, nil)
		long := varint.AppendBytes([]byte{statusOK}, make([]byte, 4<<20))
		to := liar(t, mem, 2, "liar", func(st *stream) { st.Write(long[:len(long)-1]) })
		honest := memNode(t, mem, 3, func(c *Config) {
			c.Handlers = map[Kind]Handler{KindBody: func(_ context.Context, _ Peer, _ []byte) ([]byte, error) { return long[:3<<20], nil }}
		})
		begin := time.Now()
		failed := make(chan time.Duration, linkRequests)
		for range linkRequests {
			go func() {
				if _, err := a.Request(t.Context(), to, KindBody, nil); err == nil {
					t.Error("there was an answer")
				}
				failed <- time.Since(begin)
			}()
		}
		if after := <-failed; after > time.Second {
			t.Errorf("the first request failed after %v", after)
		}
		for range 20 {
			resp, err := a.Request(t.Context(), honest.peer, KindBody, nil)
			if err != nil || !bytes.Equal(resp, long[:3<<20]) {
				t.Fatalf("the honest peer: %d bytes, %v", len(resp), err)
			}
		}
		for range linkRequests - 1 {
			<-failed
		}
		synctest.Wait()
		a.opened.mu.Lock()
		defer a.opened.mu.Unlock()
		for host, o := range a.opened.owners {
			if o.total() != 0 {
				t.Errorf("%d bytes of %s are held in the end", o.total(), host)
			}
		}
	})
}

// A peer that does not close its streams loses its link, before their windows take memory.
func TestAnswersThatDoNotEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, nil)
		to := liar(t, mem, 2, "liar", func(st *stream) {
			st.writeReply(statusOK, nil)
			st.Write(make([]byte, linkWindow-2))
		})
		if _, err := a.Request(t.Context(), to, KindBody, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second) // of a minute that an unused link has
		if a.linkTo("liar") != nil {
			t.Error("its link is open")
		}
	})
}
