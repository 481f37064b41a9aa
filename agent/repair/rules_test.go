package repair

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
)

// inCluster runs a test with nodes that retain so many events each.
func inCluster(t *testing.T, limits []int, test func(t *testing.T, c *modelCluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t.Context())
		for _, limit := range limits {
			c.add(limit)
		}
		time.Sleep(time.Hour) // so that all were there before what follows
		test(t, c)
	})
}

// tell has some nodes take n new events.
func (c *modelCluster) tell(n int, nodes ...*modelNode) {
	for range n {
		time.Sleep(time.Millisecond)
		clock := uint64(0)
		for _, node := range c.nodes {
			clock = max(clock, node.clock)
		}
		e := handler.NewUser(clock, "e", []byte(fmt.Sprint(clock)), time.Now())
		c.published[e.ID] = time.Now()
		for _, node := range nodes {
			node.take(e)
		}
	}
}

func (c *modelCluster) rounds(n int) {
	for range n {
		time.Sleep(20 * time.Second)
		for _, node := range c.nodes {
			if node.up {
				node.rep.round(c.ctx)
			}
		}
	}
}

func holds(t *testing.T, n *modelNode, events, gaps int) {
	t.Helper()
	if len(n.log) != events || len(n.gaps) != gaps {
		t.Errorf("%s has %d events and was flushed %d times, want %d and %d", n.name, len(n.log), len(n.gaps), events, gaps)
	}
}

// A node that was away fetches what it missed, and nothing is flushed.
func TestBackInTime(t *testing.T) {
	inCluster(t, []int{1000, 1000, 1000}, func(t *testing.T, c *modelCluster) {
		a, b, away := c.nodes[0], c.nodes[1], c.nodes[2]
		c.tell(10, a, b, away)
		c.rounds(3)
		away.crash(false)
		c.tell(50, a, b)
		time.Sleep(time.Hour)
		away.start()
		c.rounds(2)
		holds(t, away, 60, 0)
		if n := len(a.rep.state.peers); n != 2 {
			t.Errorf("watermarks of %d peers, want 2", n)
		}
	})
}

// What a peer of an older version has and no journal here may have is left, and
// all else is fetched.
func TestSkipped(t *testing.T) {
	inCluster(t, []int{1000, 1000}, func(t *testing.T, c *modelCluster) {
		a, b := c.nodes[0], c.nodes[1]
		b.rep.cfg.Skip = func(e *handler.Event) bool { return e.Name == "foreign" }
		c.tell(10, a)
		a.take(handler.NewUser(a.clock, "foreign", nil, time.Now()))
		c.tell(10, a)
		b.rep.round(c.ctx)
		holds(t, b, 20, 0)
		hurry, err := b.rep.attempt(c.ctx, a.name)
		if hurry || err != nil {
			t.Errorf("with nothing else lacking: %v, %v", hurry, err)
		}
		holds(t, b, 20, 0)
	})
}

// What nobody has any more is one flush, and what comes after that is fetched.
func TestAwayForTooLong(t *testing.T) {
	inCluster(t, []int{20, 20, 20}, func(t *testing.T, c *modelCluster) {
		a, b, away := c.nodes[0], c.nodes[1], c.nodes[2]
		c.tell(10, a, b, away)
		c.rounds(3)
		away.crash(false)
		for range 6 {
			c.tell(10, a, b)
			c.rounds(1)
		}
		time.Sleep(time.Hour)
		away.start()
		c.rounds(4)
		holds(t, away, 10, 1) // the history is older than the flush
		c.tell(5, a)
		c.rounds(2)
		holds(t, away, 15, 1)
		holds(t, a, 75, 0)
		holds(t, b, 75, 0)
	})
}

// One peer has let go of what another has compared with it in time. That is hearsay, so
// the node is flushed, once, although it gets the events as well.
func TestOnlyTheOwnerIsBelieved(t *testing.T) {
	inCluster(t, []int{1000, 1000, 20}, func(t *testing.T, c *modelCluster) {
		a, witness, small := c.nodes[0], c.nodes[1], c.nodes[2]
		c.rounds(1)
		a.half = 1
		for range 5 {
			c.tell(10, small)
			time.Sleep(20 * time.Second)
			if _, err := witness.rep.attempt(c.ctx, small.name); err != nil {
				t.Fatal(err)
			}
		}
		a.half = 0
		c.rounds(2)
		holds(t, a, 50, 1)
	})
}

