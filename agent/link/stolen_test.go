package link

import (
	"context"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler/varint"
)

// A stranger of a plain cluster asks a node for its hello, has the node open a link to
// it, and sends under the IDs that it was told and far ahead of the node's numbers. What
// the node sends afterwards is delivered all the same.
func TestAStrangerCannotSpeakForASender(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), memNode(t, mem, 2, nil)
		a.send(b.peer, "before")
		synctest.Wait()

		asked, err := testParty("stranger").open(dialed(t, mem, 5, a), psk{}, newSenderID())
		if err != nil {
			t.Fatal(err)
		}
		asked.Close()
		inner := mem.add(6)
		a.send(Peer{Name: "stranger", Addr: inner.Addr().String()}, "for the stranger")
		conn := <-inner.StreamCh()
		io.ReadFull(conn, make([]byte, 1))
		told, err := testParty("stranger").accept(conn, []psk{{}})
		if err != nil {
			t.Fatal(err)
		}
		told.Close()

		for _, id := range []senderID{asked.remote.sender, told.remote.sender} {
			g, err := testParty(a.peer.Name).open(dialed(t, mem, 5, b), psk{}, id)
			if err != nil {
				t.Fatal(err)
			}
			lk := newLink(g, true, uncounted)
			head := binary.AppendUvarint(appendKind(nil, kindEvents), 1<<40)
			st, err := lk.openStream(context.Background(), varint.AppendBytes(head, "forged"), answerBuffer, func(int64) {})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			st.Close()
			lk.close()
		}
		a.send(b.peer, "after")
		time.Sleep(10 * time.Second)
		if got := strings.Join(b.received(), " "); !strings.Contains(got, "before") || !strings.HasSuffix(got, "after") {
			t.Errorf("%q came, the sender was told that all did: %v", got, !a.pendingFor(b.peer.Name))
		}
	})
}

// A sender that says that it leaves no number out is held to that: a stream that begins
// too far ahead is refused with its link, and nothing of it is delivered. Another host
// that uses the same ID is another sender.
func TestNumbersThatAreLeftOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		b := memNode(t, mem, 1, nil)
		id := newSenderID()
		send := func(from int, first uint64, msg string) {
			t.Helper()
			party := testParty("raw")
			party.self.features = []string{featureOwnID}
			g, err := party.open(dialed(t, mem, from, b), psk{}, id)
			if err != nil {
				t.Fatal(err)
			}
			lk := newLink(g, true, uncounted)
			defer lk.close()
			head := binary.AppendUvarint(appendKind(nil, kindEvents), first)
			if _, err := lk.openStream(context.Background(), varint.AppendBytes(head, msg), answerBuffer, func(int64) {}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		send(1, 7, "seven")
		send(1, 9, "nine")
		send(1, 7, "seven again")
		send(2, 9, "nine of another host")
		send(1, 8, "eight")
		wantMessages(t, b.received(), "seven", "nine of another host", "eight")
		if log := b.log.String(); !strings.Contains(log, "message 9 comes after message 7") {
			t.Errorf("the log does not tell of it:\n%s", log)
		}
	})
}
