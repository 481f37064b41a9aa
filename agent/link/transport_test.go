package link

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/memnet"
)

// dialed returns a stream to a node from the i-th address of the network.
func dialed(t *testing.T, mem *memNet, i int, to *node) net.Conn {
	t.Helper()
	from := mem.Add("10.0." + string(rune('1'+i)) + ".1:5")
	conn, err := from.DialTimeout(to.peer.Addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Streams and packets that are not links pass through as they are, at once, and
// while others say nothing.
func TestTransportPassesOnWhatIsNotALink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		b := memNode(t, mem, 1, nil)
		for i := range 200 { // more than may be silent from one host
			dialed(t, mem, i%2, b)
		}
		begin := time.Now()
		sender := dialed(t, mem, 3, b)
		go sender.Write([]byte{10, magic, 3})
		conn := <-b.Transport().StreamCh()
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("a stream waited %v behind silent ones", waited)
		}
		got := make([]byte, 3)
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, []byte{10, magic, 3}) {
			t.Errorf("memberlist reads %v, %v", got, err)
		}
		if conn.RemoteAddr().String() == "" {
			t.Error("the stream has lost its address")
		}
		// What comes later is memberlist's own affair, and has its deadlines.
		time.Sleep(10 * time.Second)
		begin = time.Now()
		go sender.Write([]byte{7})
		if _, err := io.ReadFull(conn, got[:1]); err != nil || got[0] != 7 {
			t.Errorf("memberlist reads %v later, %v", got[0], err)
		}
		conn.Close()
		// Silent streams are memberlist's to close; it gets each, with no deadline.
		for range 200 {
			silent := <-b.Transport().StreamCh()
			if waited := time.Since(begin); waited > 3*time.Second {
				t.Errorf("a silent stream waited %v", waited)
			}
			silent.Close()
		}
		mem.add(9).WriteTo([]byte{magic}, b.peer.Addr)
		if got := <-b.Transport().PacketCh(); !bytes.Equal(got.Buf, []byte{magic}) {
			t.Errorf("a packet was changed: %v", got.Buf)
		}
	})
}

// Too many silent streams of one host go to memberlist unseen, not away.
func TestSilentStreamsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		b := memNode(t, mem, 1, nil)
		for range 2 * sniffPerHost { // those that have spoken do not count
			go dialed(t, mem, 1, b).Write([]byte{6})
			(<-b.Transport().StreamCh()).Close()
		}
		for range sniffPerHost {
			dialed(t, mem, 1, b)
		}
		synctest.Wait()
		dialed(t, mem, 1, b)
		(<-b.Transport().StreamCh()).Close()
		if n := b.metric("agentctl_link_rejected_total", rejectUnseen); n != 1 {
			t.Errorf("%v unseen streams are counted", n)
		}
		a := memNode(t, mem, 2, nil) // another host is not affected
		a.send(b.peer, "hello")
		synctest.Wait()
		wantMessages(t, b.received(), "hello")
	})
}

// Shutdown ends everything, also with streams in all states.
func TestTransportShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		b := memNode(t, mem, 1, nil)
		silent, waiting, link := dialed(t, mem, 1, b), dialed(t, mem, 1, b), dialed(t, mem, 1, b)
		go waiting.Write([]byte{6}) // for memberlist, which takes nothing
		go link.Write([]byte{magic})
		synctest.Wait()
		b.stop()
		for i, conn := range []net.Conn{silent, waiting, link} {
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Errorf("stream %d is still open", i)
			}
		}
		if err := b.Transport().Shutdown(); err != nil {
			t.Errorf("a second Shutdown: %v", err)
		}
	})
}

// Without Run, as while an agent starts or stops, links are refused in a way
// that makes a peer come back soon, and do not go to memberlist.
func TestLinksAreRefusedWithoutRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), memNode(t, mem, 2, nil)
		b.process()
		_, err := a.Request(t.Context(), b.peer, KindBody, nil)
		if refused, ok := errors.AsType[*refusedError](err); !ok || !strings.Contains(refused.reason, "starting or stopping") {
			t.Errorf("a peer that is stopping says: %v", err)
		}
		select {
		case <-b.Transport().StreamCh():
			t.Error("a link went to memberlist")
		default:
		}
	})
}

// What came by other ways is taken in where the wrapped transport can.
func TestTransportIngests(t *testing.T) {
	tr := netNode(t, "b", nil).Transport()
	ours, theirs := net.Pipe()
	go func() { ours.Write([]byte("packet")); ours.Close() }()
	go tr.IngestPacket(theirs, memnet.Addr("10.0.0.1:1"), time.Now(), true)
	if p := <-tr.PacketCh(); string(p.Buf) != "packet" {
		t.Errorf("the packet is %q", p.Buf)
	}
	ours, theirs = net.Pipe()
	go tr.IngestStream(theirs)
	go ours.Write([]byte("stream"))
	got := make([]byte, 6)
	if _, err := io.ReadFull(<-tr.StreamCh(), got); err != nil || string(got) != "stream" {
		t.Errorf("the stream is %q, %v", got, err)
	}
	ours.Close()

	other := memNode(t, newMemNet(), 1, nil).Transport()
	if err := errors.Join(other.IngestStream(ours), other.IngestPacket(ours, nil, time.Now(), false)); strings.Count(err.Error(), errNoIngest.Error()) != 2 {
		t.Errorf("a transport that cannot says %v", err)
	}
}
