//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	// publishers is how many events are in flight on the publisher's connection.
	publishers = 16
	// copiesTime is how long copies are waited for when all has come.
	copiesTime = 2 * time.Second
)

// flow is how a burst, or a steady stream of events, went.
type flow struct {
	outcome
	took  time.Duration // to publish
	after time.Duration // the last delivery came so long after the last event was due: a burst is due at its begin
}

// bursts are events published as fast as one connection takes them.
func (b *bench) bursts(ctx context.Context) error {
	for _, events := range b.plan.bursts {
		if err := b.compare(ctx, burstRow(events), 3, events, 0, noScript, ours); err != nil {
			return err
		}
	}
	if b.plan.tenBurst > 0 {
		err := b.compare(ctx, fmt.Sprintf("burst of %d on 10 nodes", b.plan.tenBurst), 10, b.plan.tenBurst, 0, noScript, ours)
		if err != nil {
			return err
		}
	}
	if b.plan.scripted > 0 {
		what := fmt.Sprintf("burst of %d on 3 nodes, to the POST", b.plan.scripted)
		return b.compare(ctx, what, 3, b.plan.scripted, 0, posting...)
	}
	return nil
}

// burstRow is the name of the row of a burst on three nodes.
func burstRow(events int) string { return fmt.Sprintf("burst of %d on 3 nodes", events) }

// rates are events published evenly for a while.
func (b *bench) rates(ctx context.Context) error {
	for _, rate := range b.plan.rateList {
		what := fmt.Sprintf("%d a second for %v on 3 nodes", rate, b.plan.rateTime)
		if err := b.compare(ctx, what, 3, int(float64(rate)*b.plan.rateTime.Seconds()), rate, noScript, ours); err != nil {
			return err
		}
	}
	return nil
}

// compare sends the same flow of events through each kind of cluster.
func (b *bench) compare(ctx context.Context, what string, nodes, events, rate int, kinds ...kind) error {
	r := row{What: what, Parts: []part{{"% at the worst node", true}, {"s to the last", false}, {"twice", false}}}
	for _, k := range kinds {
		f, err := b.flow(ctx, what, events, rate, slices.Repeat([]kind{k}, nodes)...)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", what, k, err)
		}
		r.set(k, 100*f.worst(), f.after.Seconds(), float64(f.repeats))
	}
	b.report.add(r)
	return nil
}

// mixed has two agents of ours, one of which is published to, beside a stock
// one. The share is that of the stock one, and beside it stands what stock agents
// get of such a burst among themselves, if that was measured.
func (b *bench) mixed(ctx context.Context) error {
	for _, events := range b.plan.mixedList {
		what := fmt.Sprintf("burst of %d from agentctl, at a stock agent beside two of agentctl's", events)
		f, err := b.flow(ctx, what, events, 0, ours, ours, noScript)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		r := row{What: what, Parts: []part{{"% at the stock agent", true}, {"s to the last at any", false}}}
		r.set(ours, 100*f.shares[2], f.after.Seconds())
		if among := b.report.figures(burstRow(events), noScript); among != nil {
			r.set(noScript, among[:len(r.Parts)]...)
		}
		b.report.add(r)
	}
	return nil
}

// flow starts a cluster, publishes, and waits for what comes of it.
func (b *bench) flow(ctx context.Context, what string, events, rate int, kinds ...kind) (f flow, err error) {
	c, err := b.start(ctx, b.profile, kinds...)
	if err != nil {
		return flow{}, err
	}
	defer c.close()
	round := c.rec.begin(events)
	began := time.Now()
	if err := b.feed(ctx, c, round, events, rate); err != nil {
		return flow{}, err
	}
	f.took = time.Since(began)
	f.outcome = c.rec.settle(ctx, events, b.plan.quiet, b.plan.settle)
	// Gossip goes on for a while: a copy that is taken for an event of its own
	// would come now.
	if err := sleep(ctx, copiesTime); err != nil {
		return flow{}, err
	}
	f.repeats = c.rec.outcome(events).repeats
	f.after = f.last.Sub(began.Add(due(events-1, rate)))
	b.say("%s, %s: at each node %s %%, %d repeats, published in %.2f s, the last delivery %.2f s after the last event was due",
		what, kinds[0], join(percents(f.shares)), f.repeats, f.took.Seconds(), f.after.Seconds())
	if n := c.logged("received old event"); n > 0 {
		b.say("  stock serf logged %d times that it dropped an event as too old", n)
	}
	if n := c.logged("Dropping event to"); n > 0 {
		b.say("  stock serf logged %d times that its RPC stream was full: these it had", n)
	}
	b.checkLoss(c, f.outcome)
	return f, nil
}

// checkLoss says where an agent of ours lacks events, and keeps what there is
// to find out why.
func (b *bench) checkLoss(c *cluster, o outcome) {
	for i, m := range c.members {
		if m.kind == ours && o.shares[i] < 1 {
			b.say("  node%d, an agentctl, has not delivered all when the wait ended: look at %s", i+1, c.dir)
			b.keep = true
			c.saveMetrics()
		}
	}
}

// feed publishes events; rate is how many a second, 0 for as fast as they are
// taken. An event that the agent refuses ends it, and so does an agent that takes
// them much too slowly.
func (b *bench) feed(ctx context.Context, c *cluster, round, events, rate int) error {
	limit := due(events, rate) + b.plan.settle
	ctx, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%d events are not taken after %v", events, limit))
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := make(chan int)
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for i := range numbers {
				if err := c.publish.Publish(ctx, "kong", payload(round, i), false); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	began := time.Now()
	for i := 0; i < events && ctx.Err() == nil; i++ {
		if rate > 0 && sleep(ctx, time.Until(began.Add(due(i, rate)))) != nil {
			break
		}
		select {
		case numbers <- i:
		case <-ctx.Done():
		}
	}
	close(numbers)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	return nil
}

// due is how long after the first event i is to be published. In a burst, which
// has no rate, all are due at once.
func due(i, rate int) time.Duration {
	if rate == 0 {
		return 0
	}
	return time.Duration(i) * time.Second / time.Duration(rate)
}

func percents(shares []float64) (ps []float64) {
	for _, s := range shares {
		ps = append(ps, 100*s)
	}
	return ps
}

// saveMetrics keeps what each agent of ours counts, beside its log. Where that
// cannot be had there is still the log.
func (c *cluster) saveMetrics() {
	client := http.Client{Timeout: 5 * time.Second}
	for i, m := range c.members {
		if m.kind != ours {
			continue
		}
		if res, err := client.Get("http://" + m.http() + "/metrics"); err == nil {
			text, _ := io.ReadAll(res.Body)
			res.Body.Close()
			os.WriteFile(filepath.Join(c.dir, fmt.Sprintf("node%d.metrics", i+1)), text, 0o644)
		}
	}
}
