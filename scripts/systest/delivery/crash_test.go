package delivery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"agentctl/agent/api"
	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// crashKillsEnv says how often TestCrash kills; scripts/crash.sh has it do so
// hundreds of times.
const crashKillsEnv = "AGENTCTL_TEST_CRASH_KILLS"

// TestCrash kills two of three agents again and again while events are
// published at the third, and has the gateways of all fail and die meanwhile. In
// the end each gateway has taken each event and said so, and those that came
// twice are such as a crash may repeat: see account.
func TestCrash(t *testing.T) { crash(t, newDurable) }

// TestPowerCut is TestCrash with the power cut at each kill. The disks forget, and keep
// a part of what they were not asked to.
func TestPowerCut(t *testing.T) {
	crash(t, func(t *testing.T, name string, args ...string) *durable {
		return newForgetful(t, name, rand.Float64, args...)
	})
}

// crash is a test with two agents of the kind that newAgent makes, beside a third.
func crash(t *testing.T, newAgent func(t *testing.T, name string, args ...string) *durable) {
	kills := testkit.Setting(t, crashKillsEnv, 10, 400)
	first := newDurable(t, "node1")
	nodes := []*durable{first}
	for _, name := range []string{"node2", "node3"} {
		nodes = append(nodes, newAgent(t, name, "-retry-join="+first.gossip))
	}
	for _, d := range nodes {
		d.start(t)
	}
	for _, d := range nodes {
		testkit.WaitFor(t, d.name+" knows all three", func() bool { return proc.Alive(t, d.Node) == len(nodes) })
	}

	begun := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var beside, killing sync.WaitGroup
	var published []string
	beside.Go(func() { published = publishSteadily(t, ctx, first.RPC, 20) })
	failed := make([]int, len(nodes)) // times that the gateway did
	for i, d := range nodes {
		beside.Go(func() {
			var err error
			if failed[i], err = misbehave(ctx, d.gw); err != nil {
				t.Errorf("the gateway of %s: %v", d.name, err)
			}
		})
	}
	for i, d := range nodes[1:] {
		killing.Go(func() {
			if err := d.dieOften(ctx, (kills+i)/2); err != nil {
				t.Error(err)
				stop()
			}
		})
	}
	killing.Wait()
	stop()
	beside.Wait()
	if t.Failed() {
		return
	}
	took := time.Since(begun)
	for _, d := range nodes[1:] {
		d.mustDie(t)
		d.start(t)
	}

	testkit.Settle(func() (left int) {
		for _, d := range nodes {
			left += len(missing(d.gw, published))
		}
		return left
	})
	settled := time.Since(begun) - took
	ids := ids(first.gw)
	for _, d := range nodes {
		if lost := missing(d.gw, published); len(lost) > 0 {
			for i, payload := range lost {
				lost[i] = ids[payload] + " " + payload
			}
			t.Errorf("%s: %d of %d events never came to its gateway, by the IDs that %s gave them: %q", d.name,
				len(lost), len(published), first.name, lost)
		}
		testkit.WaitFor(t, d.name+" has nothing waiting", func() bool { return proc.StatusOf(t, d.Node).Waiting == 0 })
		if s := proc.StatusOf(t, d.Node); s.State != api.TargetOK || s.Lost > 0 || s.Buried > 0 {
			t.Errorf("%s: %+v", d.name, s)
		}
	}
	for i, d := range nodes {
		a := account(t, d, published, ids)
		t.Logf("SUMMARY %s: %d kills, its gateway failed %d times, %d events taken, %d again after a kill (at most %d after one, answered up to %v before it), %d again after the gateway died before its answer",
			d.name, len(d.killed), failed[i], len(published), a.repeated, a.most, a.oldest.Round(time.Millisecond), a.lost)
		// If acknowledgements were not committed each life would repeat all that
		// those before it did.
		if a.repeated > len(published) {
			t.Errorf("%s: %d repeated of %d events is more than what is acknowledged between two commits", d.name, a.repeated, len(published))
		}
	}
	t.Logf("SUMMARY %d kills and %d events in %v, settled after %v", kills+len(nodes)-1, len(published),
		took.Round(time.Second), settled.Round(time.Second))
}

