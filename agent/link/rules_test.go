package link

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/yamux"

	"agentctl/handler/varint"
)

// rawLink opens a link whose streams a test writes itself.
func rawLink(t *testing.T, mem *memNet, i int, to *node) *link {
	t.Helper()
	g, err := testParty("raw").open(dialed(t, mem, i, to), psk{}, newSenderID())
	if err != nil {
		t.Fatal(err)
	}
	lk := newLink(g, true, uncounted)
	t.Cleanup(lk.close)
	return lk
}

// A link has one stream of events at a time.
func TestSecondStreamOfEventsIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		b := memNode(t, mem, 1, nil)
		lk := rawLink(t, mem, 1, b)
		head := append(appendKind(nil, kindEvents), 1)
		open := func() (*stream, error) {
			st, err := lk.openStream(context.Background(), head, answerBuffer, func(int64) {})
			if err != nil {
				t.Fatal(err)
			}
			_, err = st.readReply(0)
			return st, err
		}
		first, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open(); !errors.Is(err, errBusy) {
			t.Errorf("a second stream: %v", err)
		}
		first.Write(varint.AppendBytes(nil, "goes on"))
		synctest.Wait()
		wantMessages(t, b.received(), "goes on")
		first.Close()
		synctest.Wait()
		if _, err := open(); err != nil {
			t.Errorf("a stream after the first has ended: %v", err)
		}
	})
}

// A stream that does not say what it is for is closed, and the link stays.
func TestStreamWithoutAKind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		lk := rawLink(t, mem, 1, memNode(t, mem, 1, nil))
		st, err := lk.openStream(context.Background(), nil, answerBuffer, func(int64) {})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := st.r.ReadByte(); err != io.EOF || time.Since(begin) != kindTimeout {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		if !lk.alive() {
			t.Error("the link was closed")
		}
	})
}

// Streams are opened by who opened the link if one side is of a former version: the other
// side takes none.
func TestAcceptingSideOpensNoStreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), memNode(t, mem, 2, func(c *Config) { c.noBothWays = true })
		a.send(b.peer, "hello")
		synctest.Wait()
		b.Links.mu.Lock()
		accepted := slices.Collect(maps.Keys(b.accepted))
		b.Links.mu.Unlock()
		if _, err := accepted[0].session.OpenStream(); err != yamux.ErrRemoteGoAway {
			t.Errorf("opening a stream the other way: %v", err)
		}
	})
}

// A peer that acknowledges what it was not sent is not believed.
func TestAcknowledgementOfWhatWasNotSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, nil)
		inner := mem.add(2)
		to := Peer{Name: "liar", Addr: inner.Addr().String()}
		a.send(to, "one", "two")
		conn := <-inner.StreamCh()
		io.ReadFull(conn, make([]byte, 1))
		g, err := testParty("liar").accept(conn, []psk{{}})
		if err != nil {
			t.Fatal(err)
		}
		lk := newLink(g, false, uncounted)
		s, err := lk.session.AcceptStream()
		if err != nil {
			t.Fatal(err)
		}
		st := newStream(context.Background(), s, bufio.NewReader(nil), func(int64) {})
		st.writeReply(statusOK, nil)
		go io.Copy(io.Discard, st)
		synctest.Wait()
		st.Write([]byte{3})
		<-lk.session.CloseChan()
		lk.close()
		synctest.Wait()
		if !a.pendingFor("liar") || !strings.Contains(a.log.String(), "acknowledges message 3, which was not sent") {
			t.Errorf("it was believed; log:\n%s", a.log)
		}
		inner.Shutdown()
		honest := startNode(t, "liar", to.Addr, mem.add(2), nil)
		time.Sleep(10 * time.Second)
		wantMessages(t, honest.received(), "one", "two")
	})
}

// uncounted is for links of tests that nobody bounds.
func uncounted(*link) func(bool, int64) error { return func(bool, int64) error { return nil } }