// A peer that will soon have let go of what was not compared is asked again
// soon.
func TestAPeerThatForgetsSoon(t *testing.T) {
	inCluster(t, []int{1000, 20}, func(t *testing.T, c *modelCluster) {
		a, small := c.nodes[0], c.nodes[1]
		for _, step := range []struct {
			events int
			hurry  bool
		}{{20, false}, {5, false}, {14, true}} {
			c.tell(step.events, a, small)
			if hurry, err := a.rep.attempt(c.ctx, small.name); err != nil || hurry != step.hurry {
				t.Errorf("after %d events: %v, %v", step.events, hurry, err)
			}
		}
	})
}

// A fresh gateway has nothing of the history to invalidate.
func TestANewNode(t *testing.T) {
	inCluster(t, []int{1000, 10}, func(t *testing.T, c *modelCluster) {
		c.tell(100, c.nodes...)
		c.rounds(2)
		time.Sleep(time.Hour)
		fresh := c.add(1000)
		time.Sleep(time.Minute)
		c.rounds(3)
		holds(t, fresh, 0, 0)
		c.tell(3, c.nodes[0])
		c.rounds(2)
		holds(t, fresh, 3, 0)
	})
}

// What was let go of before a restart is not fetched again from a peer with a
// longer history.
func TestNoHistoryAgainAfterARestart(t *testing.T) {
	inCluster(t, []int{5, 1000}, func(t *testing.T, c *modelCluster) {
		short := c.nodes[0]
		c.tell(50, c.nodes...)
		c.rounds(2)
		short.crash(false)
		// A journal that was loaded from a file knows no more of what went.
		short.forgetful = true
		short.start()
		c.rounds(3)
		holds(t, short, 50, 0)
	})
}

// All restart without their journals, and the clocks begin again. A node that
// kept its own gets the new events, whose Lamport times are below its own.
func TestClocksBeginAgain(t *testing.T) {
	inCluster(t, []int{1000, 1000, 1000}, func(t *testing.T, c *modelCluster) {
		kept := c.nodes[0]
		c.tell(30, c.nodes...)
		c.rounds(2)
		for _, n := range c.nodes {
			n.crash(n != kept)
		}
		time.Sleep(time.Minute)
		c.nodes[1].start()
		c.nodes[2].start()
		for i := range uint64(5) {
			c.nodes[1].take(handler.NewUser(1+i, "new", nil, time.Now()))
		}
		kept.start()
		c.rounds(3)
		holds(t, kept, 35, 0)
	})
}

// A journal that is not the one whose watermarks were kept proves nothing: what is
// below the base is looked at by watermarks alone.
func TestAnotherJournal(t *testing.T) {
	inCluster(t, []int{1000, 1000}, func(t *testing.T, c *modelCluster) {
		a, b := c.nodes[0], c.nodes[1]
		a.rep.state.base = 1 << 20
		c.tell(10, b)
		c.rounds(2)
		holds(t, a, 10, 0)
		a.crash(false)
		a.log = a.log[:4] // an old copy
		a.start()
		c.rounds(1)
		holds(t, a, 10, 0)
	})
}

// A crash cuts off the end of a log, and others come to those numbers: what was
// compared there before counts no more.
func TestAMarkOnALogThatCrashed(t *testing.T) {
	inCluster(t, []int{1000, 1000}, func(t *testing.T, c *modelCluster) {
		a, b := c.nodes[0], c.nodes[1]
		a.rep.state.base = 1 << 20 // so that all is looked at by number
		c.tell(5, b)
		a.rep.round(c.ctx)
		holds(t, a, 5, 0)
		b.crash(false) // it had committed none of them
		holds(t, b, 0, 0)
		a.half = 1
		b.start()
		c.tell(5, b)
		a.half = 0
		for range 2 {
			time.Sleep(20 * time.Second)
			a.rep.round(c.ctx)
		}
		holds(t, a, 10, 0)
	})
}

