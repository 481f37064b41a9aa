package durable

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/delegate"
	"agentctl/scripts/testkit"
)

// newWide makes a cluster of many nodes, with links that take a millisecond each way.
func newWide(n int) *cluster {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("gateway-%05d", i))
	}
	c := newCluster(names...)
	c.oneWay = time.Millisecond
	return c
}

const first = "gateway-00000"

// wantOnDisks checks that those that count have the event on their disks.
func (c *cluster) wantOnDisks(t *testing.T, id string, r Report) {
	t.Helper()
	for _, name := range r.Have {
		if !c.nodes[name].onDisk(id) {
			t.Errorf("%s counts, and has not got %s on its disk", name, id)
		}
	}
	for i := range r.Have[min(1, len(r.Have)):] {
		if r.Have[i] == r.Have[i+1] {
			t.Errorf("%s counts twice", r.Have[i])
		}
	}
}

// A publish that waits for the disks of a thousand nodes takes a moment, and no node sends
// or answers many requests. Later ones need not ask first who has a disk.
func TestAThousandDisks(t *testing.T) {
	t.Parallel()
	sizes := []int{100, 1000}
	if testkit.Setting(t, "AGENTCTL_TEST_WIDE_NODES", 1000, 10000) > 1000 {
		sizes = append(sizes, 10000)
	}
	for _, size := range sizes {
		bubble(t, func(t *testing.T) {
			c := newWide(size)
			for i := range 2 {
				delays := map[string]time.Duration{}
				for name := range c.nodes {
					delays[name] = time.Duration(len(delays)) * 30 * time.Millisecond / time.Duration(size)
				}
				id := fmt.Sprintf("%d-e", i)
				began := time.Now()
				r, err := c.publish(first, id, size, within, delays)
				took := time.Since(began)
				if err != nil || !r.Reached() || len(r.Missing) > 0 {
					t.Fatalf("%d of %d, %d missing, %v", len(r.Have), size, len(r.Missing), err)
				}
				c.wantOnDisks(t, id, r)
				time.Sleep(time.Second)
				synctest.Wait()
				sent, answered := 0, 0
				for _, n := range c.nodes {
					if n.name != first {
						sent, answered = max(sent, n.sent), max(answered, n.requests)
					}
				}
				publisher := c.nodes[first]
				t.Logf("%d nodes: %v; the publisher sent %d requests, another %d at most, and answered %d", size, took, publisher.sent, sent, answered)
				if took > 200*time.Millisecond || publisher.sent > 200 || sent > 600 || answered > 100 {
					t.Errorf("after %v the publisher sent %d, another %d, and answered %d", took, publisher.sent, sent, answered)
				}
				for _, n := range c.nodes {
					n.sent, n.requests = 0, 0
				}
			}
		})
	}
}

// As many nodes are asked as have to have the event, and a few more for those that do not
// answer.
func TestNoMoreDisksAreAskedThanNeeded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newWide(400)
		for i := range 10 {
			c.nodes[fmt.Sprintf("gateway-%05d", 7*i+5)].cut = true
		}
		r, err := c.publish(first, "1-e", 100, within, c.everywhere(time.Millisecond))
		if err != nil || !r.Reached() {
			t.Fatalf("%d have it, %v", len(r.Have), err)
		}
		c.wantOnDisks(t, "1-e", r)
		synced := 0
		for _, n := range c.nodes {
			if n.begun > 0 {
				synced++
			}
		}
		if synced > 130 {
			t.Errorf("%d nodes have synced for 100", synced)
		}
		// Where all are needed, it says who is missing.
		few, err := c.publish(first, "2-e", 400, within, c.everywhere(0))
		if err == nil || !strings.Contains(err.Error(), "390 nodes keep their journals") {
			t.Errorf("%d have it, %v", len(few.Have), err)
		}
	})
}

// Whatever nodes do, a node that counts has the event on its disk. Those that work count.
func TestNobodyCountsByHearsay(t *testing.T) {
	t.Parallel()
	lied := 0
	for seed := range uint64(testkit.Setting(t, "AGENTCTL_TEST_DURABLE_RUNS", 10, 500)) {
		bubble(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			size := 100 + rnd.IntN(100)
			c := newWide(size)
			delays := map[string]time.Duration{}
			good := 0
			for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
				n := c.nodes[name]
				n.took = time.Duration(1+rnd.IntN(20)) * time.Millisecond
				delays[name] = time.Duration(rnd.IntN(100)) * time.Millisecond
				switch rnd.IntN(20) {
				case 0:
					n.cut = name != first
				case 1:
					n.old = name != first
				case 2:
					n.broken = errLink
				case 3:
					n.failing = "no space left"
				case 4, 5, 6, 7:
					n.former = true
				case 8:
					delete(delays, name)
				}
				if !n.cut && !n.old && n.broken == nil && n.failing == "" && delays[name] > 0 {
					good++
				}
			}
			// One that lies about all others, and is a delegate.
			c.publish(first, "0-e", size, 20*time.Millisecond, nil)
			time.Sleep(2 * askTime)
			synctest.Wait()
			liar := c.nodes[first]
			for _, n := range c.nodes {
				if n.delegated > liar.delegated {
					liar = n
				}
			}
			if liar.name == first {
				t.Fatal("nobody was a delegate")
			}
			liar.mu.Lock()
			liar.lies = true
			liar.mu.Unlock()
			want := max(delegate.Few+1, good-rnd.IntN(10))
			r, err := c.publish(first, "1-e", want, within, delays)
			if err != nil && good >= want {
				t.Errorf("seed %d: %d of %d nodes were good: %v", seed, good, want, err)
			}
			if err == nil && !r.Reached() && good >= want {
				t.Errorf("seed %d: %d of %d nodes were good, and %d have it", seed, good, want, len(r.Have))
			}
			c.wantOnDisks(t, "1-e", r)
			lied += liar.lied
		})
	}
	if lied == 0 {
		t.Error("nobody has lied")
	}
}

// If all others are of the former version, they are asked as before.
func TestDisksOfTheFormerVersion(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newWide(300)
		for _, n := range c.nodes {
			n.former = n.name != first
		}
		began := time.Now()
		r, err := c.publish(first, "1-e", 300, within, c.everywhere(time.Millisecond))
		if took := time.Since(began); err != nil || !r.Reached() || took > 200*time.Millisecond {
			t.Errorf("%d have it after %v, %v", len(r.Have), took, err)
		}
		c.wantOnDisks(t, "1-e", r)
	})
}

// A delegate keeps nothing of members that are gone.
func TestADelegateKeepsNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newWide(100)
		c.publish(first, "1-e", 100, within, c.everywhere(0))
		kept := func() (n int) {
			for _, node := range c.nodes {
				n += len(node.peers)
			}
			return n
		}
		before := kept()
		for name := range c.nodes {
			if name > "gateway-00010" {
				delete(c.nodes, name)
			}
		}
		for _, n := range c.nodes {
			n.others()
		}
		if after := kept(); before < 200 || after > 100 {
			t.Errorf("%d peers are kept, and then %d", before, after)
		}
	})
}
