package durable

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit"
)

const within = 5 * time.Second

// bubble runs a test until what hangs is given up.
func bubble(t *testing.T, run func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		run(t)
		time.Sleep(2 * askTime)
	})
}

func TestAPublishEndsWhenTheEventIsOnEnoughDisks(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster("a", "b", "c")
		c.nodes["b"].took = 70 * time.Millisecond
		began := time.Now()
		r, err := c.publish("a", "1-e", 1, within, c.everywhere(time.Millisecond))
		if err != nil || !r.Reached() {
			t.Fatalf("%+v, %v", r, err)
		}
		c.have(t, "1-e", r, "a")
		if asked := c.nodes["b"].requests + c.nodes["c"].requests; asked > 0 {
			t.Errorf("%d requests, where this node is enough", asked)
		}
		if r, err = c.publish("a", "2-e", 2, within, c.everywhere(time.Millisecond)); err != nil || !r.Reached() {
			t.Fatalf("%+v, %v", r, err)
		}
		c.have(t, "2-e", r, "a", "b")
		if c.nodes["c"].requests > 0 {
			t.Error("a third node is asked, and no answer was late")
		}
		if r, err = c.publish("a", "3-e", 3, within, c.everywhere(time.Millisecond)); err != nil || !r.Reached() {
			t.Fatalf("%+v, %v", r, err)
		}
		c.have(t, "3-e", r, "a", "b", "c")
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("all of it took %v", took)
		}
	})
}

// A node that has no disk, or of which nobody knows, does not count. If too few are left
// nothing is published, and the error says who is left out and why.
func TestTooFewDisksRefuseThePublish(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster("a", "b!", "c", "d", "e")
		c.stock = []string{"s"}
		c.nodes["c"].failing = "no space left"
		c.nodes["d"].old = true
		c.nodes["e"].cut = true
		r, err := c.publish("a", "1-e", 2, within, nil)
		few, ok := errors.AsType[*TooFewError](err)
		if !ok {
			t.Fatalf("%+v, %v", r, err)
		}
		testkit.Want(t, "able", few.Able, []string{"a"})
		for _, part := range []string{
			"durable=2 cannot be reached, so nothing was published: 1 node keeps its journal on a disk (a)", "b!: has no -data-dir",
			"c: its journal cannot be written: no space left", "d: its version of agentctl knows no durable publish",
			"e: ", "s: is not known to be agentctl with peer links", "ask for fewer, or run more agents with -data-dir",
		} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q lacks %q", err, part)
			}
		}

		// The publisher itself need not have one.
		c.nodes["c"].failing = ""
		if r, err = c.publish("b!", "2-e", 2, within, c.everywhere(0)); err != nil || !r.Reached() {
			t.Fatalf("%+v, %v", r, err)
		}
		c.have(t, "2-e", r, "a", "c")
	})
}

// A member that may still say that it is agentctl is waited for, but not for long.
func TestMembersThatAreNotKnownYetAreWaitedFor(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster("a", "b")
		began := time.Now()
		known := func() bool { return time.Since(began) > time.Second }
		c.nodes["a"].cfg.Members = func() []Member { return []Member{{Name: "b", Peer: known(), Unsure: !known()}} }
		r, err := c.publish("a", "1-e", 2, within, c.everywhere(0))
		if err != nil || !r.Reached() {
			t.Fatalf("%+v, %v", r, err)
		}
		c.have(t, "1-e", r, "a", "b")

		c.nodes["a"].cfg.Members = func() []Member { return []Member{{Name: "b", Unsure: true}} }
		began = time.Now()
		if _, err := c.publish("a", "2-e", 2, within, nil); err == nil {
			t.Error("published")
		}
		if took := time.Since(began); took > settleTime+time.Second {
			t.Errorf("refused after %v", took)
		}
	})
}

// If a node that was counted on fails, others are asked in its place. If none is left,
// the publisher is told how many have the event.
func TestAnotherNodeIsAskedWhereOneFails(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*node){
		"cut":    func(n *node) { n.cut = true },
		"broken": func(n *node) { n.broken = errors.New("input/output error") },
		"slow":   func(n *node) { n.took = askTime },
		"old":    func(n *node) { n.old = true }, // it was restarted as another version
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCluster("a", "b", "c")
				r, err := c.publish("a", "1-e", 2, within, c.everywhere(0))
				if err != nil || !r.Reached() {
					t.Fatalf("%+v, %v", r, err)
				}
				fail(c.nodes["b"])
				began := time.Now()
				if r, err = c.publish("a", "2-e", 2, within, c.everywhere(0)); err != nil || !r.Reached() {
					t.Fatalf("%+v, %v", r, err)
				}
				c.have(t, "2-e", r, "a", "c")
				if took := time.Since(began); took > askMore+20*time.Millisecond {
					t.Errorf("it took %v", took)
				}
				r, err = c.publish("a", "3-e", 3, within, c.everywhere(0))
				if few, ok := errors.AsType[*TooFewError](err); ok {
					testkit.Want(t, "able", few.Able, []string{"a", "c"}) // what b said is too long ago
				} else if c.have(t, "3-e", r, "a", "c"); r.Reached() || r.Missing["b"] == "" {
					t.Errorf("%+v", r)
				}
			})
		})
	}
}

