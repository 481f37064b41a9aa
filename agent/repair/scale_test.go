package repair

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit"
)

// scale is a cluster under load, in which each node compares at its own pace.
type scale struct {
	nodes, history int
	near           int           // neighbours of a node, 0 for none
	every          time.Duration // between events
	late           float64       // of all copies, those that only repair brings
	born           time.Duration // between births of nodes; 0 for none
	restarts       time.Duration // between restarts of nodes; 0 for none
	time           time.Duration
}

// figures are of the nodes that were there from the beginning, but for the requests.
type figures struct {
	flushes             int
	requests, bytes     float64 // asked by a node in a minute
	answered            int     // most requests that one node answered in a minute
	watermarks, blocks  int
	born, flushesOfBorn int
}

func (s scale) run(t *testing.T) (f figures) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		c := newCluster(t.Context())
		c.near = s.near
		var asks, bytes int
		answered := map[string]int{}
		due := map[*modelNode]time.Time{}
		add := func() *modelNode {
			n := c.add(s.history)
			due[n] = time.Now().Add(time.Duration(random.Int64N(int64(time.Second))))
			return n
		}
		c.asked = func(peer string, size int) {
			asks, bytes = asks+1, bytes+size
			answered[peer]++
		}
		for range s.nodes {
			add()
		}
		old := slices.Clone(c.nodes)
		began := time.Now()
		publish, birth, restart := began.Add(s.every), began.Add(s.born), began.Add(s.restarts)
		for time.Since(began) < s.time {
			time.Sleep(50 * time.Millisecond)
			now := time.Now()
			for ; s.every > 0 && !publish.After(now); publish = publish.Add(s.every) {
				var reached []*modelNode
				for _, n := range c.nodes {
					if random.Float64() >= s.late {
						reached = append(reached, n)
					}
				}
				c.tell(1, reached...)
			}
			if s.born > 0 && !birth.After(now) {
				birth = birth.Add(s.born)
				add()
				f.born++
			}
			if s.restarts > 0 && !restart.After(now) {
				restart = restart.Add(s.restarts)
				n := old[random.IntN(len(old))]
				n.commit()
				n.crash(false)
				n.start()
			}
			for _, n := range c.nodes {
				if !due[n].After(now) {
					due[n] = now.Add(min(n.rep.round(c.ctx), n.rep.cfg.minInterval+n.rep.upTo(n.rep.cfg.maxInterval-n.rep.cfg.minInterval)))
				}
			}
		}
		for _, n := range c.nodes {
			if slices.Contains(old, n) {
				f.flushes += len(n.gaps)
			} else {
				f.flushesOfBorn += len(n.gaps)
			}
		}
		per := float64(len(c.nodes)) * s.time.Minutes()
		f.requests, f.bytes = float64(asks)/per, float64(bytes)/per
		for _, n := range answered {
			f.answered = max(f.answered, int(float64(n)/s.time.Minutes()))
		}
		n := old[0].rep
		f.watermarks = len(n.state.peers)
		for _, l := range n.record.levels {
			f.blocks += len(l.blocks)
		}
	})
	return f
}

// Each node has let go of events long before each other can have asked for them. Still
// nobody is flushed without need, however many nodes there are, and though some are new and
// others restart. A new node may be flushed once: it does not know what was in others' logs when it was born.
func TestFlushesDoNotGrowWithTheCluster(t *testing.T) {
	sizes := []int{10, 50}
	if testkit.Long() {
		sizes = []int{10, 50, 200}
	}
	for _, nodes := range sizes {
		near := 0
		if nodes > 10 { // as among those that are not all linked
			near = min(nodes/4, 24)
		}
		t.Run(fmt.Sprint(nodes), func(t *testing.T) {
			s := scale{nodes: nodes, near: near, history: 100, every: 500 * time.Millisecond, late: 0.02, born: 20 * time.Second, restarts: 10 * time.Second, time: 5 * time.Minute}
			f := s.run(t)
			t.Logf("%+v", f)
			if f.flushes > 0 || f.flushesOfBorn > f.born {
				t.Errorf("%d flushes of old nodes and %d of new ones", f.flushes, f.flushesOfBorn)
			}
		})
	}
}
