package ops

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"agentctl/agent/api"
	"agentctl/handler/journal"
)

// eventQuery says which events are wanted.
type eventQuery struct {
	state  journal.OutcomeState // "": any
	target string               // "": any
	name   string               // "": any
	since  time.Time
	limit  int
	after  *uint64 // nil: the newest
	follow bool

	targets []string // that there are
}

var outcomeStates = []journal.OutcomeState{journal.OutcomeWaiting, journal.OutcomeDelivered, journal.OutcomeBuried, journal.OutcomeLost, journal.OutcomeOutdated}

// eventQuery reads the parameters of a request.
func (h *history) eventQuery(r *http.Request, now time.Time) (*eventQuery, error) {
	values, err := parameters(r, "state", "target", "name", "since", "limit", "after", "follow")
	if err != nil {
		return nil, err
	}
	q := &eventQuery{limit: api.DefaultPage, targets: h.journal.Targets()}
	for key, value := range values {
		bad := func(want string) error {
			return errorf(http.StatusBadRequest, "%s: %q is not %s", key, value, want)
		}
		var err error
		switch key {
		case "state":
			if q.state = journal.OutcomeState(value); !slices.Contains(outcomeStates, q.state) {
				return nil, bad("waiting, delivered, buried, lost or outdated")
			}
		case "target":
			q.target = value
		case "name":
			q.name = value
		case "since":
			if q.since, err = api.ParseSince(value, now); err != nil {
				return nil, errorf(http.StatusBadRequest, "since: %v", err)
			}
		case "limit":
			if q.limit, err = strconv.Atoi(value); err != nil || q.limit < 1 || q.limit > api.MaxPage {
				return nil, bad("a number from 1 to " + strconv.Itoa(api.MaxPage))
			}
		case "after":
			after, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return nil, bad("a sequence number")
			}
			q.after = &after
		case "follow":
			if q.follow, err = strconv.ParseBool(value); err != nil {
				return nil, bad("true or false")
			}
		}
	}
	if q.target != "" && !slices.Contains(q.targets, q.target) {
		return nil, unknownTarget(q.target, q.targets)
	}
	return q, nil
}

func unknownTarget(name string, names []string) error {
	if len(names) == 0 {
		return errorf(http.StatusNotFound, "unknown target %q: this agent has none", name)
	}
	return errorf(http.StatusNotFound, "unknown target %q: there are %s", name, strings.Join(names, ", "))
}

// match tells whether an event is wanted.
func (h *history) match(q *eventQuery, rec *journal.Record) bool {
	e := &rec.Event
	if q.name != "" && e.Name != q.name || e.Time.Before(q.since) {
		return false
	}
	if q.state == "" && q.target == "" {
		return true
	}
	targets := q.targets
	if q.target != "" {
		targets = []string{q.target}
	}
	return slices.ContainsFunc(targets, func(target string) bool {
		state := h.journal.Outcome(target, rec.Seq).State
		return state != "" && (q.state == "" || state == q.state)
	})
}