// An event that the peer does not get does not hold up those that it gets.
func TestAnEventThatDoesNotComeHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster("a", "b")
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 20 * time.Millisecond)
				id := fmt.Sprintf("%d-e", i)
				if i%10 > 0 {
					began := time.Now()
					r, err := c.publish("a", id, 2, within, c.everywhere(time.Millisecond))
					if err != nil || !r.Reached() || time.Since(began) > arrivalWait {
						t.Errorf("%s: %+v, %v after %v", id, r, err, time.Since(began))
					}
					c.have(t, id, r, "a", "b")
					return
				}
				r, err := c.publish("a", id, 2, within, map[string]time.Duration{"a": 0})
				if err != nil || r.Reached() {
					t.Errorf("%s: %+v, %v", id, r, err)
				}
				c.have(t, id, r, "a")
			})
		}
		all.Wait()
	})
}

// Publishes that come together share requests and syncs.
func TestPublishesShareSyncs(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		const many = 500
		c := newCluster("a", "b")
		c.nodes["a"].took, c.nodes["b"].took = 20*time.Millisecond, 20*time.Millisecond
		var all sync.WaitGroup
		began := time.Now()
		for i := range many {
			all.Go(func() {
				id := fmt.Sprintf("%d-e", i)
				r, err := c.publish("a", id, 2, within, c.everywhere(time.Duration(i%10)*time.Millisecond))
				if err != nil || !r.Reached() {
					t.Errorf("%+v, %v", r, err)
				}
				c.have(t, id, r, "a", "b")
			})
		}
		all.Wait()
		t.Logf("%d publishes in %v: %d and %d syncs, %d requests", many, time.Since(began), c.nodes["a"].begun, c.nodes["b"].begun, c.nodes["b"].requests)
		if n := c.nodes["a"].begun + c.nodes["b"].begun; n > 10 {
			t.Errorf("%d syncs", n)
		}
		// Each asks first whether the peer can: nobody knows that yet.
		if n := c.nodes["b"].requests - many; n > 10 {
			t.Errorf("%d requests", n)
		}
	})
}

// Whatever fails, a node that counts has the event on its disk at that moment. If enough
// nodes work, the publish reaches them.
func TestNobodyCountsWithoutTheEvent(t *testing.T) {
	t.Parallel()
	for seed := range uint64(testkit.Setting(t, "AGENTCTL_TEST_DURABLE_RUNS", 200, 20_000)) {
		bubble(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			c := newCluster("a", "b", "c", "d!", "e", "f")
			delays := map[string]time.Duration{}
			good := 0
			for _, n := range c.nodes {
				n.took = time.Duration(rnd.IntN(100)) * time.Millisecond
				ok := n.name != "d!"
				spoil := func(at func()) {
					if rnd.IntN(5) == 0 {
						ok = false
						time.AfterFunc(time.Duration(rnd.IntN(100))*time.Millisecond, func() {
							n.mu.Lock()
							defer n.mu.Unlock()
							at()
						})
					}
				}
				spoil(func() { n.cut = true })
				spoil(func() { n.broken = errLink })
				spoil(func() { n.old = true })
				if rnd.IntN(4) > 0 {
					delays[n.name] = time.Duration(rnd.IntN(300)) * time.Millisecond
				} else {
					ok = false
				}
				if ok {
					good++
				}
			}
			want := 1 + rnd.IntN(5)
			time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
			r, err := c.publish("a", "1-e", want, within, delays)
			if err != nil {
				if good >= want {
					t.Errorf("seed %d: %d of %d nodes were good: %v", seed, good, want, err)
				}
			} else if !r.Reached() && good >= want {
				t.Errorf("seed %d: %d of %d nodes were good: %+v", seed, good, want, r)
			}
			for _, name := range r.Have {
				if !c.nodes[name].onDisk("1-e") {
					t.Errorf("seed %d: %s counts, and has nothing on its disk", seed, name)
				}
			}
		})
	}
}

func TestHandleHasALimit(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster("a")
		for range handledAtOnce {
			go c.nodes["a"].Handle(t.Context(), "", encodeRequest([]string{"1-e"}))
		}
		synctest.Wait()
		if _, err := c.nodes["a"].Handle(t.Context(), "", encodeRequest(nil)); !errors.Is(err, errBusy) {
			t.Errorf("%v, want %v", err, errBusy)
		}
		time.Sleep(arrivalWait)
		synctest.Wait()
		if _, err := c.nodes["a"].Handle(t.Context(), "", encodeRequest(nil)); err != nil {
			t.Error(err)
		}
	})
}

// Nothing is kept of events that nobody waits for any more, or of nodes that are gone.
func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster("a", "b", "c")
		c.publish("a", "1-e", 3, time.Second, nil)
		time.Sleep(2 * askTime)
		synctest.Wait()
		for _, n := range c.nodes {
			if len(n.arrivals.waiting) > 0 || n.arrivals.n.Load() != 0 {
				t.Errorf("%s waits for %v", n.name, n.arrivals.waiting)
			}
		}
		delete(c.nodes, "c")
		c.publish("a", "2-e", 2, time.Second, c.everywhere(0))
		synctest.Wait()
		if p := c.nodes["a"].peers; len(p) != 1 || len(p["b"].wishes) > 0 || p["b"].asking > 0 {
			t.Errorf("%v", p)
		}
	})
}
