package broadcast

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"agentctl/agent/link"
	"agentctl/agent/plumtree"
)

// eventOf is the message of an event of publisher x, as its neighbours pass it on. Its payload
// is its number as a digit.
func eventOf(seq byte) []byte {
	return []byte{1, 0, 0, 0, 1, 'x', 1, seq, '0' + seq}
}

var aDigest = plumtree.Digest([]plumtree.ID{1})

// acksFleet are a node and two others, which send it what they like.
func acksFleet(t *testing.T) (to *member, a, b *talker) {
	f := newFleet(t, 3, 0, 0, everyone)
	to = f.nodes[0]
	peer, ok := f.nodes[1].cfg.Peers.Member(to.name)
	if !ok {
		t.Fatal("the node is not known")
	}
	a, b = &talker{t, f.nodes[1], peer}, &talker{t, f.nodes[2], peer}
	a.send(eventOf(1)) // opens the links
	b.send(eventOf(1))
	time.Sleep(time.Second)
	return to, a, b
}

// talker is a node that sends messages along trees to another one.
type talker struct {
	t  *testing.T
	m  *member
	to link.Peer
}

func (s *talker) send(msg []byte) {
	s.t.Helper()
	if err := s.m.links.Send([]link.Peer{s.to}, treeHead, msg); err != nil {
		s.t.Error(err)
	}
	time.Sleep(5 * time.Millisecond) // it is there by then, and acknowledged if it is to be
}

func (s *talker) want(when string, waiting int) {
	s.t.Helper()
	if got := s.m.links.Waiting(); got != waiting {
		s.t.Errorf("%s, %d messages of %s are not acknowledged, want %d", when, got, s.m.name, waiting)
	}
}

// An event that waits for those before it is acknowledged once the intake has it, and so is a
// copy of it from another neighbour. Nobody takes the node for stuck meanwhile.
func TestAnEventThatWaitsIsNotAcknowledged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		to, a, b := acksFleet(t)
		a.want("before", 0)
		begin := time.Now()
		a.send(eventOf(3))
		b.send(eventOf(3))
		a.send(eventOf(4))
		a.send(aDigest)
		time.Sleep(plumtree.OrderWait - time.Since(begin) - time.Millisecond)
		a.want("just before the wait ends", 3)
		b.want("just before the wait ends", 1)
		if got := to.events(); !slices.Equal(got, []string{"1"}) {
			t.Errorf("events are here before their time: %q", got)
		}
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			if s := slices.Concat(a.m.links.Stuck(plumtree.StuckAfter), b.m.links.Stuck(plumtree.StuckAfter)); len(s) > 0 {
				t.Errorf("%q counts as stuck", s)
			}
		}
		a.want("after it", 0)
		b.want("after it", 0)

		for range 20 { // agents of an earlier version count a second
			a.send(aDigest)
			time.Sleep(100 * time.Millisecond)
			if s := a.m.links.Stuck(time.Second); len(s) > 0 {
				t.Errorf("%q counts as stuck, with digests alone", s)
			}
		}
		time.Sleep(link.AckDelay)

		a.send(eventOf(6))
		time.Sleep(100 * time.Millisecond)
		a.want("with another gap", 1)
		b.send(eventOf(5))
		b.want("once the gap is closed", 0)
		a.want("once the gap is closed", 0)
		if got := to.events(); !slices.Equal(got, []string{"1", "3", "4", "5", "6"}) {
			t.Errorf("the events came as %q", got)
		}
	})
}

// What the intake does not take yet is not acknowledged, however it came: in order, after its
// wait, or as a copy of an event that is just being taken.
func TestWhatIsNotTakenInIsNotAcknowledged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		to, a, b := acksFleet(t)
		block := make(chan struct{})
		to.block.Store(&block)
		a.send(eventOf(3))
		time.Sleep(2 * plumtree.OrderWait)
		a.want("after its wait", 1)
		b.send(eventOf(3))
		b.want("as a copy", 1)
		b.send(eventOf(4))
		b.want("in order", 2)
		to.block.Store(nil)
		close(block)
		time.Sleep(5 * time.Millisecond)
		a.want("once they are taken", 0)
		b.want("once they are taken", 0)
	})
}

// Digests and the like are acknowledged soon, and what else comes with them decides for all.
func TestWhenWhatComesTogetherIsAcknowledged(t *testing.T) {
	if link.AckDelay > plumtree.OrderWait {
		t.Errorf("an acknowledgement waits for up to %v, longer than an event", link.AckDelay)
	}
	bubble(t, func(t *testing.T) {
		to, a, _ := acksFleet(t)
		from := link.Peer{Name: a.m.name, Addr: a.m.port.Addr().String()}
		along := func(msg []byte) []byte { return slices.Concat(treeHead, msg) }
		digest, plain := along(aDigest), []byte("plain")
		for _, c := range []struct {
			what string
			msgs [][]byte
			held bool
			want link.Ack
		}{
			{"a digest", [][]byte{digest}, false, link.Soon()},
			{"two", [][]byte{digest, digest}, false, link.Soon()},
			{"an event", [][]byte{digest, along(eventOf(2)), digest}, false, link.Ack{}},
			{"a copy", [][]byte{along(eventOf(2)), digest}, false, link.Ack{}},
			{"a message to this node alone", [][]byte{digest, plain, digest}, false, link.Ack{}},
			{"an event ahead", [][]byte{digest, along(eventOf(4)), plain, digest}, true, link.Ack{}},
			{"two of them apart", [][]byte{along(eventOf(6)), plain, along(eventOf(8))}, true, link.Ack{}},
			{"one with the one before it", [][]byte{along(eventOf(10)), along(eventOf(9))}, true, link.Ack{}},
		} {
			msgs := slices.Clone(c.msgs)
			for i := range msgs {
				msgs[i] = bytes.Clone(msgs[i])
			}
			got := to.Receive(from, msgs)
			if held := got != (link.Ack{}) && got != link.Soon(); held != c.held || !held && got != c.want {
				t.Errorf("with %s: %+v", c.what, got)
			}
		}
		time.Sleep(plumtree.OrderWait + 5*time.Millisecond)
		to.tree.mu.Lock()
		defer to.tree.mu.Unlock()
		if n := len(to.tree.waiting); n > 0 {
			t.Errorf("%d events are still waited for", n)
		}
	})
}
