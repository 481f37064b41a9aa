package ops

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"agentctl/agent/admission"
	"agentctl/agent/api"
	"agentctl/handler/journal"
)

// history answers what the operations endpoint knows of events. It reads the
// journal in small steps, so that nobody waits for it, and keeps no event for a
// client, who may read slowly: only sequence numbers.
type history struct {
	journal  *journal.Journal
	targets  func() []Target // that are served now
	replays  replays
	follow   *admission.Share // followers
	searches chan struct{}    // holds a value for each search of the journal
}

func newHistory(journal *journal.Journal, targets func() []Target) *history {
	return &history{
		journal: journal, targets: targets,
		follow: twice(api.MaxFollowers), searches: make(chan struct{}, api.MaxSearches),
	}
}

// searchWait is for how long a request waits for its turn to search.
const searchWait = 5 * time.Second

// beginSearch waits until a search of the whole journal may begin. end ends it.
func (h *history) beginSearch(ctx context.Context) (end func(), err error) {
	late := time.NewTimer(searchWait)
	defer late.Stop()
	select {
	case h.searches <- struct{}{}:
		return func() { <-h.searches }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-late.C:
		return nil, errorf(http.StatusServiceUnavailable, "%d other requests search the events: try again later", api.MaxSearches)
	}
}

// found is an event that is wanted.
type found struct {
	seq  uint64
	size int // of its payload
}

// page collects events up to the limits of a page.
type page struct {
	limit int
	seqs  []uint64
	bytes int
	more  bool // there was one that did not fit
}

// add tells whether there was room.
func (p *page) add(f found) bool {
	if len(p.seqs) >= p.limit || len(p.seqs) > 0 && p.bytes+f.size > api.MaxPageBytes {
		p.more = true
		return false
	}
	p.seqs = append(p.seqs, f.seq)
	p.bytes += f.size
	return true
}

// search finds the page that is wanted, oldest first.
func (h *history) search(ctx context.Context, q *eventQuery) (*page, error) {
	end, err := h.beginSearch(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if q.after != nil {
		return h.oldest(q)
	}
	return h.newest(q)
}

// window is how many events are looked at in one go, from the newest back.
const window = 1000

// newest are the newest events that are wanted.
func (h *history) newest(q *eventQuery) (*page, error) {
	p := &page{limit: q.limit}
	// look takes what is before an event, and returns the first that it saw.
	look := func(events iter.Seq2[journal.Record, error], before uint64) (first uint64, err error) {
		first = before
		var wanted []found
		for rec, err := range events {
			if err != nil {
				return 0, err
			}
			if rec.Seq >= before {
				break
			}
			first = min(first, rec.Seq)
			if h.match(q, &rec) {
				wanted = append(wanted, found{rec.Seq, len(rec.Event.Payload)})
			}
		}
		for _, f := range slices.Backward(wanted) {
			if !p.add(f) {
				break
			}
		}
		return first, nil
	}
	begin := h.journal.Head() + 1
	for end := begin; end > 1 && !p.more; {
		from := max(end, window+1) - window
		first, err := look(h.journal.Events(from), end)
		if err != nil {
			return nil, err
		}
		begin = first
		if first > from {
			break // the history begins here
		}
		end = from
	}
	if !p.more {
		if _, err := look(h.journal.Held(0), begin); err != nil {
			return nil, err
		}
	}
	slices.Reverse(p.seqs)
	return p, nil
}

// oldest are the oldest events that are wanted, after a sequence number.
func (h *history) oldest(q *eventQuery) (*page, error) {
	p := &page{limit: q.limit}
	if *q.after >= h.journal.Head() {
		return p, nil // that number plus one may not be a number
	}
	for rec, err := range h.journal.Held(*q.after + 1) {
		if err != nil {
			return nil, err
		}
		if h.match(q, &rec) && !p.add(found{rec.Seq, len(rec.Event.Payload)}) {
			break
		}
	}
	return p, nil
}

// report is an event with its outcomes.
func (h *history) report(rec *journal.Record, targets []string) api.EventReport {
	r := newEventReport(rec)
	for _, target := range targets {
		o := h.journal.Outcome(target, rec.Seq)
		if o.State == "" {
			continue
		}
		r.Targets[target] = api.OutcomeReport{State: api.OutcomeState(o.State), Time: o.Time, Status: o.Status, Into: h.idOf(o.Into)}
	}
	return r
}

// idOf is the ID of the event of a sequence number, "" where it is not held.
func (h *history) idOf(seq uint64) string {
	rec, _ := h.journal.At(seq)
	return rec.Event.ID
}

func (h *history) list(w http.ResponseWriter, r *http.Request) {
	q, err := h.eventQuery(r, time.Now())
	if err != nil {
		writeError(w, err)
		return
	}
	if q.follow {
		if r.Method == http.MethodHead { // it would never end
			methodNotAllowed(http.MethodGet)(w, r)
			return
		}
		h.serveFollower(w, r, q)
		return
	}
	p, err := h.search(r.Context(), q)
	if err != nil {
		writeError(w, err)
		return
	}
	h.writePage(w, p, q.targets)
}

// writePage writes an [api.EventPage], an event at a time, so that a large page
// takes no more memory than a small one. What the journal lets go of while the
// client reads is left out.
func (h *history) writePage(w http.ResponseWriter, p *page, targets []string) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"events":[`) // of errors the next write tells, too
	enc := newEncoder(w)
	comma := ""
	for _, seq := range p.seqs {
		rec, ok := h.journal.At(seq)
		if !ok {
			continue
		}
		io.WriteString(w, comma)
		comma = ","
		if enc.Encode(h.report(&rec, targets)) != nil {
			return // the client has gone
		}
	}
	fmt.Fprintf(w, "],\"more\":%v}\n", p.more)
}

// show answers with all that is known of one event.
func (h *history) show(r *http.Request) (int, any, error) {
	id := r.PathValue("id")
	rec, ok := h.journal.Find(id)
	if !ok {
		return 0, nil, h.notHeld(id)
	}
	report := newEventReport(&rec)
	report.Targets = h.reasons(&rec)
	return http.StatusOK, report, nil
}

// reasons are the outcomes of an event, with the reasons of burials.
func (h *history) reasons(rec *journal.Record) map[string]api.OutcomeReport {
	targets := h.report(rec, h.journal.Targets()).Targets
	for _, t := range h.targets() {
		out := targets[t.Name]
		if out.State != api.OutcomeBuried {
			continue
		}
		for _, b := range t.Delivery.Buried() {
			if b.Seq == rec.Seq {
				out.Status, out.Reason, out.Answer = b.Status, b.Reason, strings.ToValidUTF8(string(b.Answer), "�")
				targets[t.Name] = out
			}
		}
	}
	return targets
}

// notHeld says of an ID how far the history goes.
func (h *history) notHeld(id string) error {
	for rec, err := range h.journal.Events(0) {
		if err != nil {
			break
		}
		return errorf(http.StatusNotFound, "no event %q is held: the history goes back to %s, event %s (\"agentctl events\" lists it)",
			id, rec.Event.Time.Format(time.RFC3339), rec.Event.ID)
	}
	return errorf(http.StatusNotFound, "no event %q is held: the history is empty", id)
}
