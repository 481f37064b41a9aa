package link

import (
	"agentctl/scripts/testkit"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// frailConn breaks after so many bytes in both directions together.
type frailConn struct {
	net.Conn
	left atomic.Int64
}

func (c *frailConn) use(n int) {
	if c.left.Add(int64(-n)) < 0 {
		c.Close()
	}
}

func (c *frailConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.use(n)
	return n, err
}

func (c *frailConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b[:min(len(b), int(max(1, c.left.Load())))])
	c.use(n)
	if err == nil && n < len(b) {
		err = net.ErrClosed
	}
	return n, err
}

// Links that break anywhere, in the handshake, a frame or an acknowledgement,
// cost time and no message, bring none twice, and keep the order.
func TestLinksThatBreakLoseNothing(t *testing.T) {
	for seed := range uint64(testkit.Setting(t, "AGENTCTL_TEST_BROKEN_LINKS", 4, 12)) {
		bubble(t, func(t *testing.T) {
			r, cuts := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
			mem := newMemNet()
			broken := 0
			mem.wrap = func(c net.Conn) net.Conn {
				if broken++; broken > 60 {
					return c // from now on they hold
				}
				frail := &frailConn{Conn: c}
				frail.left.Store(cuts.Int64N(1 << (4 + cuts.IntN(12))))
				return frail
			}
			var keys func(*Config)
			if seed%2 == 0 {
				keys = withKeys("one")
			}
			a, b := memNode(t, mem, 1, keys), memNode(t, mem, 2, keys)
			want := numbered(5000)
			for i, m := range want {
				a.send(b.peer, m)
				if i%100 == 0 {
					time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
				}
			}
			time.Sleep(10 * time.Minute) // a test's clock: links break up to 60 times, 5 s apart
			wantMessages(t, b.received(), want...)
			if a.pendingFor("node2") {
				t.Error("messages that were delivered are still kept")
			}
			t.Logf("seed %d: %d links, %v duplicates dropped", seed, mem.dialed(), b.metric("agentctl_link_messages_total", "duplicate"))
		})
	}
}

// A peer that nobody reaches is dialed less and less, but for as long as
// something waits for it; a restart on its side delays nothing for ever.
func TestPeerThatIsAwayGetsItLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, nil)
		to := Peer{Name: "node2", Addr: "10.0.0.2:7946"}
		a.send(to, "one", "two")
		time.Sleep(10 * time.Minute)
		dials := a.metric("agentctl_link_dials_total", "failed")
		if dials < 600/5 || dials > 600 {
			t.Errorf("%v dials in 10 minutes: not between one in 5 s and one a second", dials)
		}
		b := memNode(t, mem, 2, nil)
		time.Sleep(5 * time.Second)
		wantMessages(t, b.received(), "one", "two")
		a.send(to, "three")
		synctest.Wait()
		b.stop()

		a.send(to, "four") // over a link that is dead, or to nobody
		synctest.Wait()
		again := memNode(t, mem, 2, nil)
		time.Sleep(10 * time.Second)
		wantMessages(t, again.received(), "four")
	})
}

// Waits grow from 50 ms to 5 s, and differ.
func TestRetryWaits(t *testing.T) {
	for i, ceiling := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
		attempt := i + 1
		seen := make(map[time.Duration]bool)
		for range 100 {
			w := retryWait(attempt)
			seen[w] = true
			if w < minWait || w > ceiling*time.Millisecond {
				t.Errorf("attempt %d waits %v", attempt, w)
			}
		}
		if len(seen) < 10 {
			t.Errorf("attempt %d: %d different waits of 100", attempt, len(seen))
		}
	}
	if w := retryWait(1 << 30); w > maxWait {
		t.Errorf("a late attempt waits %v", w)
	}
}

// A peer that takes nothing fills its own queue, which drops what does not fit
// and says so; nobody else waits, and Broadcast never does.
func TestSlowPeerFillsItsOwnQueueOnly(t *testing.T) {
	for name, limit := range map[string]func(*Config){
		"messages": func(c *Config) { c.queueMessages = 1000 },
		"bytes":    func(c *Config) { c.queueBytes = 1000 * 501 },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mem := newMemNet()
				a := memNode(t, mem, 1, limit)
				release := make(chan struct{})
				var slow, quick *node
				slow = memNode(t, mem, 2, func(c *Config) {
					take := c.Deliver
					c.Deliver = func(from Peer, msgs [][]byte) Ack {
						<-release
						return take(from, msgs)
					}
				})
				quick = memNode(t, mem, 3, nil)
				begin := time.Now()
				padding := string(make([]byte, 495))
				var want []string
				for i := range 3000 {
					m := string(rune('a'+i%26)) + padding + string(rune('0'+i/1000)) + "::" // 499 bytes, 501 encoded
					want = append(want, m)
					if err := a.Broadcast([]Peer{slow.peer, quick.peer}, []byte(m)); err != nil {
						t.Fatal(err)
					}
					if i%100 == 0 {
						synctest.Wait() // no time passes, and the quick one keeps up
					}
				}
				synctest.Wait()
				if waited := time.Since(begin); waited != 0 {
					t.Errorf("Broadcast and the quick peer waited for %v", waited)
				}
				wantMessages(t, quick.received(), want...)
				time.Sleep(time.Second)
				if n := a.behindBy("node2"); n != 2000 {
					t.Errorf("Behind was told of %d messages to the slow peer, not 2000", n)
				}
				if n := a.behindBy("node3"); n != 0 {
					t.Errorf("Behind was told of %d messages to the quick peer", n)
				}
				if n := a.metric("agentctl_link_dropped_total", dropFull); n != 2000 {
					t.Errorf("%v messages are counted as dropped", n)
				}
				close(release)
				time.Sleep(time.Minute)
				wantMessages(t, slow.received(), want[:1000]...)
				a.send(slow.peer, "again") // there is room again
				synctest.Wait()
				wantMessages(t, slow.received(), append(want[:1000:1000], "again")...)
			})
		})
	}
}

// The table of senders is bounded, and keeps those who are there.
func TestSourcesAreBounded(t *testing.T) {
	s := &sources{limit: 3}
	id := func(i int) sourceKey { return sourceKey{id: senderID{byte(i), byte(i >> 8)}} }
	here := s.open(id(0))
	here.had = 7
	for i := 1; i < 500; i++ {
		s.close(s.open(id(i)))
		if n := len(s.known); n > 3 {
			t.Fatalf("%d senders are remembered", n)
		}
	}
	if again := s.open(id(0)); again.had != 7 {
		t.Error("a sender with an open stream was forgotten")
	}
	if again := s.open(id(499)); again.streams != 1 {
		t.Error("a stream that ended is still counted")
	}
}
