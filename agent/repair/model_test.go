package repair

import (
	"context"
	"flag"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"agentctl/handler"
)

// draw picks a node that is up, or down; nil if there is none.
func (c *modelCluster) draw(up bool) *modelNode {
	var some []*modelNode
	for _, n := range c.nodes {
		if n.up == up {
			some = append(some, n)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return rapid.SampledFrom(some).Draw(c.t, "node")
}

// publish gives an event to a node and to some of those that it reaches.
func (c *modelCluster) publish(n *modelNode) {
	time.Sleep(time.Millisecond) // no two at the same time
	jump := rapid.SampledFrom([]uint64{0, 0, 0, 0, 1, 40, 1 << 40}).Draw(c.t, "jump")
	again := rapid.Bool().Draw(c.t, "same Lamport time")
	e := handler.NewUser(n.clock+jump, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(c.t, "name"), nil, time.Now())
	if again {
		e = handler.NewUser(n.clock-1, e.Name, nil, e.Time)
	}
	if _, again := c.published[e.ID]; again {
		return // to serf it is the same event
	}
	c.published[e.ID] = time.Now()
	n.take(e)
	reached := rapid.Uint64Range(0, 1<<len(c.nodes)-1).Draw(c.t, "reached")
	for i, p := range c.nodes {
		if p != n && p.up && p.half == n.half && reached>>i&1 == 1 {
			p.take(e)
		}
	}
}

func (c *modelCluster) actions() map[string]func(*rapid.T) {
	withUp := func(do func(*modelNode)) func(*rapid.T) {
		return func(*rapid.T) {
			if n := c.draw(true); n != nil {
				do(n)
			}
		}
	}
	round := func(n *modelNode) { n.rep.round(c.ctx) }
	disturbed := func(meanwhile func(asked *modelNode)) func(n *modelNode) {
		return func(n *modelNode) {
			c.asks, c.fault = 0, rapid.IntRange(1, 8).Draw(c.t, "request")
			c.meanwhile = meanwhile
			round(n)
			c.fault = 0
		}
	}
	actions := map[string]func(*rapid.T){
		"round that fails": withUp(disturbed(nil)),
		"round, and meanwhile": withUp(disturbed(func(asked *modelNode) {
			for range rapid.IntRange(1, 9).Draw(c.t, "events") {
				c.publish(asked)
			}
		})),
		"round, and meanwhile a restart": withUp(disturbed(func(asked *modelNode) {
			asked.crash(false)
			asked.start()
		})),
		"a late copy": withUp(func(from *modelNode) { // gossip keeps no order
			if to := c.draw(true); to.half == from.half && len(from.log) > 0 {
				to.take(rapid.SampledFrom(from.log).Draw(c.t, "event"))
			}
		}),
		"partition": func(*rapid.T) {
			for _, n := range c.nodes {
				n.half = rapid.IntRange(0, 1).Draw(c.t, n.name)
			}
		},
		"commit":            withUp((*modelNode).commit),
		"crash":             withUp(func(n *modelNode) { n.crash(false) }),
		"loss of a journal": withUp(func(n *modelNode) { n.crash(true) }),
		"wait": func(*rapid.T) {
			time.Sleep(rapid.SampledFrom([]time.Duration{time.Second, 20 * time.Second, 5 * time.Minute}).Draw(c.t, "time"))
		},
	}
	restart := func(*rapid.T) {
		if n := c.draw(false); n != nil {
			n.start()
		}
	}
	for _, more := range []string{"", " 2", " 3", " 4"} { // the usual things
		actions["publish"+more] = withUp(c.publish)
		actions["round"+more] = withUp(round)
		actions["restart"+more] = restart
	}
	return actions
}

// inBubble runs one try in a bubble of its own. Rapid stays outside: by the
// bubble's clock, which runs ahead, it would soon have no time for shrinking.
// It tells failures by where they are, so those of the try get a place of their
// own.
func inBubble(t *testing.T, rt *rapid.T, try func(ctx context.Context)) {
	var ended any
	synctest.Test(t, func(t *testing.T) {
		defer func() { ended = recover() }()
		try(t.Context())
	})
	if f, ok := ended.(failure); ok {
		rt.Fatal(f)
	}
	if ended != nil {
		panic(ended) // rapid's own, most of the time
	}
}

// checkModel has rapid try a model with 60 steps at a time.
func checkModel(t *testing.T, try func(ctx context.Context, rt *rapid.T)) {
	t.Helper()
	steps := flag.Lookup("rapid.steps").Value
	defer steps.Set(steps.String())
	if err := steps.Set("60"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, rt, func(ctx context.Context) { try(ctx, rt) })
	})
}

// Whatever happens to a few nodes, in the end each has every event, or was
// flushed since.
func TestEveryEventOrAGap(t *testing.T) {
	checkModel(t, func(ctx context.Context, rt *rapid.T) {
		limits := rapid.SampledFrom([][]int{{1000}, {3}, {8}, {3, 8, 1000}, {8, 1000}}).Draw(rt, "limits")
		c := newCluster(ctx)
		c.t = rt
		c.near = rapid.IntRange(0, 2).Draw(rt, "near")
		for i := range rapid.IntRange(3, 6).Draw(rt, "nodes") {
			c.add(limits[i%len(limits)])
		}
		rt.Repeat(c.actions())
		c.settle()
		c.check()
		c.quiet()
	})
}
