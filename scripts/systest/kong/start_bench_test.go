package kong

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// BenchmarkStartToRPC is the time from starting an agent to its first answer
// over RPC, as Kong starts it: Kong uses the RPC 200 ms after the start and
// does not try again.
func BenchmarkStartToRPC(b *testing.B) {
	serf := proc.BuildAs(b, "serf")
	for name, program := range map[string]string{"agentctl": serf, "serf-" + stock.V011: stock.Serf(b, stock.V011)} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			for i := 0; b.Loop(); i++ {
				rpc := loopback.Addr()
				p, err := proc.Start(dir, fmt.Sprint("agent", i), os.Environ(), program, "agent", "-node=n", "-profile=wan",
					"-bind=127.0.0.1:0", "-rpc-addr="+rpc, "-log-level=err")
				if err != nil {
					b.Fatal(err)
				}
				if !awaitRPC(rpc, p) {
					b.Errorf("no answer; it printed:\n%s", p.Printed())
				}
				b.StopTimer()
				p.Kill()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/start")
		})
	}
}

// awaitRPC dials until the agent answers; it looks far more often than poll.
func awaitRPC(addr string, p *proc.Process) bool {
	limit := time.Now().Add(testkit.Patience)
	for time.Now().Before(limit) && !p.Ended() {
		c, err := rpcclient.Dial(context.Background(), rpcclient.Config{Addr: addr})
		if err == nil {
			c.Close()
			return true
		}
		<-time.After(200 * time.Microsecond)
	}
	return false
}
