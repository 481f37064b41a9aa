package delivery

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"agentctl/agent/api"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// BenchmarkPublish is a publish over HTTP at one of two agents, whose journals are on the
// disk of the folder for temporary files. Both have a gateway that takes every event. A
// plain publish is answered once the agent has taken the event, a durable one once it is
// on the disks of so many nodes. Callers that publish at the same time share syncs.
func BenchmarkPublish(b *testing.B) {
	first := benchAgent(b, "first")
	second := benchAgent(b, "second", "-retry-join="+first.Gossip)
	if !testkit.Poll(func() bool {
		status, _, err := answered(http.DefaultClient, first, "&durable=2", "both are there")
		return err == nil && status == http.StatusOK
	}) {
		b.Fatalf("no event is on the disks of both:\n%s", first.Printed())
	}
	for _, kind := range []struct {
		name, query string
		status      int
	}{
		{"plain", "", http.StatusAccepted},
		{"durable=1", "&durable=1", http.StatusOK},
		{"durable=2", "&durable=2", http.StatusOK},
	} {
		for _, callers := range []int{1, 8, api.MaxDurableWaiting} {
			b.Run(fmt.Sprintf("%s/callers=%d", kind.name, callers), func(b *testing.B) {
				for _, n := range []*proc.Node{first, second} { // no events of another kind are on their way
					testkit.WaitFor(b, n.Name+" has delivered all", func() bool { return proc.StatusOf(b, n).Waiting == 0 })
				}
				benchmarkPublish(b, first, kind.query, kind.status, callers)
			})
		}
	}
}

// benchAgent starts an agent that keeps a journal, beside a gateway.
func benchAgent(b *testing.B, name string, args ...string) *proc.Node {
	b.Helper()
	dir := b.TempDir()
	gw, err := stub.NewGateway()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(gw.Close)
	n, err := proc.StartAgent(dir, name, os.Environ(), append(args,
		"-data-dir="+filepath.Join(dir, "data"), "-event-handler=user:kong="+gw.URL())...)
	if n != nil {
		b.Cleanup(n.Kill)
	}
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func benchmarkPublish(b *testing.B, n *proc.Node, query string, status, callers int) {
	http.DefaultClient.CloseIdleConnections() // an idle one keeps its place for half a minute
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers, MaxConnsPerHost: callers}}
	defer client.CloseIdleConnections()
	took := make([][]time.Duration, callers)
	next := make(chan int)
	b.ResetTimer()
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := range next {
				begun := time.Now()
				got, report, err := answered(client, n, query, fmt.Sprintf("%200d", i))
				if err != nil || got != status {
					b.Errorf("publishing was answered with %d, %+v, %v, want %d", got, report, err, status)
				}
				took[caller] = append(took[caller], time.Since(begun))
			}
		})
	}
	for i := range b.N {
		next <- i
	}
	close(next)
	wg.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	b.ReportMetric(ms(all[len(all)/2]), "ms-p50")
	b.ReportMetric(ms(all[len(all)*99/100]), "ms-p99")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(0, "ns/op") // the time of one event in all is no time that a caller waits
}
