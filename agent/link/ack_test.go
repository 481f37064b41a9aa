package link

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// unacked is how many messages to a peer are not acknowledged.
func unacked(n *node, name string) int {
	n.Links.mu.Lock()
	defer n.Links.mu.Unlock()
	if p := n.peers[name]; p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.queue.Len()
	}
	return 0
}

// ackedBy is a node whose Deliver does with each message what the message says: "soon",
// "held" and a number, or anything else for at once. Settle settles those of a number.
type ackedBy struct {
	*node
	mu      sync.Mutex
	settles map[string][]func()
}

func ackNode(t *testing.T, mem *memNet, i int) *ackedBy {
	b := &ackedBy{settles: map[string][]func(){}}
	b.node = memNode(t, mem, i, func(c *Config) {
		take := c.Deliver
		c.Deliver = func(from Peer, msgs [][]byte) Ack {
			take(from, msgs)
			b.mu.Lock()
			defer b.mu.Unlock()
			last := string(msgs[len(msgs)-1])
			if strings.HasPrefix(last, "held") {
				ack, settle := Held()
				b.settles[last] = append(b.settles[last], settle)
				return ack
			}
			if strings.HasPrefix(last, "soon") {
				return Soon()
			}
			return Ack{}
		}
	})
	return b
}

func (b *ackedBy) settle(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.settles[what] {
		f()
		f() // which does nothing
	}
	delete(b.settles, what)
}

// Messages are acknowledged in their order: at once, soon, or once they are settled.
func TestWhenMessagesAreAcknowledged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), ackNode(t, mem, 2)
		send := func(msgs ...string) {
			for _, m := range msgs {
				a.send(b.peer, m)
				synctest.Wait() // each is a batch
			}
		}
		want := func(when string, n int) {
			t.Helper()
			synctest.Wait()
			if got := unacked(a, "node2"); got != n {
				t.Errorf("%s, %d messages are not acknowledged, want %d", when, got, n)
			}
		}
		send("now")
		want("at once", 0)
		send("soon", "soon")
		want("soon", 2)
		time.Sleep(AckDelay - time.Nanosecond)
		send("soon")
		want("just before the delay has passed", 3)
		time.Sleep(time.Nanosecond)
		want("after it", 0)
		send("soon")
		time.Sleep(AckDelay / 2)
		send("now")
		want("with a message that is acknowledged at once", 0)
		send("soon")
		time.Sleep(AckDelay - time.Nanosecond)
		want("with a new delay", 1)
		time.Sleep(time.Nanosecond)
		want("after that", 0)

		send("held 1", "now", "soon", "held 2", "soon")
		want("behind one that is held", 5)
		b.settle("held 2")
		time.Sleep(time.Minute)
		want("a minute later, since the first is held", 5)
		b.settle("held 1")
		want("once all are settled", 0)

		send("soon", "held 3")
		time.Sleep(AckDelay)
		want("with one that is held behind", 1)
		b.settle("held 3")
		want("in the end", 0)
	})
}

// A sender keeps few messages for acknowledgements that may come late.
func TestAcknowledgementsOfManyDoNotWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), ackNode(t, mem, 2)
		for i := range 3 * ackMost {
			a.send(b.peer, "soon")
			synctest.Wait()
			if n := unacked(a, "node2"); n != (i+1)%ackMost {
				t.Fatalf("%d of %d messages are not acknowledged", n, i+1)
			}
		}
	})
}

// Waiting counts what a caller may wait for, and Stuck all messages.
func TestWaitingLeavesOutWhatIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), ackNode(t, mem, 2)
		tell := func(msg string) {
			if err := a.Tell([]Peer{b.peer}, []byte(msg)); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		want := func(when string, n int, stuck ...string) {
			t.Helper()
			synctest.Wait()
			if got := a.Waiting(); got != n {
				t.Errorf("%s %d are waiting, want %d", when, got, n)
			}
			if got := a.Stuck(0); !slices.Equal(got, stuck) {
				t.Errorf("%s %q are stuck, want %q", when, got, stuck)
			}
		}
		tell("soon")
		want("with one that was told,", 0, "node2")
		a.send(b.peer, "soon")
		tell("soon")
		want("with one behind it,", 2, "node2")
		time.Sleep(AckDelay)
		want("after the delay,", 0)
		a.send(b.peer, "held 1")
		synctest.Wait()
		tell("soon")
		want("with one that is held,", 1, "node2")
		b.settle("held 1")
		want("in the end,", 0)
		tell("soon")
		a.Forget("node2")
		a.send(b.peer, "held 2")
		want("after it was forgotten,", 1, "node2")
		b.settle("held 2")
	})
}

// What is held stays so over a new link: it comes again, is not delivered again, and is
// acknowledged once it is settled.
func TestHeldOverANewLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), ackNode(t, mem, 2)
		for _, m := range []string{"now", "held", "now"} {
			a.send(b.peer, m)
			synctest.Wait()
		}
		for range 3 {
			a.linkTo("node2").close()
			time.Sleep(10 * time.Second)
			if n := unacked(a, "node2"); n != 2 {
				t.Errorf("%d messages are not acknowledged over a new link", n)
			}
		}
		b.settle("held")
		synctest.Wait()
		if n := unacked(a, "node2"); n != 0 {
			t.Errorf("%d messages are not acknowledged in the end", n)
		}
		wantMessages(t, b.received(), "now", "held", "now")
	})
}

// Nothing is left of what waits when links end, or is settled after that.
func TestAcknowledgementsEndWithTheLinks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), ackNode(t, mem, 2)
		for _, m := range []string{"held", "soon"} {
			a.send(b.peer, m)
			synctest.Wait()
		}
		begin := time.Now()
		b.stop()
		if took := time.Since(begin); took >= AckDelay {
			t.Errorf("they end after %v", took)
		}
		b.settle("held")
		time.Sleep(time.Minute)
		wantMessages(t, b.received(), "held", "soon")
	})
}
