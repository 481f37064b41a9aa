package handler

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	modelEvents = 8 // limits of the journals that are compared with the model
	modelBuried = 3
)

// targetModel is what a cursor must look like.
type targetModel struct {
	filters Filters
	pending []uint64 // sequence numbers, in order
	given   []uint64 // those among them that someone has in hand
	buried  []uint64 // in the order of burial
	lost    uint64
}

func (m *targetModel) add(seq uint64, limit int) {
	m.pending = append(m.pending, seq)
	if len(m.pending) > limit && len(m.given) < len(m.pending) {
		i := slices.IndexFunc(m.pending, func(s uint64) bool { return !slices.Contains(m.given, s) })
		m.pending = slices.Delete(m.pending, i, i+1)
		m.lost++
	}
}

func without(seqs []uint64, seq uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(seqs), func(s uint64) bool { return s == seq })
}

// next is what is to be handed out; 0 is nothing.
func (m *targetModel) next() uint64 {
	for _, seq := range m.pending {
		if !slices.Contains(m.given, seq) {
			return seq
		}
	}
	return 0
}

// journalModel is what a journal must look like.
type journalModel struct {
	log     []string // names, by sequence number less 1
	targets map[string]*targetModel
}

func (m *journalModel) clone() *journalModel {
	c := &journalModel{log: slices.Clone(m.log), targets: map[string]*targetModel{}}
	for name, t := range m.targets {
		c.targets[name] = &targetModel{
			t.filters, slices.Clone(t.pending), nil, slices.Clone(t.buried), t.lost,
		}
	}
	return c
}

// first is the first sequence number that is retained.
func (m *journalModel) first() uint64 { return uint64(max(0, len(m.log)-modelEvents)) + 1 }

func (m *journalModel) holds(seq uint64) bool {
	for _, t := range m.targets {
		if slices.Contains(t.pending, seq) || slices.Contains(t.buried, seq) {
			return true
		}
	}
	return seq >= m.first() && seq <= uint64(len(m.log))
}

func (m *journalModel) names() []string { return slices.Sorted(maps.Keys(m.targets)) }

// difference tells how a journal differs from the model; "" is not at all.
func (m *journalModel) difference(j Journal, cursors map[string]Cursor) string {
	if j.Head() != uint64(len(m.log)) {
		return fmt.Sprintf("head %d, want %d", j.Head(), len(m.log))
	}
	for name, t := range m.targets {
		c := cursors[name]
		s := c.Status()
		if s.Waiting != len(t.pending) || s.Lost != t.lost || s.Oldest.IsZero() != (s.Waiting == 0) || s.GapSince.IsZero() != (s.Lost == 0) {
			return fmt.Sprintf("target %s: %+v, want %d waiting and %d lost", name, s, len(t.pending), t.lost)
		}
		var buried []uint64
		for _, b := range c.Buried() {
			if b.Status != int(b.Seq) || b.Event.LTime != b.Seq {
				return fmt.Sprintf("target %s: buried %+v", name, b)
			}
			buried = append(buried, b.Seq)
		}
		if !slices.Equal(buried, t.buried) {
			return fmt.Sprintf("target %s: buried %v, want %v", name, buried, t.buried)
		}
	}
	next := m.first()
	for rec, err := range j.Events(0) {
		if err != nil || rec.Seq != next || rec.Event.LTime != next || rec.Event.Name != m.log[next-1] {
			return fmt.Sprintf("retained %+v, %v, want %d", rec, err, next)
		}
		next++
	}
	if next != uint64(len(m.log))+1 {
		return fmt.Sprintf("the events retained end before %d", next)
	}
	for seq := uint64(1); seq <= uint64(len(m.log))+1; seq++ {
		if id := modelEvent(seq, m.name(seq)).ID; j.Seen(id) != m.holds(seq) {
			return fmt.Sprintf("event %d seen: %v", seq, !m.holds(seq))
		}
	}
	return ""
}

func (m *journalModel) name(seq uint64) string {
	if seq > uint64(len(m.log)) {
		return "none"
	}
	return m.log[seq-1]
}

func modelEvent(seq uint64, name string) Event { return NewUser(seq, name, nil, time.Now()) }

var modelFilters = []Filters{nil, {{User, "a"}}, {{User, "b"}, {User, "c"}}, {{Type: Query}}}

// modelRun is one run of random calls on a journal and the model.
type modelRun struct {
	model      *journalModel
	j          Journal
	cursors    map[string]Cursor
	maxPending int
	crash      *crasher // nil: j cannot crash
}

func (r *modelRun) draw(t *rapid.T) (string, *targetModel, Cursor) {
	if len(r.model.targets) == 0 {
		t.Skip("no target yet")
	}
	name := rapid.SampledFrom(r.model.names()).Draw(t, "target")
	return name, r.model.targets[name], r.cursors[name]
}

func (r *modelRun) open(t *rapid.T, name string, fs Filters) {
	var err error
	if r.cursors[name], err = r.j.Cursor(name, fs); err != nil {
		t.Fatal(err)
	}
}

// Any mix of calls: each cursor hands out exactly its matching events in
// order, less exactly the losses counted, and buries what it is told.
func TestMemoryAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &modelRun{
			model:      &journalModel{targets: map[string]*targetModel{}},
			cursors:    map[string]Cursor{},
			maxPending: rapid.IntRange(1, 12).Draw(t, "max pending"),
		}
		r.j = NewMemory(r.limits())
		defer r.j.Close()
		t.Repeat(r.actions())
	})
}

func (r *modelRun) limits() MemoryConfig {
	return MemoryConfig{MaxEvents: modelEvents, MaxPending: r.maxPending, MaxBuried: modelBuried}
}
