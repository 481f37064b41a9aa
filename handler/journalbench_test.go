package handler

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"
)

var payload300Of = bytes.Repeat([]byte("x"), 300)

// Cursors that match take what they are given, as deliveries do.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ matching, others int }{{0, 0}, {1, 0}, {4, 0}, {1, 10}} {
		b.Run(fmt.Sprintf("matching=%d/others=%d", c.matching, c.others), func(b *testing.B) {
			m := NewMemory(MemoryConfig{})
			defer m.Close()
			var cursors []*memoryCursor
			for i := range c.matching {
				cursors = append(cursors, openCursor(b, m, fmt.Sprint("m", i), Filter{User, "kong"}))
			}
			for i := range c.others {
				openCursor(b, m, fmt.Sprint("o", i), Filter{MemberJoin, ""}, Filter{User, "gnok"})
			}
			e := NewUser(1, "kong", payload300Of, time.Now())
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
		cursors := []*memoryCursor{openCursor(b, m, "a"), openCursor(b, m, "b")}
		for i := range uint64(100_000) {
			m.Append(NewUser(i, "kong", payload300Of, time.Now()))
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
		c := openCollapsing(b, m, "a")
		for i := range updates {
			m.Append(update(uint64(i), i%payloads))
		}
		if s := c.Status(); s.Waiting != updates || s.Collapsed != updates-payloads {
			b.Fatalf("%+v", s)
		}
		b.ReportMetric(payloads, "leaders")
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
