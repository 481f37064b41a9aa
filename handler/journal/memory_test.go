package journal_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit/journals"
)

// heapInUse is the memory that is still needed.
func heapInUse() int {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int(s.HeapAlloc)
}

// An event of 60 bytes that its target has taken costs little more than its fields, its
// outcome and three indexes. An entry of its own would take twice that.
func TestMemoryOfTheHistory(t *testing.T) {
	const events, most = 50_000, 104
	before := heapInUse()
	j := journal.New(journal.Config{})
	c := journals.OpenCursor(t, j, "a")
	for i := range uint64(events) {
		payload := fmt.Sprintf("%060d", i)
		journals.MustAppend(t, j, handler.NewUser(i, "kong", []byte(payload), time.Now()))
		rec, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Ack(rec.Seq, 200); err != nil {
			t.Fatal(err)
		}
	}
	each := (heapInUse() - before) / events
	t.Logf("%d bytes for each event", each)
	if each > most {
		t.Errorf("an event takes %d bytes, and the limit is %d", each, most)
	}
	runtime.KeepAlive(j)
}

// What is remembered of an event that the history has let go of is its hash.
func TestMemoryOfTrimmedEvents(t *testing.T) {
	const events, most = 40_000, 24
	full := func(more int) int {
		before := heapInUse()
		j := journal.New(journal.Config{MaxEvents: events})
		for i := range uint64(events + more) {
			journals.MustAppend(t, j, handler.NewUser(i, "kong", nil, time.Time{}))
		}
		defer runtime.KeepAlive(j)
		return heapInUse() - before
	}
	each := (full(2*events) - full(0)) / (2 * events)
	t.Logf("%d bytes for each event", each)
	if each > most {
		t.Errorf("an event that was let go of takes %d bytes, and the limit is %d", each, most)
	}
}
