package agent

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
// forgets the oldest that is through, or else the oldest.
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

// update counts the events that are through since it was called last.
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

// outlet finds the outlet of a target that is served.
func (a *history) outlet(name string) (*outlet, error) {
	var names []string
	for _, o := range a.outlets() {
		if o.delivery == nil {
			continue
		}
		if o.name == name {
			return o, nil
		}
		names = append(names, o.name)
	}
	return nil, unknownTarget(name, names)
}

// startReplay makes events wait once more for a target, all or none: what a
// target cannot hold at once is refused. Or it sees to the target's gap.
func (a *history) startReplay(r *http.Request) (int, any, error) {
	var req api.ReplayRequest
	if err := readRequest(r, &req); err != nil {
		return 0, nil, err
	}
	if err := validate(&req); err != nil {
		return 0, nil, err
	}
	o, err := a.outlet(req.Target)
	if err != nil {
		return 0, nil, err
	}
	switch {
	case req.Flush:
		err := o.delivery.Flush("an operator asked for it")
		return http.StatusAccepted, api.ReplayReport{Target: o.name}, refused(err)
	case req.AcceptGap:
		report := api.ReplayReport{Target: o.name, GapSince: o.delivery.Status().GapSince}
		return http.StatusOK, report, refused(o.delivery.AcceptGap())
	}
	return a.replayEvents(r.Context(), &req, o)
}

func validate(req *api.ReplayRequest) error {
	bad := func(format string, args ...any) error { return apiErrorf(http.StatusBadRequest, format, args...) }
	ways := 0
	for _, given := range []bool{len(req.IDs) > 0, req.Since != "", req.Buried, req.Flush, req.AcceptGap} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return bad("say which events: exactly one of ids, since and buried; or one of flush and accept_gap")
	case (req.Flush || req.AcceptGap) && (req.DryRun || req.Limit != 0):
		return bad("dry_run and limit are for events: leave them out")
	case req.Limit < 0:
		return bad("limit: %d is below 0", req.Limit)
	case len(req.IDs) > api.MaxReplayIDs:
		return bad("ids: %d are more than %d: ask in parts", len(req.IDs), api.MaxReplayIDs)
	}
	return nil
}

func (a *history) replayEvents(ctx context.Context, req *api.ReplayRequest, o *outlet) (int, any, error) {
	end, err := a.beginSearch(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer end()
	recs, err := a.chosen(req, o, time.Now())
	if err != nil {
		return 0, nil, err
	}
	re := &replay{report: api.ReplayReport{Target: o.name}}
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
	requeue := o.delivery.Requeue
	if len(req.IDs) > 0 {
		requeue = o.delivery.RequeueAsIs
	}
	if err := requeue(re.seqs...); err != nil {
		return 0, nil, refused(err)
	}
	return http.StatusAccepted, a.replays.add(re, a.journal.Outcome), nil
}

// refused tells what the journal or the target has refused: what the journal
// has let go of since the choice, more than the target can hold, or a flush
// that it has not. The texts say what to do.
func refused(err error) error {
	if many, ok := errors.AsType[*journal.TooManyError](err); ok && many.Free > 0 {
		return apiErrorf(http.StatusConflict, "%v (a limit of %d takes the oldest)", err, many.Free)
	} else if _, gone := errors.AsType[*journal.NotHeldError](err); ok || gone || errors.Is(err, target.ErrNoFlush) {
		return apiErrorf(http.StatusConflict, "%v", err)
	}
	return err
}

// chosen are the events that a request names, oldest first, each once.
func (a *history) chosen(req *api.ReplayRequest, o *outlet, now time.Time) ([]journal.Record, error) {
	var recs []journal.Record
	switch {
	case req.Buried:
		for _, b := range o.delivery.Buried() {
			recs = append(recs, journal.Record{Seq: b.Seq, Event: b.Event})
		}
	case req.Since != "":
		since, err := api.ParseSince(req.Since, now)
		if err != nil {
			return nil, apiErrorf(http.StatusBadRequest, "since: %v", err)
		}
		for rec, err := range a.journal.Events(0) {
			if err != nil {
				return nil, err
			}
			if e := &rec.Event; !e.Time.Before(since) && o.target.Filters.Match(e.Type, e.Name) {
				recs = append(recs, rec)
			}
		}
	default:
		for _, id := range req.IDs {
			rec, ok := a.journal.Find(id)
			if !ok {
				return nil, a.notHeld(id)
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
func (a *history) showReplay(r *http.Request) (int, any, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, nil, apiErrorf(http.StatusBadRequest, "%q is not the number of a replay", r.PathValue("id"))
	}
	report, ok := a.replays.progress(id, a.journal.Outcome)
	if !ok {
		return 0, nil, apiErrorf(http.StatusNotFound, "no replay %d is known: the agent remembers %d, of those that are through the newest", id, keptReplays)
	}
	return http.StatusOK, report, nil
}
