package repair

import (
	"slices"
	"testing"
	"time"
)

// While events come, rounds do: what came here may not have come to all. Once
// all agree they are at rest.
func TestRoundsFollowEvents(t *testing.T) {
	inCluster(t, []int{1000, 1000, 1000}, func(t *testing.T, c *modelCluster) {
		n := c.nodes[0]
		c.rounds(2)
		if wait := n.rep.round(c.ctx); wait != n.rep.cfg.maxInterval {
			t.Errorf("at rest the next round comes within %v", wait)
		}
		c.tell(1, c.nodes...)
		if wait := n.rep.round(c.ctx); wait < soonWait/2 || wait > soonWait {
			t.Errorf("after an event the next round comes within %v", wait)
		}
		if wait := n.rep.round(c.ctx); wait != n.rep.cfg.maxInterval {
			t.Errorf("and then within %v", wait)
		}
	})
}

// Who asks and has another digest is asked in turn, at once: the node that is
// asked may be the one that lacks something. The same difference counts once.
func TestWhoAsksIsAsked(t *testing.T) {
	inCluster(t, []int{1000, 1000, 1000, 1000}, func(t *testing.T, c *modelCluster) {
		a, b := c.nodes[0], c.nodes[1]
		c.rounds(3)
		ask := func() {
			t.Helper()
			if _, err := a.rep.attempt(c.ctx, b.name); err != nil {
				t.Fatal(err)
			}
		}
		met := func() bool {
			select {
			case <-b.rep.kicked:
				return slices.Equal(b.rep.first, []string{a.name})
			default:
				return false
			}
		}
		ask()
		if met() {
			t.Error("they agree, and one is asked in turn")
		}
		c.tell(1, a)
		ask()
		if !met() {
			t.Fatalf("the one that lacks an event asks nobody: %v", b.rep.first)
		}
		if peers := b.rep.draw(); len(peers) != 2 || peers[0] != a.name || len(b.rep.first) != 0 {
			t.Errorf("it asks %v, and then %v", peers, b.rep.first)
		}
		ask()
		if met() {
			t.Error("the same difference counts twice")
		}
		c.rounds(2)
		holds(t, b, 1, 0)
	})
}

// Peers that were met are asked first, those that did not answer again, and the
// others have their turn all the same.
func TestWhoIsAskedFirst(t *testing.T) {
	inCluster(t, []int{10}, func(t *testing.T, c *modelCluster) {
		r := c.nodes[0].rep
		r.cfg.Peers = func() []string { return []string{"a", "b", "c", "d"} }
		for _, peer := range []string{"c", "gone", "d", "c", "b"} {
			r.Meet(peer, "test")
		}
		if got := r.draw(); len(got) != 3 || !slices.Equal(got[:2], []string{"c", "d"}) {
			t.Errorf("asked are %v, want c, d and one whose turn it is", got)
		}
		if wait := r.pace(tally{}); wait != hurryWait {
			t.Errorf("one more was met, and waits for %v", wait)
		}
		r.draw()
		r.retry = "a"
		for range 4 {
			if got := r.draw(); got[0] != "a" {
				t.Errorf("one did not answer, and the next are %v", got)
			}
		}
		for range maxSilent + 1 {
			r.pace(tally{waiting: true})
		}
		turns := map[string]int{}
		for range 20 {
			for _, p := range r.draw() {
				turns[p]++
			}
		}
		if turns["a"] > 12 || len(turns) != 4 {
			t.Errorf("after many rounds without an answer: %v", turns)
		}
		for range 2 * maxFirst {
			r.Meet(time.Now().String(), "test")
			time.Sleep(time.Second)
		}
		if len(r.first) != maxFirst {
			t.Errorf("%d are to be asked first", len(r.first))
		}
	})
}

// Peers that have themselves asked first, again and again, take no turn of others.
func TestWhoIsAskedFirstTakesNoTurn(t *testing.T) {
	inCluster(t, []int{10}, func(t *testing.T, c *modelCluster) {
		r := c.nodes[0].rep
		r.cfg.Peers = func() []string { return []string{"liar 1", "liar 2", "honest"} }
		turns := 0
		for range 30 {
			r.Meet("liar 1", "test")
			r.Meet("liar 2", "test")
			if slices.Contains(r.draw(), "honest") {
				turns++
			}
		}
		if turns < 10 {
			t.Errorf("the honest peer has %d turns in 30 rounds", turns)
		}
	})
}

// A node that was away is flushed once, however many of its peers have just let
// go of what it missed: all that they had then is older than the flush.
func TestOneFlushWhereAllForgetFast(t *testing.T) {
	inCluster(t, []int{1000, 5, 5, 5, 5}, func(t *testing.T, c *modelCluster) {
		away, others := c.nodes[0], c.nodes[1:]
		c.tell(1, c.nodes...)
		c.rounds(3)
		away.crash(false)
		c.tell(100, others...) // in a tenth of a second
		away.start()
		for range 20 {
			away.rep.round(c.ctx)
			time.Sleep(hurryWait)
		}
		holds(t, away, 1, 1)
		c.tell(3, others[0])
		for range 4 {
			away.rep.round(c.ctx)
			time.Sleep(hurryWait)
		}
		holds(t, away, 4, 1)
	})
}
