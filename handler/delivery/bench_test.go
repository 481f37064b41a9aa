package delivery

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/disks"
)

var payload300 = bytes.Repeat([]byte("x"), 300)

// gateway takes everything, each after a time.
func benchGateway(b *testing.B, after time.Duration) (url string) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if after > 0 {
			time.Sleep(after)
		}
	}))
	b.Cleanup(s.Close)
	return s.URL
}

// BenchmarkDelivery compares a Delivery with a bare loop of POSTs through the
// same kind of client; vs-bare is how much of the loop's rate it reaches.
func BenchmarkDelivery(b *testing.B) {
	url := benchGateway(b, 0)
	const round = 2000
	var bare, ours, disk time.Duration
	for b.Loop() {
		// In turns, so that a change of the machine's load meets both alike.
		bare += bareLoop(b, url, round)
		ours += memoryLoop(b, target.Target{URL: url}, round)
		disk += diskLoop(b, target.Target{URL: url}, round)
	}
	n := float64(b.N * round)
	b.ReportMetric(n/bare.Seconds(), "bare-posts/s")
	b.ReportMetric(n/ours.Seconds(), "delivered/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "vs-bare")
	b.ReportMetric(n/disk.Seconds(), "disk-delivered/s")
	b.ReportMetric(bare.Seconds()/disk.Seconds(), "disk-vs-bare")
}

// Several at once, to a gateway that answers at once and to one that takes its
// time.
func BenchmarkDeliveryConcurrency(b *testing.B) {
	for _, c := range []struct {
		after       time.Duration
		concurrency int
		orderKey    string
		round       int
	}{
		{0, 1, "", 2000},
		{0, 8, "", 2000},
		{0, 8, "collection+entity.id", 2000},
		{5 * time.Millisecond, 1, "", 50},
		{5 * time.Millisecond, 16, "", 800},
	} {
		gateway := target.Target{Concurrency: c.concurrency, OrderKey: c.orderKey}
		name := fmt.Sprintf("after=%v/concurrency=%d", c.after, c.concurrency)
		if c.orderKey != "" {
			name += "/key=" + c.orderKey
		}
		run := func(b *testing.B, loop func(*testing.B, target.Target, int) time.Duration) {
			gateway.URL = benchGateway(b, c.after)
			var took time.Duration
			for b.Loop() {
				took += loop(b, gateway, c.round)
			}
			b.ReportMetric(float64(b.N*c.round)/took.Seconds(), "events/s")
		}
		b.Run(name+"/memory", func(b *testing.B) { run(b, memoryLoop) })
		b.Run(name+"/disk", func(b *testing.B) { run(b, diskLoop) })
	}
}

func bareLoop(b *testing.B, url string, n int) time.Duration {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	start := time.Now()
	for range n {
		res, err := client.Post(url, "application/json", bytes.NewReader(payload300))
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	return time.Since(start)
}

func memoryLoop(b *testing.B, t target.Target, n int) time.Duration {
	m := journal.New(journal.Config{})
	defer m.Close()
	return deliveryLoop(b, m, t, n)
}

func diskLoop(b *testing.B, t target.Target, n int) time.Duration {
	d := disks.Open(b, disk.Config{Dir: b.TempDir()})
	defer testkit.MustClose(b, d)
	return deliveryLoop(b, d.Journal, t, n)
}

func deliveryLoop(b *testing.B, m *journal.Journal, t target.Target, n int) time.Duration {
	d, err := New(Config{Target: t, Journal: m})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		m.Append(handler.NewUser(uint64(i), "kong", benchPayload(i), time.Now()))
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	start := time.Now()
	go func() { done <- d.Run(ctx) }()
	if err := d.Idle(ctx); err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	if got := d.Status().Delivered; got != uint64(n) {
		b.Fatalf("%d delivered of %d", got, n)
	}
	return took
}

// benchPayload is one of 300 bytes or so, as Kong's are, of its own key.
func benchPayload(i int) []byte {
	return fmt.Appendf(nil, `{"collection":"apis","operation":"ENTITY_UPDATED","entity":{"id":"%d","note":%q}}`, i, payload300[:200])
}
