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
					c.Ack(rec.Seq)
				}
			}
		})
	}
}

// BenchmarkDelivery compares a Delivery with a bare loop of POSTs through the
// same kind of client; vs-bare is how much of the loop's rate it reaches.
func BenchmarkDelivery(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}))
	defer s.Close()
	const round = 2000
	var bare, ours, disk time.Duration
	for b.Loop() {
		// In turns, so that a change of the machine's load meets both alike.
		bare += bareLoop(b, s.URL, round)
		m := NewMemory(MemoryConfig{})
		ours += deliveryLoop(b, m, s.URL, round)
		m.Close()
		d := openDir(b, DiskConfig{Dir: b.TempDir()})
		disk += deliveryLoop(b, d, s.URL, round)
		closeDisk(b, d)
	}
	n := float64(b.N * round)
	b.ReportMetric(n/bare.Seconds(), "bare-posts/s")
	b.ReportMetric(n/ours.Seconds(), "delivered/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "vs-bare")
	b.ReportMetric(n/disk.Seconds(), "disk-delivered/s")
	b.ReportMetric(bare.Seconds()/disk.Seconds(), "disk-vs-bare")
}

func bareLoop(b *testing.B, url string, n int) time.Duration {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: DefaultTimeout}
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

func deliveryLoop(b *testing.B, m Journal, url string, n int) time.Duration {
	d, err := NewDelivery(DeliveryConfig{Target: Target{URL: url}, Journal: m})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		m.Append(NewUser(uint64(i), "kong", payload300, time.Now()))
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
