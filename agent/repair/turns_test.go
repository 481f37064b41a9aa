package repair

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
)

// peersAt gives a node a hundred peers, of which three are near.
func peersAt(n *modelNode) (r *Repair, near []string) {
	var all []string
	for i := range 100 {
		all = append(all, fmt.Sprint("p", i))
	}
	near = []string{"p0", "p50", "p99"}
	r = n.rep
	r.cfg.Peers = func() []string { return all }
	r.cfg.Near = func() []string { return append([]string{"gone"}, near...) }
	return r, near
}

// Most turns are of near peers, and still each peer has its turn. At rest a round has one.
func TestMostTurnsAreOfNearPeers(t *testing.T) {
	for resting, each := range map[bool]int{false: 2, true: 1} {
		t.Run(fmt.Sprint("at rest: ", resting), func(t *testing.T) {
			inCluster(t, []int{10}, func(t *testing.T, c *modelCluster) {
				r, near := peersAt(c.nodes[0])
				turns := map[string]int{}
				total, ofNear := 0, 0
				for total < 100*farEvery {
					r.resting = resting
					got := r.draw()
					if len(got) != each {
						t.Fatalf("a round asks %q", got)
					}
					for _, peer := range got {
						turns[peer]++
						if total++; slices.Contains(near, peer) {
							ofNear++
						}
					}
				}
				if len(turns) != 100 || turns["gone"] > 0 {
					t.Errorf("%d peers have had their turns: %v", len(turns), turns)
				}
				if least := total - total/farEvery; ofNear < least || ofNear > least+len(near) {
					t.Errorf("%d of %d turns are of near peers", ofNear, total)
				}
			})
		})
	}
}

// A kick, and what came to the log, end the rest.
func TestRestEnds(t *testing.T) {
	inCluster(t, []int{1000, 1000, 1000, 1000, 1000}, func(t *testing.T, c *modelCluster) {
		c.near = 2
		n := c.nodes[0]
		c.rounds(8)
		asked := func() int {
			c.asks = 0
			n.rep.round(c.ctx)
			return c.asks
		}
		if got := asked(); got > 1 || !n.rep.resting {
			t.Errorf("at rest a round asks %d times", got)
		}
		c.tell(1, c.nodes...)
		if got := asked(); got != 2 || n.rep.resting {
			t.Errorf("once an event came a round asks %d times", got)
		}
		if asked(); !n.rep.resting {
			t.Error("the rest does not begin again")
		}
		n.rep.Meet("n3", "test")
		n.rep.Meet("n4", "test")
		if got := n.rep.draw(); len(got) != 3 || !slices.Equal(got[:2], []string{"n3", "n4"}) {
			t.Errorf("once peers were met %q are asked", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan string, 1000)
		cfg := config()
		cfg.Peers = func() []string { return []string{"a", "b", "c"} }
		cfg.Near = cfg.Peers
		cfg.Ask = func(_ context.Context, peer string, _ []byte) ([]byte, error) {
			asked <- peer
			return nil, errUnreachable
		}
		r := newRepair(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(10 * time.Minute) // nobody waits for an answer any more
		for len(asked) > 0 {
			<-asked
		}
		for range 20 {
			time.Sleep(5 * time.Second)
			before := len(asked)
			r.Kick("test")
			time.Sleep(kickWait)
			synctest.Wait()
			if n := len(asked) - before; n < 2 {
				t.Fatalf("after a kick %d peers are asked", n)
			}
		}
		cancel()
		<-done
	})
}

// A near peer that has asked here and has the same events is not asked in turn. A peer can
// ask at will, so that spares every second turn at most, and none of all peers.
func TestWhoAsksSparesATurn(t *testing.T) {
	inCluster(t, []int{10}, func(t *testing.T, c *modelCluster) {
		r, _ := peersAt(c.nodes[0])
		same := func(peer string) {
			t.Helper()
			own, err := r.cfg.Store.Digests(span{1, ^uint64(0)})
			if err == nil {
				_, err = r.Handle(c.ctx, peer, encodeRequest(&compareRequest{from: 1, known: own}))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		r.resting = true
		for range 2 * farEvery {
			if same("p7"); len(r.draw()) != 1 {
				t.Fatal("a turn is spared since a peer has asked that is not near")
			}
		}
		const rounds = 100 * farEvery
		spared, far := 0, 0
		for i := range rounds {
			if i%7 != 0 { // so that no turn is spared always
				same("p50")
			}
			switch got := r.draw(); {
			case len(got) == 0:
				spared++
			case (i+1)%farEvery == 0: // the count begins here at a multiple of it
				far++
			}
		}
		if spared == 0 || spared > rounds/2 || far != rounds/farEvery {
			t.Errorf("of %d rounds %d are spared, and %d ask any peer", rounds, spared, far)
		}
		r.resting = false
		for range 2 * farEvery {
			if same("p50"); len(r.draw()) != 2 {
				t.Fatal("a turn is spared when the node does not rest")
			}
		}
		r.cfg.Ask = func(context.Context, string, []byte) ([]byte, error) { return nil, errUnreachable }
		for i := range uint64(2 * farEvery) {
			if err := c.nodes[0].mem.Append(handler.NewUser(5+i, "e", nil, c.nodes[0].born)); err != nil {
				t.Fatal(err)
			}
			r.resting = true
			same("p50")
			if r.round(c.ctx); r.turns.spared {
				t.Fatal("a turn is spared although the log has grown")
			}
		}
	})
}
