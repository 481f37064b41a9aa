package repair

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"agentctl/handler"
)

// fetchSpans fetches what is lacking in ranges of Lamport times, of what came
// into the peer's log behind a sequence number.
func (s *session) fetchSpans(ctx context.Context, spans []span, above uint64) error {
	slices.SortFunc(spans, func(a, b span) int {
		if a[0] < b[0] {
			return -1
		}
		return 1
	})
	req := &idsRequest{spans: spans, above: above}
	for {
		var a idsAnswer
		if err := s.ask(ctx, req, &a); err != nil {
			return err
		}
		var lacking []string
		last := req.after
		for _, p := range a.ids {
			if cmp.Or(cmp.Compare(last.LTime, p.pos.LTime), cmp.Compare(last.Seq, p.pos.Seq)) >= 0 {
				return fmt.Errorf("%w: a list that does not ascend", errMalformed)
			}
			last = p.pos
			if !s.cfg.Store.Had(p.id) {
				lacking = append(lacking, p.id)
			}
		}
		if err := s.fetch(ctx, lacking); err != nil {
			return err
		}
		if !a.more {
			return nil
		}
		if len(a.ids) == 0 {
			return fmt.Errorf("%w: an empty list that goes on", errMalformed)
		}
		req.after = last
	}
}

// fetch takes in the events of some IDs that the peer has told of. The peer
// may have let go of some since: then it says so with its answer.
func (s *session) fetch(ctx context.Context, ids []string) error {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	for len(ids) > 0 {
		var a eventsAnswer
		if err := s.ask(ctx, &eventsRequest{ids}, &a); err != nil {
			return err
		}
		if a.done == 0 || a.done > uint64(len(ids)) {
			return fmt.Errorf("%w: %d of %d events are done", errMalformed, a.done, len(ids))
		}
		var events []handler.Event
		for _, v := range a.events {
			e := handler.NewUser(v.ltime, v.name, []byte(v.payload), time.Now())
			if !wanted[e.ID] {
				return fmt.Errorf("%w: event %s was not asked for", errMalformed, e.ID)
			}
			if !s.cfg.Skip(&e) {
				events = append(events, e)
			}
		}
		if err := s.take(ctx, events); err != nil {
			return err
		}
		ids = ids[a.done:]
	}
	return nil
}

func (s *session) take(ctx context.Context, events []handler.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := s.cfg.Take(ctx, events); err != nil {
		return err
	}
	for i := range events {
		if id := events[i].ID; !s.cfg.Store.Had(id) {
			return fmt.Errorf("event %s was taken, and is not in the journal", id)
		}
	}
	s.fetched += len(events)
	size := 0
	for i := range events {
		size += len(events[i].Name) + len(events[i].Payload)
	}
	s.earn(len(events), size)
	s.metrics.events.Add(float64(len(events)))
	return s.events.WaitN(ctx, min(len(events), s.cfg.eventRate))
}
