package ops

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"agentctl/agent/api"
	"agentctl/handler/journal"
)

// Of a follower: how often the journal is asked for news; how long an event is
// held back for its outcome; and how long a write may take.
const (
	followEvery  = 100 * time.Millisecond
	followSettle = time.Second
	followWrite  = 30 * time.Second
)

// serveFollower answers with events as they come, a line each, until the client
// goes away, reads too slowly or the agent ends. It begins with a page, or after
// the sequence number that the client names.
//
// An event comes once, in order: when it waits for no target any more, or a
// second after it was known. It keeps nothing for the follower but a position in
// the journal, so a slow one costs nobody anything.
func (h *history) serveFollower(w http.ResponseWriter, r *http.Request, q *eventQuery) {
	leave, ok := h.follow.Enter(clientOf(r))
	if !ok {
		writeError(w, errorf(http.StatusServiceUnavailable, "too many clients follow the events already, %d for each address at most: end one of them", api.MaxFollowers))
		return
	}
	defer leave()
	f := &follower{history: h, q: q, rc: http.NewResponseController(w), enc: newEncoder(w)}
	begin, err := f.begin(r.Context())
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	for _, seq := range begin {
		if rec, ok := h.journal.At(seq); ok && f.send(&rec) != nil {
			return
		}
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for f.flush() == nil {
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
		if f.news(time.Now()) != nil {
			return
		}
	}
}

type follower struct {
	history *history
	q       *eventQuery
	rc      *http.ResponseController
	enc     *json.Encoder
	next    uint64 // sequence number
}

// begin finds the follower's position, and the page that comes first.
func (f *follower) begin(ctx context.Context) ([]uint64, error) {
	head := f.history.journal.Head()
	if f.q.after != nil {
		f.next = min(*f.q.after, head) + 1
		return nil, nil
	}
	p, err := f.history.search(ctx, f.q)
	if err != nil {
		return nil, err
	}
	f.next = head + 1
	if n := len(p.seqs); n > 0 { // some may have come since
		f.next = max(f.next, p.seqs[n-1]+1)
	}
	return p.seqs, nil
}

func (f *follower) send(rec *journal.Record) error {
	report := f.history.report(rec, f.q.targets)
	return f.write(api.FollowedEvent{EventReport: &report})
}

func (f *follower) write(line api.FollowedEvent) error {
	if err := f.extend(); err != nil {
		return err
	}
	return f.enc.Encode(line)
}

func (f *follower) flush() error {
	if err := f.extend(); err != nil {
		return err
	}
	return f.rc.Flush()
}

// extend gives the next write its time: the server's limit is for short answers.
func (f *follower) extend() error { return f.rc.SetWriteDeadline(time.Now().Add(followWrite)) }

// news sends what has come since and is settled. An error ends the follower.
func (f *follower) news(now time.Time) error {
	if f.history.journal.Head() < f.next {
		return nil
	}
	f.q.targets = f.history.journal.Targets()
	for rec, err := range f.history.journal.Events(f.next) {
		if err != nil {
			return err
		}
		if now.Sub(rec.Event.Time) < followSettle && f.waits(rec.Seq) {
			return nil
		}
		if missed := rec.Seq - f.next; missed > 0 {
			if err := f.write(api.FollowedEvent{Missed: missed}); err != nil {
				return err
			}
		}
		f.next = rec.Seq + 1
		if f.history.match(f.q, &rec) {
			if err := f.send(&rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// waits tells whether any target is still to have an event.
func (f *follower) waits(seq uint64) bool {
	return slices.ContainsFunc(f.q.targets, func(target string) bool {
		return f.history.journal.Outcome(target, seq).State == journal.OutcomeWaiting
	})
}