// dieOften is killed, and started again a short while later, at random moments,
// which may well be before it is up. It ends with a life that goes on.
func (d *durable) dieOften(ctx context.Context, times int) error {
	for range times {
		life := 2 * time.Second
		if rand.IntN(4) == 0 {
			life /= 8
		}
		if !testkit.Pause(ctx, life) {
			return nil // another has failed
		}
		if err := d.die(); err != nil {
			return err
		}
		testkit.Pause(ctx, 300*time.Millisecond)
		if err := d.launch(); err != nil {
			return err
		}
	}
	return nil
}

// publishSteadily publishes kong events at an even rate, each with a payload of
// its own, until ctx ends. It returns those that the agent has taken.
func publishSteadily(t *testing.T, ctx context.Context, rpc string, perSecond int) (published []string) {
	p := rpcclient.NewPublisher(rpcclient.PublisherConfig{Config: rpcclient.Config{Addr: rpc}})
	defer p.Close()
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return published
		}
		payload := fmt.Sprintf(`{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"%d"}}`, len(published))
		// Not with ctx: at its end the answer would not be known.
		if err := p.Publish(t.Context(), "kong", []byte(payload), false); err != nil {
			t.Errorf("publishing: %v", err)
			return published
		}
		published = append(published, payload)
	}
}

// missing are the payloads that a gateway has not taken, and said so.
func missing(g *stub.Gateway, published []string) (lost []string) {
	taken := map[string]bool{}
	for _, p := range g.Taken() {
		taken[string(p.Body)] = taken[string(p.Body)] || !p.Lost
	}
	for _, payload := range published {
		if !taken[payload] {
			lost = append(lost, payload)
		}
	}
	return lost
}

// ids are the IDs of the events that a gateway took, by payload.
func ids(g *stub.Gateway) map[string]string {
	ids := map[string]string{}
	for _, p := range g.Taken() {
		ids[string(p.Body)] = p.Header.Get("X-Serf-Event-Id")
	}
	return ids
}

// repeats are the events that a gateway took more than once.
type repeats struct {
	lost     int           // in one life, one after the other: no answer had come back
	repeated int           // in a later life
	most     int           // of these, of one life
	oldest   time.Duration // from the answer of such a one to the end of its life
}

// account counts what a gateway took twice, and checks that it may. Within a
// life an event is tried again at once, or not at all. What a later life does
// again is the end of what an earlier one did: that which it acknowledged since
// the last commit, and what was in flight. Every copy of an event has the same
// ID, on every node.
func account(t *testing.T, d *durable, published []string, ids map[string]string) (r repeats) {
	t.Helper()
	known := map[string]bool{}
	for _, payload := range published {
		known[payload] = true
	}
	lives := make([][]stub.Post, d.life+1) // what each took, once
	last := map[string]int{}               // the last life that took an event
	took := map[string]map[int]bool{}      // the lives that did
	for _, p := range d.gw.Taken() {
		body, id := string(p.Body), p.Header.Get("X-Serf-Event-Id")
		life, err := strconv.Atoi(p.Header.Get(lifeHeader))
		if err != nil || life < 1 || life > d.life || !known[body] {
			t.Fatalf("%s: posted, though never published: %s", d.name, p)
		}
		if ids[body] != id {
			t.Errorf("%s: %s has the ID %s, and elsewhere or before %s", d.name, body, id, ids[body])
		}
		if n := len(lives[life]); n > 0 && string(lives[life][n-1].Body) == body {
			r.lost++
			continue
		}
		if took[body] == nil {
			took[body] = map[int]bool{}
		}
		if took[body][life] {
			t.Errorf("%s: life %d posted %s again with others between", d.name, life, body)
		}
		took[body][life] = true
		lives[life], last[body] = append(lives[life], p), max(last[body], life)
	}
	for life, posts := range lives {
		again := 0
		for _, p := range posts {
			if last[string(p.Body)] > life {
				again++
				r.oldest = max(r.oldest, d.killed[life].Sub(p.At))
			} else if again > 0 {
				t.Errorf("%s: what life %d did last was not repeated, and what it did before was:\n%s", d.name, life,
					strings.Join(stub.Bodies(posts), "\n"))
				break
			}
		}
		r.repeated += again
		r.most = max(r.most, again)
	}
	return r
}
