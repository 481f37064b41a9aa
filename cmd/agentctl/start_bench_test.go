package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"agentctl/rpcclient"
	"agentctl/scripts/loopback"
	"agentctl/scripts/stock"
)

// BenchmarkStartToRPC is the time from starting an agent to its first answer
// over RPC, as Kong starts it: Kong uses the RPC 200 ms after the start and
// does not try again.
func BenchmarkStartToRPC(b *testing.B) {
	serf := buildAs(b, "serf")
	for name, program := range map[string]string{"agentctl": serf, "serf-" + stock.V011: stock.Serf(b, stock.V011)} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			for i := 0; b.Loop(); i++ {
				rpc := loopback.Addr()
				p, err := startProcess(dir, fmt.Sprint("agent", i), os.Environ(), program, "agent", "-node=n", "-profile=wan",
					"-bind=127.0.0.1:0", "-rpc-addr="+rpc, "-log-level=err")
				if err != nil {
					b.Fatal(err)
				}
				if !awaitRPC(rpc, p) {
					b.Errorf("no answer; it printed:\n%s", p.printed())
				}
				b.StopTimer()
				p.kill()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/start")
		})
	}
}

// awaitRPC dials until the agent answers; it looks far more often than poll.
func awaitRPC(addr string, p *process) bool {
	limit := time.Now().Add(pollLimit)
	for time.Now().Before(limit) && !p.ended() {
		c, err := rpcclient.Dial(context.Background(), rpcclient.Config{Addr: addr})
		if err == nil {
			c.Close()
			return true
		}
		<-time.After(200 * time.Microsecond)
	}
	return false
}
