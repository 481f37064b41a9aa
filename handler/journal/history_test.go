package journal

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"agentctl/handler"
)

// drawEvent draws events of all kinds, with the usual IDs and with others.
func drawEvent(t *rapid.T, n int) handler.Event {
	payload := []byte(strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 60, maxPacked, maxPacked + 1}).Draw(t, "size")))
	if len(payload) == 0 {
		payload = nil
	}
	ltime, name := rapid.Uint64Range(0, 40).Draw(t, "ltime"), fmt.Sprint("e", n)
	e := handler.NewUser(ltime, name, payload, time.Unix(int64(n), rapid.Int64Range(0, 999_999_999).Draw(t, "nsec")))
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		e = handler.NewQuery(ltime, name, payload, e.Time)
	case 1:
		e = handler.NewMember(handler.MemberUpdate, fmt.Sprintf("m%d-0123456789abcdef", n), payload, e.Time)
	case 2:
		e.ID = "" // it is held like others, and never a duplicate
	case 3:
		e.ID, e.Type = strings.ToUpper(e.ID), "other"
	}
	return e
}

func same(a, b Record) bool {
	x, y := a.Event, b.Event
	return a.Seq == b.Seq && x.ID == y.ID && x.Type == y.Type && x.Name == y.Name && x.LTime == y.LTime && x.Time.Equal(y.Time) && bytes.Equal(x.Payload, y.Payload)
}

// Whatever is packed, and whoever holds it meanwhile, the history tells of each event what
// was appended.
func TestPackedEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const retained = 32 // chunks of 4 events
		j := New(Config{MaxEvents: retained, MaxAge: 1e6 * time.Hour})
		c, err := j.Cursor("a", CursorConfig{})
		if err != nil {
			t.Fatal(err)
		}
		var model []Record
		var given []uint64
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(t, "events") {
					e := drawEvent(t, len(model))
					if err := j.Append(e); err != nil {
						t.Fatal(err)
					}
					model = append(model, Record{uint64(len(model)) + 1, e})
				}
			},
			"take": func(t *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(t, "events") {
					if e, _ := c.take(); e != nil {
						if !same(e.Record, model[e.Seq-1]) {
							t.Fatalf("%+v, want %+v", e.Record, model[e.Seq-1])
						}
						given = append(given, e.Seq)
					}
				}
			},
			"ack": func(t *rapid.T) {
				if len(given) == 0 {
					t.Skip("nothing is handed out")
				}
				i := rapid.IntRange(0, len(given)-1).Draw(t, "which")
				if rapid.Bool().Draw(t, "refused") {
					c.Bury(given[i], Burial{})
				} else {
					c.Ack(given[i], 200)
				}
				given = slices.Delete(given, i, i+1)
			},
			"requeue": func(t *rapid.T) {
				if len(model) > 0 {
					c.Requeue(uint64(len(model) - rapid.IntRange(0, min(retained, len(model))-1).Draw(t, "back")))
				}
			},
			"": func(t *rapid.T) {
				want := model[max(0, len(model)-retained):]
				var got []Record
				for r := range j.Events(0) {
					got = append(got, r)
				}
				if !slices.EqualFunc(got, want, same) {
					t.Fatalf("%d events %.2000v, want %d %.2000v", len(got), got, len(want), want)
				}
				for _, r := range want {
					if got, ok := j.Find(r.Event.ID); r.Event.ID != "" && (!ok || !same(got, r)) {
						t.Fatalf("%s: %+v, %v", r.Event.ID, got, ok)
					}
				}
				for seq, e := range j.log.kept {
					if e.Seq != seq || !e.needed() || j.log.at(seq) != e {
						t.Fatalf("the entry of %d is kept: %+v", seq, e)
					}
				}
				for _, e := range c.pending() {
					if e.Seq >= j.firstRetained() && j.retained(e.Seq) != e {
						t.Fatalf("event %d has two entries", e.Seq)
					}
				}
			},
		})
	})
}

// Events whose IDs have the same hash are told apart, as long as both are there and after.
func TestIDsOfOneHash(t *testing.T) {
	seen := map[uint32]string{}
	for i := 0; ; i++ {
		id := fmt.Sprint("id-", i)
		twin := seen[idHash(id)]
		if seen[idHash(id)] = id; twin == "" {
			continue
		}
		j := New(Config{MaxEvents: 2})
		add := func(id string) {
			t.Helper()
			if err := j.Append(handler.NewMember(handler.MemberJoin, id, nil, time.Now())); err != nil {
				t.Fatal(err)
			}
		}
		want := func(id string, seq uint64) {
			t.Helper()
			if r, _ := j.Find(id); r.Seq != seq {
				t.Fatalf("%s is event %d, want %d", id, r.Seq, seq)
			}
		}
		add(id)
		add(twin)
		add(twin) // left out
		want(id, 1)
		want(twin, 2)
		add("other")
		want(id, 0)
		want(twin, 2)
		add(id)
		want(id, 4)
		want(twin, 0)
		return
	}
}

// Some events that a target has yet to take do not keep the others from being packed; and
// when it has taken them, nothing of them is left.
func TestPackingAroundTheNeeded(t *testing.T) {
	j := New(Config{})
	c, err := j.Cursor("a", CursorConfig{Filters: handler.Filters{{Type: handler.User, Name: "slow"}}})
	if err != nil {
		t.Fatal(err)
	}
	const events, each = 10_000, 16
	for i := range uint64(events) {
		name := "fast"
		if i%each == 0 {
			name = "slow"
		}
		if err := j.Append(handler.NewUser(i, name, nil, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	if n := j.log.tail.Len(); n > 4*maxChunk || len(j.log.kept) < events/each-4*maxChunk {
		t.Errorf("%d events are not packed, and of the others %d are kept", n, len(j.log.kept))
	}
	for range events / each {
		rec, err := c.Next(t.Context())
		if err != nil || rec.Event.Name != "slow" {
			t.Fatal(rec, err)
		}
		c.Ack(rec.Seq, 200)
	}
	if j.log.kept != nil {
		t.Errorf("%d entries are kept for nobody", len(j.log.kept))
	}
}

// A target that has yet to take everything makes all wait, and they are packed once it has.
func TestPackingAfterTheNeeded(t *testing.T) {
	j := New(Config{})
	c, err := j.Cursor("a", CursorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	const events = 5000
	for i := range uint64(events) {
		if err := j.Append(handler.NewUser(i, "e", nil, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	if n := j.log.tail.Len(); n != events {
		t.Errorf("%d of %d events that wait are entries", n, events)
	}
	for range events {
		rec, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.Ack(rec.Seq, 200)
	}
	if n := j.log.tail.Len(); n > 4*maxChunk {
		t.Errorf("%d events are not packed", n)
	}
}
