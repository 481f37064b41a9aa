package disk

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"agentctl/handler"
	"agentctl/handler/journal"
)

const (
	modelEvents = 8 // limits of the journals that are compared with the model
	modelBuried = 3
	modelAge    = time.Hour // the MaxAge of targets that have one
)

// modelEntry is an event: those of a name are equal, and an old one is older
// than modelAge.
type modelEntry struct {
	name string
	old  bool
}

// journalModel is what a journal must look like.
type journalModel struct {
	log     []modelEntry // by sequence number less 1
	targets map[string]*targetModel
}

// clone is what the next process must find.
func (m *journalModel) clone() *journalModel {
	c := &journalModel{log: slices.Clone(m.log), targets: map[string]*targetModel{}}
	for name, t := range m.targets {
		c.targets[name] = t.clone(m)
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

// difference tells how a journal differs from the model; "" is not at all. In
// which order events were buried only an open cursor tells.
func (m *journalModel) difference(j *journal.Journal, cursors map[string]*journal.Cursor) string {
	if j.Head() != uint64(len(m.log)) {
		return fmt.Sprintf("head %d, want %d", j.Head(), len(m.log))
	}
	for name, t := range m.targets {
		s, _ := j.CursorStatus(name)
		if s.Waiting != len(t.pending)+len(t.joined) || s.Lost != t.lost || s.Expired != t.expired || s.Collapsed != t.collapsed || s.Oldest.IsZero() != (s.Waiting == 0) || s.Gap.Open() != t.gap {
			return fmt.Sprintf("target %s: %+v, want %+v", name, s, t)
		}
		buried := t.buried
		if c := cursors[name]; c != nil {
			buried = nil
			for _, b := range c.Buried() {
				if b.Status != int(b.Seq) || b.Event.LTime != b.Seq {
					return fmt.Sprintf("target %s: buried %+v", name, b)
				}
				buried = append(buried, b.Seq)
			}
		}
		if !slices.Equal(buried, t.buried) {
			return fmt.Sprintf("target %s: buried %v, want %v", name, buried, t.buried)
		}
		for seq := uint64(0); seq <= uint64(len(m.log))+1; seq++ {
			if o, want := j.Outcome(name, seq), t.outcome(m, seq); o.State != want.State || o.Into != want.Into {
				return fmt.Sprintf("target %s: event %d %+v, want %+v", name, seq, o, want)
			}
		}
	}
	if !slices.Equal(j.Targets(), m.names()) {
		return fmt.Sprintf("targets %v, want %v", j.Targets(), m.names())
	}
	next := m.first()
	for rec, err := range j.Events(0) {
		if err != nil || rec.Seq != next || rec.Event.LTime != next || rec.Event.Name != m.name(next) {
			return fmt.Sprintf("retained %+v, %v, want %d", rec, err, next)
		}
		next++
	}
	if next != uint64(len(m.log))+1 {
		return fmt.Sprintf("the events retained end before %d", next)
	}
	for seq := uint64(1); seq <= uint64(len(m.log))+1; seq++ {
		if id := modelEvent(seq, m.entry(seq)).ID; held(j, id) != m.holds(seq) {
			return fmt.Sprintf("event %d seen: %v", seq, !m.holds(seq))
		}
	}
	return ""
}

func held(j *journal.Journal, id string) bool {
	_, ok := j.Find(id)
	return ok
}

func (m *journalModel) entry(seq uint64) modelEntry {
	if seq > uint64(len(m.log)) {
		return modelEntry{name: "none"}
	}
	return m.log[seq-1]
}

func (m *journalModel) name(seq uint64) string { return m.entry(seq).name }

func modelEvent(seq uint64, e modelEntry) handler.Event {
	t := time.Now()
	if e.old {
		t = t.Add(-2 * modelAge)
	}
	return handler.NewUser(seq, e.name, nil, t)
}

var modelFilters = []handler.Filters{nil, {{Type: handler.User, Name: "a"}}, {{Type: handler.User, Name: "b"}, {Type: handler.User, Name: "c"}}, {{Type: handler.Query}}}

// modelRun is one run of random calls on a journal and the model.
type modelRun struct {
	model      *journalModel
	j          *journal.Journal
	cursors    map[string]*journal.Cursor
	maxPending int
	kept       *Disk    // what keeps j; nil: nothing does, and it cannot crash
	crash      *crasher // likewise
}

func (r *modelRun) draw(t *rapid.T) (string, *targetModel, *journal.Cursor) {
	if len(r.model.targets) == 0 {
		t.Skip("no target yet")
	}
	name := rapid.SampledFrom(r.model.names()).Draw(t, "target")
	return name, r.model.targets[name], r.cursors[name]
}

func (r *modelRun) open(t *rapid.T, name string, cfg journal.CursorConfig) {
	var err error
	if r.cursors[name], err = r.j.Cursor(name, cfg); err != nil {
		t.Fatal(err)
	}
}

// Any mix of calls: each cursor hands out exactly its matching events in
// order, less exactly the losses counted, and buries what it is told.
func TestMemoryAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &modelRun{
			model:      &journalModel{targets: map[string]*targetModel{}},
			cursors:    map[string]*journal.Cursor{},
			maxPending: rapid.IntRange(1, 12).Draw(t, "max pending"),
		}
		r.j = journal.New(r.limits())
		defer r.j.Close()
		t.Repeat(r.actions())
	})
}

func (r *modelRun) limits() journal.Config {
	return journal.Config{MaxEvents: modelEvents, MaxPending: r.maxPending, MaxBuried: modelBuried}
}
