package rpc

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"agentctl/rpcclient"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

func benchmarkPublish(b *testing.B, callers int) {
	a, err := proc.StartStock(b.TempDir(), "a", stock.V011, os.Environ(), "-log-level=err")
	if err != nil {
		b.Fatal(err)
	}
	defer a.Kill()
	p := rpcclient.NewPublisher(rpcclient.PublisherConfig{Config: rpcclient.Config{Addr: a.RPC}})
	defer p.Close()
	var left atomic.Int64
	left.Store(int64(b.N))
	payload := make([]byte, 200)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := p.Publish(b.Context(), "kong", payload, false); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkPublish(b *testing.B)         { benchmarkPublish(b, 1) }
func BenchmarkPublish8Callers(b *testing.B) { benchmarkPublish(b, 8) }
