package ops

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"agentctl/agent/api"
	"agentctl/handler/journal"
	"agentctl/handler/target"
)

// keptReplays is how many replays are remembered. Each costs 8 bytes for each
// of its events that still waits, as far as anybody asks.
const keptReplays = 8

// replays are the newest replays.
type replays struct {
	mu   sync.Mutex
	last uint64 // ID
	list []*replay
}

type replay struct {
	report api.ReplayReport
	seqs   []uint64 // that waited when the report was made
}

// outcomeOf tells what became of an event.
type outcomeOf func(target string, seq uint64) journal.Outcome

// add remembers a replay and returns its report. Where there are too many it
// forgets the oldest one that has finished, or else the oldest.
func (rs *replays) add(r *replay, outcome outcomeOf) api.ReplayReport {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.last++
	r.report.ID = rs.last
	if len(rs.list) == keptReplays {
		i := slices.IndexFunc(rs.list, func(r *replay) bool {
			r.update(outcome)
			return r.report.Waiting == 0
		})
		i = max(i, 0)
		rs.list = slices.Delete(rs.list, i, i+1)
	}
	rs.list = append(rs.list, r)
	return r.report
}

// progress brings the report of a replay up to date.
func (rs *replays) progress(id uint64, outcome outcomeOf) (api.ReplayReport, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	i := slices.IndexFunc(rs.list, func(r *replay) bool { return r.report.ID == id })
	if i < 0 {
		return api.ReplayReport{}, false
	}
	rs.list[i].update(outcome)
	return rs.list[i].report, true
}

// update counts the events that were settled since it was called last.
func (r *replay) update(outcome outcomeOf) {
	r.seqs = slices.DeleteFunc(r.seqs, func(seq uint64) bool {
		switch outcome(r.report.Target, seq).State {
		case journal.OutcomeWaiting:
			return false
		case journal.OutcomeDelivered:
			r.report.Delivered++
		case journal.OutcomeBuried:
			r.report.Buried++
		case journal.OutcomeLost:
			r.report.Lost++
		case journal.OutcomeOutdated:
			r.report.Outdated++
		default:
			r.report.Unknown++
		}
		return true
	})
	r.report.Waiting = len(r.seqs)
}

// target finds a target that is served.
func (h *history) target(name string) (*Target, error) {
	var names []string
	for _, t := range h.targets() {
		if t.Name == name {
			return &t, nil
		}
		names = append(names, t.Name)
	}
	return nil, unknownTarget(name, names)
}

// startReplay makes events wait once more for a target, all or none: what a
// target cannot hold at once is refused. Or it sees to the target's gap.
func (h *history) startReplay(r *http.Request) (int, any, error) {
	var req api.ReplayRequest
	if _, err := parameters(r); err != nil {
		return 0, nil, err
	}
	if err := readRequest(r, &req); err != nil {
		return 0, nil, err
	}
	if err := validate(&req); err != nil {
		return 0, nil, err
	}
	t, err := h.target(req.Target)
	if err != nil {
		return 0, nil, err
	}
	switch {
	case req.Flush:
		err := t.Delivery.Flush("an operator asked for it")
		return http.StatusAccepted, api.ReplayReport{Target: t.Name}, refused(err)
	case req.Now:
		report := api.ReplayReport{Target: t.Name, Waiting: t.Delivery.Status().Waiting}
		t.Delivery.RetryNow()
		return http.StatusAccepted, report, nil
	case req.AcceptGap:
		report := api.ReplayReport{Target: t.Name, GapSince: t.Delivery.Status().GapSince}
		return http.StatusOK, report, refused(t.Delivery.AcceptGap())
	}
	return h.replayEvents(r.Context(), &req, t)
}

func validate(req *api.ReplayRequest) error {
	bad := func(format string, args ...any) error { return errorf(http.StatusBadRequest, format, args...) }
	ways := 0
	for _, given := range []bool{len(req.IDs) > 0, req.Since != "", req.Buried, req.Flush, req.AcceptGap, req.Now} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return bad("say which events: exactly one of ids, since and buried; or one of flush, accept_gap and now")
	case (req.Flush || req.AcceptGap || req.Now) && (req.DryRun || req.Limit != 0):
		return bad("dry_run and limit are for events: leave them out")
	case req.Limit < 0:
		return bad("limit: %d is below 0", req.Limit)
	case len(req.IDs) > api.MaxReplayIDs:
		return bad("ids: %d are more than %d: ask in parts", len(req.IDs), api.MaxReplayIDs)
	}
	return nil
}

