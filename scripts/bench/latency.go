//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// An event is published between latencyGap and twice that after the one
	// before has come everywhere: at a random moment between two rounds of
	// gossip, and with nothing else under way.
	latencyGap = 100 * time.Millisecond
	// latencyLimit is how long one event is waited for.
	latencyLimit = 10 * time.Second
)

// latency is the time from publishing an event to its POST on the last member,
// or to the last RPC stream where there is no POST.
func (b *bench) latency(ctx context.Context) error {
	for _, profile := range b.plan.profiles {
		for _, n := range b.plan.nodes {
			r := row{What: fmt.Sprintf("publish to POST on the last of %d nodes, %s", n, profile),
				Parts: []part{{Unit: "ms p50"}, {Unit: "p99"}, {Unit: "max"}}}
			for _, k := range kinds {
				times, lost, err := b.latencies(ctx, k, n, profile)
				if err != nil {
					return fmt.Errorf("%d nodes, %s, %s: %w", n, profile, k, err)
				}
				figures := []float64{percentile(50, times), percentile(99, times), percentile(100, times)}
				r.set(k, figures...)
				b.say("latency, %s, %d nodes, %s: %s ms, %d events, %d not everywhere after %v",
					profile, n, k, join(figures), len(times), lost, latencyLimit)
				r.count(k, "events", len(times))
				r.count(k, "not everywhere", lost)
			}
			b.report.add(r)
		}
	}
	return nil
}

// latencies are those of single events, in milliseconds.
func (b *bench) latencies(ctx context.Context, k kind, n int, profile string) (times []float64, lost int, err error) {
	c, err := b.start(ctx, profile, slices.Repeat([]kind{k}, n)...)
	if err != nil {
		return nil, 0, err
	}
	defer c.close()
	round := c.rec.begin(b.plan.latencyMax)
	end := time.Now().Add(b.plan.latencyTime)
	for i := 0; i < b.plan.latencyMax && (i < b.plan.latencyMin || time.Now().Before(end)); i++ {
		if err := sleep(ctx, latencyGap+rand.N(latencyGap)); err != nil {
			return nil, 0, err
		}
		began := time.Now()
		if err := c.publish.Publish(ctx, "kong", payload(round, i), false); err != nil {
			return nil, 0, err
		}
		last, all := c.rec.await(ctx, i, latencyLimit)
		if !all {
			lost++
			continue
		}
		times = append(times, millis(last.Sub(began)))
	}
	b.checkLoss(c, c.rec.outcome(len(times)+lost))
	return times, lost, nil
}
