package disk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"agentctl/handler"
	"agentctl/handler/journal"
)

// actions are the calls that a run is made of. The one without a name compares
// journal and model after each.
func (r *modelRun) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"append":  r.append,
		"repeat":  r.repeat,
		"open":    r.openNew,
		"reopen":  r.reopen,
		"forget":  r.forget,
		"next":    r.next,
		"ack":     r.ack,
		"bury":    r.bury,
		"requeue": r.requeue,
		"gap":     r.gap,
		"mend":    r.mend,
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
	batch := rapid.SliceOfN(rapid.SampledFrom(modelEntries), 0, 6).Draw(t, "batch")
	events := make([]handler.Event, len(batch))
	for i, e := range batch {
		r.model.log = append(r.model.log, e)
		seq := uint64(len(r.model.log))
		events[i] = modelEvent(seq, e)
		for _, m := range r.model.targets {
			if m.cfg.Filters.Match(handler.User, e.name) {
				m.add(r.model, seq, r.maxPending)
			}
		}
	}
	for _, m := range r.model.targets {
		m.trim(r.model)
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
	if err := r.j.Append(modelEvent(seq, r.model.entry(seq))); err != nil {
		t.Fatal(err)
	}
}

var modelEntries = []modelEntry{{"a", false}, {"b", false}, {"c", false}, {"a", true}}

func modelConfig(t *rapid.T) journal.CursorConfig {
	return journal.CursorConfig{
		Filters:  rapid.SampledFrom(modelFilters).Draw(t, "filters"),
		Collapse: rapid.Bool().Draw(t, "collapse"),
		MaxAge:   rapid.SampledFrom([]time.Duration{0, modelAge}).Draw(t, "max age"),
	}
}

func (r *modelRun) openNew(t *rapid.T) {
	name := fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "name"))
	if r.model.targets[name] != nil {
		t.Skip("open already")
	}
	cfg := modelConfig(t)
	r.open(t, name, cfg)
	r.model.targets[name] = newTargetModel(cfg)
}

func (r *modelRun) reopen(t *rapid.T) {
	name, m, c := r.draw(t)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := modelConfig(t)
	m.open(r.model, cfg)
	r.open(t, name, cfg)
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
	if m.next() == 0 {
		t.Skip("nothing to read")
	}
	m.expire(r.model)
	next := m.next()
	if next == 0 {
		// On a busy machine the time may be over before Next has looked.
		for wait := time.Millisecond; wait < 10*time.Second && c.Status().Expired != m.expired; wait *= 4 {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			rec, err := c.Next(ctx)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("handed out %+v, %v, which is too old", rec, err)
			}
		}
		return
	}
	rec, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if rec.Seq != next || rec.Event.LTime != next || rec.Event.Name != r.model.name(next) {
		t.Fatalf("handed out %+v, want %d", rec, next)
	}
	m.given = append(m.given, next)
	m.unlead(r.model, next)
}

// takeHandedOut draws an event and takes it from the model if it was handed out.
func (r *modelRun) takeHandedOut(t *rapid.T, m *targetModel, state journal.OutcomeState) (seq uint64, was bool) {
	seq = rapid.Uint64Range(0, uint64(len(r.model.log)+1)).Draw(t, "seq")
	if len(m.given) > 0 && rapid.Bool().Draw(t, "handed out") {
		seq = rapid.SampledFrom(m.given).Draw(t, "of those")
	}
	was = slices.Contains(m.given, seq)
	if was {
		m.settle(seq, state)
	}
	return seq, was
}

func (r *modelRun) ack(t *rapid.T) {
	_, m, c := r.draw(t)
	seq, _ := r.takeHandedOut(t, m, journal.OutcomeDelivered)
	if err := c.Ack(seq, 200); err != nil {
		t.Fatal(err)
	}
}

func (r *modelRun) bury(t *rapid.T) {
	_, m, c := r.draw(t)
	seq, was := r.takeHandedOut(t, m, journal.OutcomeBuried)
	if err := c.Bury(seq, journal.Burial{Status: int(seq)}); err != nil {
		t.Fatal(err)
	}
	if was {
		m.buried = append(m.buried, seq)
		m.buried = m.buried[max(0, len(m.buried)-modelBuried):]
	}
}

// gap is for one target, or all.
func (r *modelRun) gap(t *rapid.T) {
	_, m, c := r.draw(t)
	n := rapid.Uint64Range(0, 2).Draw(t, "lost")
	gap, targets := c.Gap, []*targetModel{m}
	if rapid.Bool().Draw(t, "of all") {
		gap, targets = r.j.Gap, slices.Collect(maps.Values(r.model.targets))
	}
	if err := gap(n, "some reason"); err != nil {
		t.Fatal(err)
	}
	for _, m := range targets {
		m.lose(n)
	}
}

// mend is of all losses, or all but the newest.
func (r *modelRun) mend(t *rapid.T) {
	_, m, c := r.draw(t)
	before, at := c.Status().Gap, time.Now()
	watermark := before.Watermark
	if m.gap && rapid.Bool().Draw(t, "not the newest") {
		watermark--
	} else {
		m.gap = false
	}
	if err := c.Mend(watermark, at); err != nil {
		t.Fatal(err)
	}
	if after := c.Status().Gap; m.gap && (!after.Since.Equal(at) || after.Reason != before.Reason) {
		t.Fatalf("mended in part: %+v, before %+v", after, before)
	}
}

func (r *modelRun) requeue(t *rapid.T) {
	_, m, c := r.draw(t)
	held := slices.Concat(m.pending, m.buried)
	for seq := r.model.first(); seq <= uint64(len(r.model.log)); seq++ {
		held = append(held, seq)
	}
	seqs := rapid.SliceOfN(rapid.SampledFrom(append(held, uint64(len(r.model.log))+1)), 0, 4).Draw(t, "seqs")
	more := map[uint64]bool{}
	for _, seq := range seqs {
		if !slices.Contains(held, seq) {
			if nerr, ok := errors.AsType[*journal.NotHeldError](c.Requeue(seqs...)); !ok || nerr.Seq != seq {
				t.Fatalf("requeued %v: %v", seqs, nerr)
			}
			return
		}
		if !slices.Contains(m.pending, seq) && m.joined[seq] == 0 {
			more[seq] = true
		}
	}
	err := c.Requeue(seqs...)
	if n := len(m.pending) + len(more); len(more) > 0 && n > r.maxPending {
		if terr, ok := errors.AsType[*journal.TooManyError](err); !ok || terr.Waiting != n || terr.Free != r.maxPending-len(m.pending) {
			t.Fatalf("requeued %v: %v", seqs, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m.requeue(r.model, seqs)
}
