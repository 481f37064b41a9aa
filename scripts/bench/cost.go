//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// costRate is how many events a second are published to find what one costs.
const costRate = 10

// costs are the rows that cost fills.
type costs struct {
	idle, small, each, large row
	atRest                   map[bool]float64 // CPU seconds a second of three agents: of agentctl, of stock serf
}

// cost is CPU time and memory of three agents, at rest and with events. What
// they use at rest is taken off what they use with events.
func (b *bench) cost(ctx context.Context) error {
	r := costs{
		idle:   row{What: "at rest, 3 nodes: CPU of an agent", Parts: []part{{Unit: "% of a core"}}},
		small:  row{What: "at rest, 3 nodes: memory of the largest agent", Parts: []part{{Unit: "MiB"}, {Unit: "MiB of its own"}}},
		each:   row{What: fmt.Sprintf("CPU of agents and scripts for one POST, at %d events a second", costRate), Parts: []part{{Unit: "ms"}}},
		large:  row{What: fmt.Sprintf("peak memory of the largest agent, at %d events a second", costRate), Parts: []part{{Unit: "MiB"}}},
		atRest: map[bool]float64{},
	}
	// Stock agents rest alike, whatever script they have: the one with none
	// comes first and tells how.
	for _, k := range []kind{noScript, kongScript, curlScript, ours} {
		if err := b.costOf(ctx, k, &r); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	for _, line := range []row{r.idle, r.small, r.each, r.large} {
		b.report.add(line)
	}
	return nil
}

func (b *bench) costOf(ctx context.Context, k kind, r *costs) error {
	c, err := b.start(ctx, b.profile, k, k, k)
	if err != nil {
		return err
	}
	defer c.close()
	if k == noScript || k == ours {
		used, took, err := c.during(func() error { return sleep(ctx, b.plan.costTime) })
		if err != nil {
			return err
		}
		r.atRest[k == ours] = used.cpu.Seconds() / took.Seconds()
		each := 100 * r.atRest[k == ours] / float64(len(c.members))
		r.idle.set(k, each)
		r.small.set(k, used.rss, used.own)
		b.say("at rest, %s: %s %% CPU each, %s MiB, %s of its own", k, number(each), number(used.rss), number(used.own))
	}
	if k == noScript {
		return nil
	}
	used, out, took, err := b.load(ctx, c, int(b.plan.costTime.Seconds()*costRate))
	if err != nil {
		return err
	}
	each := millis(used.cpu-time.Duration(r.atRest[k == ours]*float64(took))) / float64(max(out.total, 1))
	r.each.set(k, each)
	r.each.count(k, "POSTs", out.total)
	r.large.set(k, used.peak)
	b.say("%d events a second, %s: %s ms CPU for each of %d POSTs, %s MiB, %s %% at the worst node",
		costRate, k, number(each), out.total, number(used.peak), number(100*out.worst()))
	if k == ours {
		b.checkLoss(c, out)
	}
	return nil
}

// load publishes events steadily and tells what they cost, to the last POST.
func (b *bench) load(ctx context.Context, c *cluster, events int) (used usage, out outcome, took time.Duration, err error) {
	used, took, err = c.during(func() error {
		round := c.rec.begin(events)
		if err := b.feed(ctx, c, round, events, costRate); err != nil {
			return err
		}
		out = c.rec.settle(ctx, events, b.plan.quiet, b.plan.settle)
		return ctx.Err()
	})
	return used, out, took, err
}

// during is what the agents use while do runs, and how long that takes. Memory
// is what they have in the end.
func (c *cluster) during(do func() error) (usage, time.Duration, error) {
	before, err := c.usage()
	if err != nil {
		return usage{}, 0, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return usage{}, 0, err
	}
	took := time.Since(began)
	used, err := c.usage()
	used.cpu -= before.cpu
	return used, took, err
}
