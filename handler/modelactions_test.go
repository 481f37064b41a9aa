package handler

import (
	"errors"
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

// actions are the calls that a run is made of. The one without a name compares
// journal and model after each.
func (r *modelRun) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"append": r.append,
		"repeat": r.repeat,
		"open":   r.openNew,
		"reopen": r.reopen,
		"forget": r.forget,
		"next":   r.next,
		"ack":    r.ack,
		"bury":   r.bury,
		"unbury": r.unbury,
		"seek":   r.seek,
		"": func(t *rapid.T) {
			if diff := r.model.difference(r.j, r.cursors); diff != "" {
				t.Fatal(diff)
			}
			if r.crash != nil {
				r.crash.states = append(r.crash.states, r.model.clone())
			}
		},
	}
}

func (r *modelRun) append(t *rapid.T) {
	batch := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 6).Draw(t, "batch")
	events := make([]Event, len(batch))
	for i, name := range batch {
		r.model.log = append(r.model.log, name)
		seq := uint64(len(r.model.log))
		events[i] = modelEvent(seq, name)
		for _, m := range r.model.targets {
			if m.filters.Match(User, name) {
				m.add(seq, r.maxPending)
			}
		}
	}
	if err := r.j.Append(events...); err != nil {
		t.Fatal(err)
	}
}

// repeat appends what the journal holds already.
func (r *modelRun) repeat(t *rapid.T) {
	seq := rapid.Uint64Range(0, uint64(len(r.model.log))).Draw(t, "seq")
	if seq == 0 || !r.model.holds(seq) {
		t.Skip("not held")
	}
	if err := r.j.Append(modelEvent(seq, r.model.name(seq))); err != nil {
		t.Fatal(err)
	}
}

func (r *modelRun) openNew(t *rapid.T) {
	name := fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "name"))
	if r.model.targets[name] != nil {
		t.Skip("open already")
	}
	filters := rapid.SampledFrom(modelFilters).Draw(t, "filters")
	r.open(t, name, filters)
	r.model.targets[name] = &targetModel{filters: filters}
}

func (r *modelRun) reopen(t *rapid.T) {
	name, m, c := r.draw(t)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	m.filters = rapid.SampledFrom(modelFilters).Draw(t, "filters")
	m.given = nil
	r.open(t, name, m.filters)
}

func (r *modelRun) forget(t *rapid.T) {
	name, _, c := r.draw(t)
	if err := errors.Join(c.Close(), r.j.Forget(name)); err != nil {
		t.Fatal(err)
	}
	delete(r.model.targets, name)
}

func (r *modelRun) next(t *rapid.T) {
	_, m, c := r.draw(t)
	next := m.next()
	if next == 0 {
		t.Skip("nothing to read")
	}
	rec, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if rec.Seq != next || rec.Event.LTime != next || rec.Event.Name != r.model.name(next) {
		t.Fatalf("handed out %+v, want %d", rec, next)
	}
	m.given = append(m.given, next)
}

// through draws an event and takes it from the model if it was handed out.
func (r *modelRun) through(t *rapid.T, m *targetModel) (seq uint64, was bool) {
	seq = rapid.Uint64Range(0, uint64(len(r.model.log)+1)).Draw(t, "seq")
	if len(m.given) > 0 && rapid.Bool().Draw(t, "handed out") {
		seq = rapid.SampledFrom(m.given).Draw(t, "of those")
	}
	was = slices.Contains(m.given, seq)
	if was {
		m.given, m.pending = without(m.given, seq), without(m.pending, seq)
	}
	return seq, was
}

func (r *modelRun) ack(t *rapid.T) {
	_, m, c := r.draw(t)
	seq, _ := r.through(t, m)
	if err := c.Ack(seq); err != nil {
		t.Fatal(err)
	}
}

func (r *modelRun) bury(t *rapid.T) {
	_, m, c := r.draw(t)
	seq, was := r.through(t, m)
	if err := c.Bury(seq, BuriedInfo{Status: int(seq)}); err != nil {
		t.Fatal(err)
	}
	if was {
		m.buried = append(m.buried, seq)
		m.buried = m.buried[max(0, len(m.buried)-modelBuried):]
	}
}

func (r *modelRun) unbury(t *rapid.T) {
	_, m, c := r.draw(t)
	if len(m.buried) == 0 {
		if _, ok := errors.AsType[*NotBuriedError](c.Unbury(1)); !ok {
			t.Fatal("unburied what is not buried")
		}
		return
	}
	seq := rapid.SampledFrom(m.buried).Draw(t, "seq")
	if err := c.Unbury(seq); (err != nil) != (len(m.pending) >= r.maxPending) {
		t.Fatalf("unbury %d, %d wait: %v", seq, len(m.pending), err)
	} else if err == nil {
		m.buried = without(m.buried, seq)
		m.pending = append(m.pending, seq)
		slices.Sort(m.pending)
	}
}

func (r *modelRun) seek(t *rapid.T) {
	_, m, c := r.draw(t)
	seq := rapid.Uint64Range(0, uint64(len(r.model.log)+1)).Draw(t, "seq")
	pending := slices.Concat(m.pending, m.buried)
	for s := r.model.first(); s <= uint64(len(r.model.log)); s++ {
		if m.filters.Match(User, r.model.name(s)) {
			pending = append(pending, s)
		}
	}
	pending = slices.DeleteFunc(pending, func(s uint64) bool { return s < seq })
	slices.Sort(pending)
	pending = slices.Compact(pending)
	if err := c.Seek(seq); (err != nil) != (len(pending) > r.maxPending) {
		t.Fatalf("seek to %d, %d would wait: %v", seq, len(pending), err)
	} else if err == nil {
		m.pending, m.given = pending, nil
		m.buried = slices.DeleteFunc(m.buried, func(s uint64) bool { return s >= seq })
	}
}
