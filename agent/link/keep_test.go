package link

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// losses counts what Config.Lost is told.
type losses struct {
	mu sync.Mutex
	of map[string]int
}

func (l *losses) config(c *Config) {
	c.Lost = func(name string, _ bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.of == nil {
			l.of = map[string]int{}
		}
		l.of[name]++
	}
}

func (l *losses) told(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of[name]
}

// A kept link is there before the first message, for as long as it is kept, and again
// after it broke. A link that is kept no longer is closed as any other.
func TestKeptLinks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var lost losses
		a, b, c := memNode(t, mem, 1, lost.config), memNode(t, mem, 2, nil), memNode(t, mem, 3, nil)
		a.Keep([]Peer{b.peer, c.peer})
		synctest.Wait()
		if a.linkTo("node2") == nil || a.linkTo("node3") == nil || mem.dialed() != 2 {
			t.Fatalf("%d links were opened at once", mem.dialed())
		}
		time.Sleep(time.Hour)
		a.Keep([]Peer{b.peer, c.peer})
		a.send(c.peer, "hello")
		synctest.Wait()
		wantMessages(t, c.received(), "hello")
		if mem.dialed() != 2 {
			t.Errorf("%d links were opened in an hour", mem.dialed())
		}

		b.stop()
		time.Sleep(10 * time.Second)
		if n := lost.told("node2"); n < 3 || n > 20 || lost.told("node3") != 0 {
			t.Errorf("Lost was told of %d and %d failures", n, lost.told("node3"))
		}
		b = memNode(t, mem, 2, nil)
		time.Sleep(maxWait)
		if a.linkTo("node2") == nil {
			t.Error("the link that broke was not opened again")
		}
		before := lost.told("node2")

		a.Keep([]Peer{b.peer})
		time.Sleep(15 * time.Minute)
		if a.linkTo("node3") != nil || a.known() != 1 {
			t.Errorf("a link is open that is not kept any more, and %d peers are known", a.known())
		}
		c.stop()
		a.Forget("node2")
		time.Sleep(time.Minute)
		if a.linkTo("node2") != nil || lost.told("node2") != before || lost.told("node3") != 0 {
			t.Errorf("Lost was told of a link that was not kept: %v", lost.of)
		}
		a.Keep([]Peer{b.peer})
		synctest.Wait()
		if a.linkTo("node2") == nil {
			t.Error("a peer that was forgotten cannot be kept again")
		}
	})
}

// A kept link that is closed by the other side over and over is opened less and less.
func TestKeptLinkThatIsClosedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var lost losses
		a := memNode(t, mem, 1, lost.config)
		to := liar(t, mem, 2, "liar", func(st *stream) { st.Session().Close() })
		a.Keep([]Peer{to})
		time.Sleep(10 * time.Minute)
		if n := mem.dialed(); n < 600/5 || n > 600 || lost.told("liar") < n-1 {
			t.Errorf("%d links were opened in 10 minutes, and %d were told to be lost", n, lost.told("liar"))
		}
	})
}

// A kept node that is no peer is asked again after a while, or at another address.
func TestKeptNodeThatIsNoPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, nil)
		stock := mem.add(2)
		go func() {
			for {
				select {
				case conn := <-stock.StreamCh():
					conn.Read(make([]byte, 1024))
					conn.Close() // as a stock agent does with what it does not know
				case <-t.Context().Done():
					return
				}
			}
		}()
		b := memNode(t, mem, 3, nil)
		a.Keep([]Peer{{Name: "node3", Addr: stock.Addr().String()}})
		time.Sleep(11*time.Minute + 30*time.Second)
		if n := mem.dialed(); n != 3 {
			t.Errorf("it was asked %d times in 11 minutes and a half, not every 5", n)
		}
		a.Keep([]Peer{b.peer})
		synctest.Wait()
		if a.linkTo("node3") == nil {
			t.Error("it was not asked at its new address")
		}
	})
}

// Links that are not kept make room for others, however new they are.
func TestKeptLinksDoNotMakeRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var lost losses
		a := memNode(t, mem, 1, func(c *Config) { c.maxLinks = 2; lost.config(c) })
		b, c, d := memNode(t, mem, 2, nil), memNode(t, mem, 3, nil), memNode(t, mem, 4, nil)
		a.Keep([]Peer{b.peer})
		time.Sleep(time.Second)
		for _, other := range []*node{c, d, c} {
			a.send(other.peer, "one")
			time.Sleep(time.Second)
			if a.linkTo("node2") == nil || a.linkTo(other.peer.Name) == nil {
				t.Errorf("after a message to %s not both links are open", other.peer.Name)
			}
		}
		if lost.told("node2") != 0 {
			t.Error("the kept link was lost")
		}
	})
}

// A peer is stuck while it acknowledges nothing, whether it has a link or not.
func TestStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, nil)
		next := make(chan bool)
		slow := memNode(t, mem, 2, func(c *Config) { c.Deliver = func(Peer, [][]byte) Ack { <-next; return Ack{} } })
		quick := memNode(t, mem, 3, nil)
		away := Peer{Name: "away", Addr: "10.0.0.9:7946"}
		want := func(when string, age time.Duration, names ...string) {
			t.Helper()
			synctest.Wait()
			if got := a.Stuck(age); !slices.Equal(got, names) {
				t.Errorf("%s, these are stuck for %v: %q, want %q", when, age, got, names)
			}
		}
		want("before any message", 0)
		for _, p := range []Peer{slow.peer, quick.peer, away} {
			a.send(p, "one")
		}
		synctest.Wait()
		time.Sleep(time.Second)
		a.send(slow.peer, "two")
		want("a second later", time.Second, "away", "node2")
		want("a second later", time.Second+1)
		next <- true
		want("after one acknowledgement", 1, "away")
		time.Sleep(time.Second)
		want("a second after it", time.Second, "away", "node2")
		next <- true
		want("after the last one", 0, "away")
		time.Sleep(time.Second)
		a.send(slow.peer, "three")
		want("with a new message", 1, "away")
		next <- true
		a.Forget("away")
		want("in the end", 0)
	})
}
