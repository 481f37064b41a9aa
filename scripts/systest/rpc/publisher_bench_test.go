package rpc

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentctl/rpcclient"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// BenchmarkPublish publishes over RPC at a stock agent and at one of ours by turns, over
// one connection and over eight. Each connection waits for each answer. Compare the
// ratio: the rates are those of the machine. No target is for the events. Give it enough, say
// -benchtime=100000x.
func BenchmarkPublish(b *testing.B) {
	for _, connections := range []int{1, 8} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) { besideStock(b, connections) })
	}
}

// pairs is how often either agent has its turn.
const pairs = 7

func besideStock(b *testing.B, connections int) {
	stocks, err := proc.StartStock(b.TempDir(), "stock", stock.V011, os.Environ(), "-log-level=err")
	if err != nil {
		b.Fatal(err)
	}
	defer stocks.Kill()
	ours, err := proc.StartAgent(b.TempDir(), "ours", os.Environ())
	if err != nil {
		b.Fatal(err)
	}
	defer ours.Kill()
	publishers := map[*proc.Node][]*rpcclient.Publisher{}
	for range connections {
		for _, n := range []*proc.Node{stocks, ours} {
			p := rpcclient.NewPublisher(rpcclient.PublisherConfig{Config: rpcclient.Config{Addr: n.RPC}})
			defer p.Close()
			publishers[n] = append(publishers[n], p)
		}
	}
	events := max(1, b.N/(2*pairs))
	rates := map[*proc.Node][]float64{}
	var ratios []float64
	b.ResetTimer()
	for range pairs {
		of := map[*proc.Node]float64{}
		for n, all := range publishers {
			of[n] = rate(b, all, events)
			rates[n] = append(rates[n], of[n])
		}
		ratios = append(ratios, of[ours]/of[stocks])
	}
	b.ReportMetric(median(rates[stocks]), "stock-events/s")
	b.ReportMetric(median(rates[ours]), "events/s")
	b.ReportMetric(median(ratios), "of-stock")
}

// rate publishes so many events, and returns how many went a second.
func rate(b *testing.B, publishers []*rpcclient.Publisher, events int) float64 {
	var left atomic.Int64
	left.Store(int64(events))
	began := time.Now()
	var wg sync.WaitGroup
	for _, p := range publishers {
		wg.Go(func() {
			payload := make([]byte, 200)
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				binary.BigEndian.PutUint64(payload, uint64(n)) // equal events cost more
				if err := p.Publish(b.Context(), "bench", payload, false); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(events) / time.Since(began).Seconds()
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