func (h *history) replayEvents(ctx context.Context, req *api.ReplayRequest, t *Target) (int, any, error) {
	end, err := h.beginSearch(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer end()
	recs, err := h.chosen(req, t, time.Now())
	if err != nil {
		return 0, nil, err
	}
	re := &replay{report: api.ReplayReport{Target: t.Name}}
	if all := len(recs); req.Limit > 0 && req.Limit < all {
		recs, re.report.Left = recs[:req.Limit], all-req.Limit
	}
	if n := len(recs); n > 0 {
		re.report.First, re.report.Last = recs[0].Event.Time, recs[n-1].Event.Time
	}
	re.report.Events = len(recs)
	if req.DryRun || len(recs) == 0 {
		return http.StatusOK, re.report, nil
	}
	re.report.Waiting = len(recs)
	for _, rec := range recs {
		re.seqs = append(re.seqs, rec.Seq)
	}
	requeue := t.Delivery.Requeue
	if len(req.IDs) > 0 {
		requeue = t.Delivery.RequeueAsIs
	}
	if err := requeue(re.seqs...); err != nil {
		return 0, nil, refused(err)
	}
	return http.StatusAccepted, h.replays.add(re, h.journal.Outcome), nil
}

// refused tells what the journal or the target has refused: what the journal
// has let go of since the choice, more than the target can hold, or a flush
// that it has not. The texts say what to do.
func refused(err error) error {
	if many, ok := errors.AsType[*journal.TooManyError](err); ok && many.Free > 0 {
		return errorf(http.StatusConflict, "%v (a limit of %d takes the oldest)", err, many.Free)
	} else if _, gone := errors.AsType[*journal.NotHeldError](err); ok || gone || errors.Is(err, target.ErrNoFlush) {
		return errorf(http.StatusConflict, "%v", err)
	}
	return err
}

// chosen are the events that a request names, oldest first, each once.
func (h *history) chosen(req *api.ReplayRequest, t *Target, now time.Time) ([]journal.Record, error) {
	var recs []journal.Record
	switch {
	case req.Buried:
		for _, b := range t.Delivery.Buried() {
			recs = append(recs, journal.Record{Seq: b.Seq, Event: b.Event})
		}
	case req.Since != "":
		since, err := api.ParseSince(req.Since, now)
		if err != nil {
			return nil, errorf(http.StatusBadRequest, "since: %v", err)
		}
		for rec, err := range h.journal.Events(0) {
			if err != nil {
				return nil, err
			}
			if e := &rec.Event; !e.Time.Before(since) && t.Filters.Match(e.Type, e.Name) {
				recs = append(recs, rec)
			}
		}
	default:
		for _, id := range req.IDs {
			rec, ok := h.journal.Find(id)
			if !ok {
				return nil, h.notHeld(id)
			}
			recs = append(recs, rec)
		}
	}
	// By time, so that who has a limit may go on with those since the last.
	slices.SortFunc(recs, func(a, b journal.Record) int {
		return cmp.Or(a.Event.Time.Compare(b.Event.Time), cmp.Compare(a.Seq, b.Seq))
	})
	return slices.CompactFunc(recs, func(a, b journal.Record) bool { return a.Seq == b.Seq }), nil
}

// showReplay tells how far a replay is.
func (h *history) showReplay(r *http.Request) (int, any, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, nil, errorf(http.StatusBadRequest, "%q is not the number of a replay", r.PathValue("id"))
	}
	report, ok := h.replays.progress(id, h.journal.Outcome)
	if !ok {
		return 0, nil, errorf(http.StatusNotFound, "no replay %d is known: the agent remembers %d and forgets the oldest finished ones first", id, keptReplays)
	}
	return http.StatusOK, report, nil
}
