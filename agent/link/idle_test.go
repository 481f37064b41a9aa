package link

import (
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// holeConn loses everything from some time on, and nobody is told.
type holeConn struct {
	net.Conn
	open atomic.Bool
}

func (c *holeConn) Read(b []byte) (int, error) {
	for {
		if n, err := c.Conn.Read(b); err != nil || !c.open.Load() {
			return n, err
		}
	}
}

func (c *holeConn) Write(b []byte) (int, error) {
	if c.open.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// The opener of a link notices that the other side is gone without a word, and opens
// another one if it is kept.
func TestOtherSideIsGoneWithoutAWord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var hole *holeConn // the first link
		mem.wrap = func(c net.Conn) net.Conn {
			if hole != nil {
				return c
			}
			hole = &holeConn{Conn: c}
			return hole
		}
		var lost losses
		a, b := memNode(t, mem, 1, lost.config), memNode(t, mem, 2, nil)
		a.Keep([]Peer{b.peer})
		time.Sleep(10*time.Minute + time.Second)
		if open := b.metric("agentctl_link_open", "in"); open != 1 || lost.told("node2") != 0 {
			t.Fatalf("%v links are open while both sides are there", open)
		}
		hole.open.Store(true)
		time.Sleep(3*time.Minute + idleInterval + pingTimeout + time.Second)
		if lost.told("node2") != 1 || mem.dialed() != 2 {
			t.Errorf("the opener lost %d links, and has dialed %d", lost.told("node2"), mem.dialed())
		}
		time.Sleep(4 * time.Minute)
		if n := b.metric("agentctl_link_closed_total", closeSilent); n != 0 { // the opener closed it
			t.Errorf("the acceptor closed %v links as silent", n)
		}
	})
}

// An accepted link is closed if nothing comes for so long that its opener must be gone.
func TestAcceptedLinkIsSilent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		b := memNode(t, mem, 1, nil)
		lk := rawLink(t, mem, 1, b)
		begin := time.Now()
		select {
		case <-lk.session.CloseChan():
		case <-time.After(time.Hour):
		}
		lk.close()
		synctest.Wait()
		if d := time.Since(begin); d < 6*time.Minute || d > 7*time.Minute {
			t.Errorf("it was closed after %v", d)
		}
		if n := b.metric("agentctl_link_closed_total", closeSilent); n != 1 {
			t.Errorf("%v links are counted as silent", n)
		}
	})
}

// countConn counts what passes.
type countConn struct {
	net.Conn
	reads, writes atomic.Int64
}

func (c *countConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.reads.Add(1)
	return n, err
}

func (c *countConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// A kept link that is idle has a ping and its answer every three minutes, and no more.
func TestIdleLinkIsQuiet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var conn *countConn
		mem.wrap = func(c net.Conn) net.Conn {
			conn = &countConn{Conn: c}
			return conn
		}
		a, b := memNode(t, mem, 1, nil), memNode(t, mem, 2, nil)
		a.Keep([]Peer{b.peer})
		time.Sleep(time.Second)
		synctest.Wait()
		reads, writes := conn.reads.Load(), conn.writes.Load()
		time.Sleep(3 * time.Hour)
		reads, writes = conn.reads.Load()-reads, conn.writes.Load()-writes
		if reads > 60 || writes > 60 || writes < 50 || mem.dialed() != 1 {
			t.Errorf("in three hours, %d packets came and %d went over %d links", reads, writes, mem.dialed())
		}
		for range 180 { // each message is a sign of life
			a.send(b.peer, "hello")
			time.Sleep(time.Minute)
		}
		if n := conn.writes.Load() - writes; n > 400 {
			t.Errorf("%d packets went with 180 messages in three hours", n)
		}
	})
}

