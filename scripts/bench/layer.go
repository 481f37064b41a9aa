//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"agentctl/scripts/bench/broadcast"
)

// broadcastResult is what a simulation of the broadcast layer has found, and what it cost.
type broadcastResult struct {
	broadcast.Result
	// CPU is what this process used for an event at a node, in microseconds: that of the
	// layer and of the simulation.
	CPU float64 `json:"cpu_us"`
}

// broadcast runs the simulations of the broadcast layer.
func (b *bench) broadcast(ctx context.Context) error {
	for _, cfg := range broadcast.Cases(b.seed, b.plan.broadcastNodes, b.plan.broadcastEvents) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		before := ownCPU()
		r, err := broadcast.Run(cfg)
		if err != nil {
			return err
		}
		used := float64(ownCPU()-before) / float64(time.Microsecond)
		found := broadcastResult{r, used / float64(cfg.Nodes*(cfg.Warm+cfg.Events))}
		b.report.Broadcasts = append(b.report.Broadcasts, found)
		b.say("%d nodes, %s: the last after %.1f ms, p99 %.1f ms, %d missing", r.Nodes, r.Name, r.Percentile(50), r.Percentile(99), r.Missing)
	}
	return nil
}

// ownCPU is the CPU time of this process so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for a wrong address only
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// broadcastTable is what the simulations of the broadcast layer found, "" where there
// were none.
func broadcastTable(results []broadcastResult) string {
	if len(results) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n| broadcast layer | nodes | ms to the last node, p50, p99 and max | the first event | after the break | links | packets and bytes, the publisher | packets, each node | sizes of the event that a node sends, mean and most | copies to a region | gossip let go, % of events | late | missing | µs of CPU |\n|" +
		strings.Repeat(" --- |", 14) + "\n")
	for _, r := range results {
		crossings := "–"
		if r.Crossings > 0 {
			crossings = fmt.Sprintf("%.1f", r.Crossings)
		}
		fmt.Fprintf(&b, "| %s | %d | %.1f / %.1f / %.1f | %.1f | %.1f | %d | %.0f / %.0f | %.1f | %.2f / %.1f | %s | %.0f | %d | %d | %.1f |\n",
			r.Name, r.Nodes, r.Percentile(50), r.Percentile(99), r.Percentile(100), r.First, r.After, r.Links,
			r.PublisherPackets, r.PublisherBytes, r.Packets, r.Mean, r.Most, crossings, 100*r.Gossip, r.Late, r.Missing, r.CPU)
	}
	for _, r := range results {
		if n := len(r.StockLast); n > 0 {
			fmt.Fprintf(&b, "\n%s: the last of them has an event after %.1f ms, and %.1f ms at most. A node serves up to %d. %d deliveries of %d events did not happen, since both packets were lost; gossip brings these.\n",
				r.Name, r.StockLast[n/2], r.StockLast[n-1], r.StockMost, r.StockMissing, n)
		}
	}
	fmt.Fprintf(&b, "\nSeed %d. ", results[0].Seed)
	return b.String() + broadcastMethod
}

const broadcastMethod = `How it was simulated: the broadcast layer alone, on links that delay a segment by 0.2 to 1 ms, and by 40 to 150 ms more from one region to another. 1 % of the segments are lost: a link holds one back for 200 ms, or until three later ones have come and a round trip more. Time is that of the network and of the layer's own pauses. Publisher and most are the highest of all events; in a burst, the mean of its events. CPU is for an event and node, simulation included. Bytes are of messages, without the links' own heads and acknowledgements. An event has 300 bytes.
`
