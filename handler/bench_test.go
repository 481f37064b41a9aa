package handler

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"
)

var payload300 = bytes.Repeat([]byte("x"), 300)

// Cursors that match take what they are given, as deliveries do.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ matching, others int }{{0, 0}, {1, 0}, {4, 0}, {1, 10}} {
		b.Run(fmt.Sprintf("matching=%d/others=%d", c.matching, c.others), func(b *testing.B) {
			m := NewMemory(MemoryConfig{})
			defer m.Close()
			var cursors []Cursor
			for i := range c.matching {
				cursors = append(cursors, openCursor(b, m, fmt.Sprint("m", i), Filter{User, "kong"}))
			}
			for i := range c.others {
				openCursor(b, m, fmt.Sprint("o", i), Filter{MemberJoin, ""}, Filter{User, "gnok"})
			}
			e := NewUser(1, "kong", payload300, time.Now())
			e.ID = "" // else it is the same again
			b.ReportAllocs()
			for b.Loop() {
				m.Append(e)
				for _, c := range cursors {
					rec, _ := c.Next(b.Context())
					c.Ack(rec.Seq, 200)
				}
			}
		})
	}
}

// gateway takes everything, each after a time.
func gateway(b *testing.B, after time.Duration) (url string) {
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
	url := gateway(b, 0)
	const round = 2000
	var bare, ours, disk time.Duration
	for b.Loop() {
		// In turns, so that a change of the machine's load meets both alike.
		bare += bareLoop(b, url, round)
		ours += memoryLoop(b, Target{URL: url}, round)
		disk += diskLoop(b, Target{URL: url}, round)
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
		target := Target{Concurrency: c.concurrency, OrderKey: c.orderKey}
		name := fmt.Sprintf("after=%v/concurrency=%d", c.after, c.concurrency)
		if c.orderKey != "" {
			name += "/key=" + c.orderKey
		}
		run := func(b *testing.B, loop func(*testing.B, Target, int) time.Duration) {
			target.URL = gateway(b, c.after)
			var took time.Duration
			for b.Loop() {
				took += loop(b, target, c.round)
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

func memoryLoop(b *testing.B, t Target, n int) time.Duration {
	m := NewMemory(MemoryConfig{})
	defer m.Close()
	return deliveryLoop(b, m, t, n)
}

func diskLoop(b *testing.B, t Target, n int) time.Duration {
	d := openDir(b, DiskConfig{Dir: b.TempDir()})
	defer closeDisk(b, d)
	return deliveryLoop(b, d, t, n)
}

func deliveryLoop(b *testing.B, m Journal, t Target, n int) time.Duration {
	d, err := NewDelivery(DeliveryConfig{Target: t, Journal: m})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		m.Append(NewUser(uint64(i), "kong", benchPayload(i), time.Now()))
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

// 100,000 events of 300 bytes that wait for two targets that are down.
func BenchmarkMemoryWaiting(b *testing.B) {
	heap := func() float64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.HeapAlloc)
	}
	for b.Loop() {
		before := heap()
		m := NewMemory(MemoryConfig{})
		cursors := []Cursor{openCursor(b, m, "a"), openCursor(b, m, "b")}
		for i := range uint64(100_000) {
			m.Append(NewUser(i, "kong", payload300, time.Now()))
		}
		b.ReportMetric((heap()-before)/1e6, "MB")
		if s := cursors[0].Status(); s.Waiting != 100_000 || s.Lost != 0 {
			b.Fatalf("%+v", s)
		}
		runtime.KeepAlive(m)
	}
}

// 10,000 updates of 10 payloads for a target that is down: what is left to
// post, and what an update costs.
func BenchmarkCollapse(b *testing.B) {
	const updates, payloads = 10_000, 10
	for b.Loop() {
		m := NewMemory(MemoryConfig{})
		c := openCollapsing(b, m, "a").(*memoryCursor)
		for i := range updates {
			m.Append(update(uint64(i), i%payloads))
		}
		if c.waiting.Len() != payloads || c.Status().Waiting != updates {
			b.Fatalf("%d leaders, %+v", c.waiting.Len(), c.Status())
		}
		b.ReportMetric(float64(c.waiting.Len()), "leaders")
		for range payloads {
			rec, _ := c.Next(b.Context())
			c.Ack(rec.Seq, 200)
		}
		if s := c.Status(); s.Waiting != 0 {
			b.Fatalf("%+v", s)
		}
		m.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*updates), "ns/update")
}