// An idle link takes little, also after a burst.
func TestIdleLinksAreSmall(t *testing.T) {
	const links, most, goroutines = 20, 72 << 10, 9
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		hub := memNode(t, mem, 1, nil)
		peers := make([]Peer, links)
		for i := range peers {
			peers[i] = memNode(t, mem, i+2, func(c *Config) { c.Deliver = func(Peer, [][]byte) Ack { return Ack{} } }).peer
		}
		synctest.Wait()
		heap, running := heapHeld(), runtime.NumGoroutine()
		hub.Keep(peers)
		for range 2000 {
			hub.Broadcast(peers, make([]byte, 300))
		}
		time.Sleep(3 * idleInterval)
		if hub.Waiting() > 0 {
			t.Errorf("%d messages wait", hub.Waiting())
		}
		if n := (heapHeld() - heap) / links; n > most {
			t.Errorf("a link takes %d bytes of the heap, more than %d", n, most)
		}
		if n := runtime.NumGoroutine() - running; n > goroutines*links {
			t.Errorf("%d links take %d goroutines, more than %d each", links, n, goroutines)
		}
	})
}

func heapHeld() int64 {
	emptyPools()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkIdleLinks tells what kept links take, both ends together, after a message and
// after many.
func BenchmarkIdleLinks(b *testing.B) {
	const links = 100
	for name, keys := range map[string]func(*Config){"plain": nil, "keyed": withKeys("one")} {
		for _, messages := range []int{1, 2000} {
			b.Run(fmt.Sprint(name, "/", messages), func(b *testing.B) {
				hub := netNode(b, "hub", keys)
				nodes := make([]*node, links)
				peers := make([]Peer, links)
				for i := range nodes {
					nodes[i] = netNode(b, fmt.Sprint("node", i), func(c *Config) {
						if keys != nil {
							keys(c)
						}
						c.Deliver = func(Peer, [][]byte) Ack { return Ack{} }
					})
					peers[i] = nodes[i].peer
				}
				before, goroutines := held(), runtime.NumGoroutine()
				hub.Keep(peers)
				for b.Loop() {
					for range messages {
						hub.Broadcast(peers, make([]byte, 300))
					}
					waitFor(b, "acknowledgements", func() bool { return hub.Waiting() == 0 })
				}
				time.Sleep(2*idleInterval + time.Second)
				b.ReportMetric(float64(held()-before)/links, "B/link")
				b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/links, "goroutines/link")
				hub.stop()
				for _, n := range nodes {
					n.stop()
				}
			})
		}
	}
}

// BenchmarkIdlePairs tells what two nodes take that keep a link to each other and have sent
// a message in each direction: in one link for both directions, and in a link for each.
func BenchmarkIdlePairs(b *testing.B) {
	const pairs = 100
	for name, alone := range map[string]bool{"one link": false, "two links": true} {
		b.Run(name, func(b *testing.B) {
			change := func(c *Config) {
				c.noBothWays = alone
				c.Member = func(string, string) bool { return true }
				c.Deliver = func(Peer, [][]byte) Ack { return Ack{} }
			}
			hub := netNode(b, "hub", change)
			nodes := make([]*node, pairs)
			peers := make([]Peer, pairs)
			for i := range nodes {
				nodes[i] = netNode(b, fmt.Sprint("node", i), change)
				peers[i] = nodes[i].peer
			}
			before, goroutines := held(), runtime.NumGoroutine()
			hub.Keep(peers)
			for b.Loop() {
				hub.Broadcast(peers, make([]byte, 300))
				for _, n := range nodes {
					n.Keep([]Peer{hub.peer})
					n.Broadcast([]Peer{hub.peer}, make([]byte, 300))
				}
				waitFor(b, "acknowledgements", func() bool {
					waiting := hub.Waiting()
					for _, n := range nodes {
						waiting += n.Waiting()
					}
					return waiting == 0
				})
			}
			time.Sleep(2*idleInterval + time.Second)
			b.ReportMetric(float64(held()-before)/pairs, "B/pair")
			b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/pairs, "goroutines/pair")
			out, in := hub.links()
			b.ReportMetric((out+in)/pairs, "links/pair")
			hub.stop()
			for _, n := range nodes {
				n.stop()
			}
		})
	}
}

// held is what the heap and the stacks take.
func held() int64 {
	emptyPools()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
