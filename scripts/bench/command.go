//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"agentctl/rpcclient"
)

// publishTime is how long each measurement of publishing takes.
const publishTime = 500 * time.Millisecond

// command is how long "serf event" and "agentctl event" run, each against an
// agent of its own kind, in pairs that change their order.
func (b *bench) command(ctx context.Context) error {
	r := row{What: "the command that publishes an event", Parts: []part{{Unit: "ms"}}}
	alone, err := b.single(ctx)
	defer closeAll(alone)
	if err != nil {
		return err
	}
	program := map[kind]string{noScript: b.serf, ours: b.ours}
	faults := map[kind][]float64{}
	pairs, err := inPairs(b.plan.pairs, func(k kind, i int) (float64, error) {
		cmd := exec.CommandContext(ctx, program[k], "event", "-coalesce=false",
			"-rpc-addr="+alone[k].members[0].rpc(), "kong", string(payload(0, i)))
		began := time.Now()
		out, err := cmd.CombinedOutput()
		took := millis(time.Since(began))
		if err != nil {
			return 0, fmt.Errorf("event: %w\n%s", err, out)
		}
		faults[k] = append(faults[k], float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Minflt))
		return took, nil
	})
	if err != nil {
		return err
	}
	b.paired(r, pairs)
	b.faulted(faults)
	return nil
}

// faulted adds a row of the pages that were touched in what the row before it tells of.
// Other than the time, they are nearly the same each time, also on a busy machine.
func (b *bench) faulted(faults map[kind][]float64) {
	r := row{What: "its page faults", Parts: []part{{Unit: "pages"}}}
	for k, fs := range faults {
		r.set(k, median(fs))
	}
	b.say("%s: stock %s, agentctl %s", r.What, number(r.Figures[noScript][0]), number(r.Figures[ours][0]))
	b.report.add(r)
}

// startup is the time from starting an agent to its first answer over RPC.
func (b *bench) startup(ctx context.Context) error {
	r := row{What: "start of an agent to its first answer over RPC", Parts: []part{{Unit: "ms"}}}
	faults := map[kind][]float64{}
	pairs, err := inPairs(b.plan.startPairs, func(k kind, i int) (float64, error) {
		ip := fmt.Sprintf("127.%d.255.%d", b.network, i+1)
		program, args, err := b.invocation(k, b.dir, "node", ip, b.profile, "http://127.0.0.1:9/")
		if err != nil {
			return 0, err
		}
		began := time.Now()
		p, err := startProcess(filepath.Join(b.dir, "start.log"), program, args...)
		if err != nil {
			return 0, err
		}
		defer p.kill()
		limited, cancel := context.WithTimeout(ctx, startLimit)
		defer cancel()
		client, err := (&member{process: p, ip: ip}).dial(limited)
		if err != nil {
			return 0, err
		}
		defer client.Close()
		took := millis(time.Since(began))
		used, err := p.usage()
		faults[k] = append(faults[k], float64(used.faults))
		return took, err
	})
	if err != nil {
		return err
	}
	b.paired(r, pairs)
	b.faulted(faults)
	return nil
}

// inPairs measures stock serf and agentctl n times in turns, and changes who is
// first: what else the machine does then meets both.
func inPairs(n int, measure func(kind, int) (float64, error)) (map[kind][]float64, error) {
	figures := map[kind][]float64{}
	for i := range n {
		pair := []kind{noScript, ours}
		if i%2 == 1 {
			slices.Reverse(pair)
		}
		for _, k := range pair {
			f, err := measure(k, i)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			figures[k] = append(figures[k], f)
		}
	}
	return figures, nil
}

// paired adds a row of medians, with the median of the pairs' ratios.
func (b *bench) paired(r row, pairs map[kind][]float64) {
	for k, fs := range pairs {
		r.set(k, median(fs))
		r.count(k, "pairs", len(fs))
	}
	better := quotients(pairs[noScript], pairs[ours])
	if r.Parts[0].Higher {
		better = quotients(pairs[ours], pairs[noScript])
	}
	r.Ratios = []float64{median(better)}
	b.say("%s, %s: stock %s, agentctl %s", r.What, r.Parts[0].Unit, number(r.Figures[noScript][0]), number(r.Figures[ours][0]))
	b.report.add(r)
}

// single starts an agent of each of two kinds, with no other members. Both have
// to be closed, also with an error.
func (b *bench) single(ctx context.Context) (map[kind]*cluster, error) {
	alone := map[kind]*cluster{}
	for _, k := range []kind{noScript, ours} {
		c, err := b.start(ctx, b.profile, k)
		if err != nil {
			return alone, err
		}
		alone[k] = c
	}
	return alone, nil
}

func closeAll(alone map[kind]*cluster) {
	for _, c := range alone {
		c.close()
	}
}

// publishing is how many events one agent takes a second, over one connection
// and over eight, each of which publishes one event after the other.
func (b *bench) publishing(ctx context.Context) error {
	alone, err := b.single(ctx)
	defer closeAll(alone)
	if err != nil {
		return err
	}
	for _, connections := range []int{1, 8} {
		r := row{What: fmt.Sprintf("events that an agent takes, connections: %d", connections), Parts: []part{{Unit: "a second", Higher: true}}}
		pairs, err := inPairs(b.plan.publishPairs, func(k kind, i int) (float64, error) {
			return publishRate(ctx, alone[k], connections, i)
		})
		if err != nil {
			return err
		}
		b.paired(r, pairs)
	}
	return nil
}

// publishRate is how many events an agent takes a second.
func publishRate(ctx context.Context, c *cluster, connections, round int) (float64, error) {
	var taken atomic.Int64
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for range connections {
		g.Go(func() error {
			p := rpcclient.NewPublisher(rpcclient.PublisherConfig{Config: rpcclient.Config{Addr: c.members[0].rpc()}})
			defer p.Close()
			for time.Since(began) < publishTime {
				if err := p.Publish(ctx, "other", payload(round, int(taken.Add(1))), false); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := g.Wait()
	return float64(taken.Load()) / time.Since(began).Seconds(), err
}