// A number of 2^62 that an older version took from hearsay, and kept, is worth nothing:
// the log's owner denies it, or repeats it, if it is of an older version itself.
func TestHearsayThatAnOlderVersionKept(t *testing.T) {
	for _, old := range []bool{false, true} {
		inCluster(t, []int{1000, 1000}, func(t *testing.T, c *modelCluster) {
			a, b := c.nodes[0], c.nodes[1]
			a.rep.state.base = 1 << 20 // so that all is looked at by number
			c.tell(1, b)
			a.rep.round(c.ctx)
			a.rep.state.peers[b.name].seq = farAway
			a.rep.save(c.ctx)
			a.crash(false)
			a.start()
			if seq := a.rep.state.peers[b.name].seq; seq != farAway {
				t.Fatalf("the watermark is %d before the owner was asked", seq)
			}
			if ask := a.rep.cfg.Ask; old {
				a.rep.cfg.Ask = func(ctx context.Context, peer string, req []byte) ([]byte, error) {
					resp, err := ask(ctx, peer, req)
					var answer compareAnswer
					if m, _ := decodeRequest(req); m.kind() == kindCompare && decodeAnswer(resp, &answer) == nil {
						if seq := m.(*compareRequest).seq; seq > 0 {
							answer.watermark, answer.late = seq, false
						}
						resp = encodeAnswer(&answer)
					}
					return resp, err
				}
			}
			c.tell(1, b)
			c.rounds(2)
			holds(t, a, 2, 0)
		})
	}
}

// Of two peers that say that they have the same log, the lower watermark is kept: the
// higher one may be the liar's.
func TestTwoPeersWithOneLog(t *testing.T) {
	s := newState()
	s.meet("honest", watermark{7, 5}, journal.Digest{}, time.UnixMilli(1))
	s.meet("liar", watermark{7, farAway}, journal.Digest{}, time.UnixMilli(2))
	again, err := decodeState(s.encode())
	if err != nil || again.peers["honest"].seq != 5 || again.peers["liar"].seq != 5 {
		t.Errorf("%+v, %v", again, err)
	}
}

// Peers without end push out those whose logs moved the longest ago, and no more. The next
// process knows fewer.
func TestManyPeers(t *testing.T) {
	s := newState()
	for i := range maxLogs + 10 {
		s.meet(fmt.Sprint(i), watermark{uint64(i), 1}, journal.Digest{}, time.UnixMilli(int64(i)))
	}
	s.meet(strings.Repeat("x", maxPeerName+1), watermark{1, 1}, journal.Digest{}, time.UnixMilli(1))
	if len(s.peers) != maxLogs || s.peers["9"] != nil || s.peers["10"] == nil {
		t.Errorf("%d peers", len(s.peers))
	}
	again, err := decodeState(s.encode())
	first := maxLogs + 10 - maxPeers
	if err != nil || len(again.peers) != maxPeers || again.peers[fmt.Sprint(first-1)] != nil || again.peers[fmt.Sprint(first)] == nil {
		t.Errorf("%d peers are kept, %v", len(again.peers), err)
	}
}

// A state that cannot be read is not thrown away.
func TestStateThatCannotBeRead(t *testing.T) {
	inCluster(t, []int{10}, func(t *testing.T, c *modelCluster) {
		n := c.nodes[0]
		n.rep.save(c.ctx)
		good := n.kept.state
		for _, bad := range [][]byte{{}, {9}, good[:len(good)-1], append(good[:len(good):len(good)], 0)} {
			cfg := n.rep.cfg
			cfg.State = bad
			if _, err := New(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), "remove it") {
				t.Errorf("state % x: %v", bad, err)
			}
		}
	})
}

// Peers are asked in turn, whoever comes and goes, and each once a round.
func TestEachPeerHasItsTurn(t *testing.T) {
	inCluster(t, []int{10}, func(t *testing.T, c *modelCluster) {
		r := c.nodes[0].rep
		r.cfg.Peers = func() []string { return []string{"a", "b", "c", "d", "b", "e", "f"} }
		for range 5 {
			asked := map[string]int{}
			for range 3 {
				for _, p := range r.draw() {
					asked[p]++
				}
			}
			if len(asked) != 6 {
				t.Errorf("in 3 rounds: %v", asked)
			}
		}
		r.cfg.Peers = func() []string { return []string{"z", "z"} }
		if got := r.draw(); len(got) != 1 || got[0] != "z" {
			t.Errorf("of one peer: %v", got)
		}
	})
}
