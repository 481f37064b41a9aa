package handler

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is what a cursor must look like: the events that match and are not
// through, and how many of them someone has in hand.
type model struct {
	cursor  Cursor
	filters Filters
	pending []uint64 // sequence numbers
	given   int
	lost    uint64
}

func (m *model) add(seq uint64, limit int) {
	m.pending = append(m.pending, seq)
	if len(m.pending) > limit && m.given < len(m.pending) {
		m.pending = slices.Delete(m.pending, m.given, m.given+1)
		m.lost++
	}
}

// Any mix of appends, cursors, reads, acks, seeks and trims: each cursor hands
// out exactly its matching events in order, less exactly the losses counted.
func TestMemoryAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const maxEvents = 8
		maxPending := rapid.IntRange(1, 12).Draw(t, "max pending")
		j := NewMemory(MemoryConfig{MaxEvents: maxEvents, MaxPending: maxPending})
		defer j.Close()
		names := []string{"a", "b", "c"}
		var log []string // names, by sequence number less 1
		targets := map[string]*model{}

		drawTarget := func(t *rapid.T) *model {
			if len(targets) == 0 {
				t.Skip("no target yet")
			}
			keys := make([]string, 0, len(targets))
			for k := range targets {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			return targets[rapid.SampledFrom(keys).Draw(t, "target")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				batch := rapid.SliceOfN(rapid.SampledFrom(names), 0, 6).Draw(t, "batch")
				events := make([]Event, len(batch))
				for i, name := range batch {
					log = append(log, name)
					seq := uint64(len(log))
					events[i] = NewUser(seq, name, nil, time.Now())
					for _, m := range targets {
						if m.filters.Match(User, name) {
							m.add(seq, maxPending)
						}
					}
				}
				if err := j.Append(events...); err != nil {
					t.Fatal(err)
				}
			},
			"open": func(t *rapid.T) {
				if len(targets) == 4 {
					t.Skip("enough targets")
				}
				name := fmt.Sprint(len(targets))
				filters := rapid.SampledFrom([]Filters{nil, {{User, "a"}}, {{User, "b"}, {User, "c"}}, {{Type: Query}}}).Draw(t, "filters")
				c, err := j.Cursor(name, filters)
				if err != nil {
					t.Fatal(err)
				}
				targets[name] = &model{cursor: c, filters: filters}
			},
			"reopen": func(t *rapid.T) {
				m := drawTarget(t)
				for name, other := range targets {
					if other != m {
						continue
					}
					if err := m.cursor.Close(); err != nil {
						t.Fatal(err)
					}
					var err error
					if m.cursor, err = j.Cursor(name, m.filters); err != nil {
						t.Fatal(err)
					}
					m.given = 0
				}
			},
			"next": func(t *rapid.T) {
				m := drawTarget(t)
				if m.given == len(m.pending) {
					t.Skip("nothing to read")
				}
				rec, err := m.cursor.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if rec.Seq != m.pending[m.given] || rec.Event.LTime != rec.Seq || rec.Event.Name != log[rec.Seq-1] {
					t.Fatalf("handed out %d, want %d", rec.Seq, m.pending[m.given])
				}
				m.given++
			},
			"ack": func(t *rapid.T) {
				m := drawTarget(t)
				seq := rapid.Uint64Range(0, uint64(len(log)+1)).Draw(t, "seq")
				if err := m.cursor.Ack(seq); err != nil {
					t.Fatal(err)
				}
				for m.given > 0 && m.pending[0] <= seq {
					m.pending, m.given = m.pending[1:], m.given-1
				}
			},
			"seek": func(t *rapid.T) {
				m := drawTarget(t)
				seq := rapid.Uint64Range(0, uint64(len(log)+1)).Draw(t, "seq")
				pending := slices.DeleteFunc(slices.Clone(m.pending), func(s uint64) bool { return s < seq })
				for s := max(1, seq, uint64(max(0, len(log)-maxEvents))+1); s <= uint64(len(log)); s++ {
					if m.filters.Match(User, log[s-1]) && !slices.Contains(pending, s) {
						pending = append(pending, s)
					}
				}
				slices.Sort(pending)
				if err := m.cursor.Seek(seq); (err != nil) != (len(pending) > maxPending) {
					t.Fatalf("seek to %d, %d would wait: %v", seq, len(pending), err)
				} else if err == nil {
					m.pending, m.given = pending, 0
				}
			},
			"": func(t *rapid.T) {
				for name, m := range targets {
					s := m.cursor.Status()
					if s.Waiting != len(m.pending) || s.Lost != m.lost || s.Oldest.IsZero() != (s.Waiting == 0) || s.GapSince.IsZero() != (s.Lost == 0) {
						t.Fatalf("target %s: %+v, want %d waiting and %d lost", name, s, len(m.pending), m.lost)
					}
				}
				n := 0
				for rec, err := range j.Events(0) {
					if first := max(0, len(log)-maxEvents); err != nil || rec.Seq != uint64(first+n+1) {
						t.Fatalf("retained: %d at place %d, %v", rec.Seq, n, err)
					}
					n++
				}
				if n != min(len(log), maxEvents) || j.Head() != uint64(len(log)) {
					t.Fatalf("%d retained, head %d of %d", n, j.Head(), len(log))
				}
			},
		})
	})
}
