package journal_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit/journals"
)

var payload300Of = bytes.Repeat([]byte("x"), 300)

// Cursors that match take what they are given, as deliveries do.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ matching, others int }{{0, 0}, {1, 0}, {4, 0}, {1, 10}} {
		b.Run(fmt.Sprintf("matching=%d/others=%d", c.matching, c.others), func(b *testing.B) {
			j := journal.New(journal.Config{})
			defer j.Close()
			var cursors []*journal.Cursor
			for i := range c.matching {
				cursors = append(cursors, journals.OpenCursor(b, j, fmt.Sprint("m", i), handler.Filter{Type: handler.User, Name: "kong"}))
			}
			for i := range c.others {
				journals.OpenCursor(b, j, fmt.Sprint("o", i), handler.Filter{Type: handler.MemberJoin, Name: ""}, handler.Filter{Type: handler.User, Name: "gnok"})
			}
			e := handler.NewUser(1, "kong", payload300Of, time.Now())
			e.ID = "" // else it is the same again
			b.ReportAllocs()
			for b.Loop() {
				j.Append(e)
				for _, c := range cursors {
					rec, _ := c.Next(b.Context())
					c.Ack(rec.Seq, 200)
				}
			}
		})
	}
}

// 100,000 events of 300 bytes that wait for two targets that are down.
func BenchmarkWaiting(b *testing.B) {
	heap := func() float64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.HeapAlloc)
	}
	for b.Loop() {
		before := heap()
		j := journal.New(journal.Config{})
		cursors := []*journal.Cursor{journals.OpenCursor(b, j, "a"), journals.OpenCursor(b, j, "b")}
		for i := range uint64(100_000) {
			j.Append(handler.NewUser(i, "kong", payload300Of, time.Now()))
		}
		b.ReportMetric((heap()-before)/1e6, "MB")
		if s := cursors[0].Status(); s.Waiting != 100_000 || s.Lost != 0 {
			b.Fatalf("%+v", s)
		}
		runtime.KeepAlive(j)
	}
}

// 10,000 updates of 10 payloads for a target that is down: what is left to
// post, and what an update costs.
func BenchmarkCollapse(b *testing.B) {
	const updates, payloads = 10_000, 10
	for b.Loop() {
		j := journal.New(journal.Config{})
		c := journals.OpenCollapsing(b, j, "a")
		for i := range updates {
			j.Append(journals.Update(uint64(i), i%payloads))
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
		j.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*updates), "ns/update")
}
