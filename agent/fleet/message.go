package fleet

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"agentctl/agent/api"
	"agentctl/agent/delegate"
	"agentctl/handler/text"
	"agentctl/handler/varint"
)

const (
	// ownVersion begins the question to a member, and its answer. What a later version adds
	// to either is skipped.
	ownVersion = 1
	// delegatedVersion begins a request to ask others, as package delegate has it.
	delegatedVersion = 2
	// maxWords and maxNumbers bound the two parts of an answer, in bytes.
	maxWords, maxNumbers = 48 << 10, 4 << 10
	// maxTargetNumbers bounds the numbers of one target.
	maxTargetNumbers = 1 << 10
	// maxCount is the most that a number may say; what is beyond is cut.
	maxCount = 1 << 40
	// longestAge is the greatest age that an answer tells.
	longestAge = 10 * 365 * 24 * time.Hour
)

// answer is what a member says of itself. Its times are of this node's clock: ages go over
// the network.
type answer struct {
	api.OwnStatus
	problems []api.Problem
}

// words is the part of an answer that stays the same from moment to moment, so that two
// delegates pass it on alike.
type words struct {
	Version  string         `json:"version"`
	State    string         `json:"state"`
	Members  map[string]int `json:"members"`
	Targets  []targetWords  `json:"targets"`
	More     int            `json:"more,omitempty"`
	Problems []api.Problem  `json:"problems,omitempty"`
}

type targetWords struct {
	Target    string          `json:"target"`
	State     api.TargetState `json:"state"`
	LastError string          `json:"last_error,omitempty"`
}

// own makes an answer of a node's status.
func own(s *api.StatusReport) answer {
	a := answer{OwnStatus: api.OwnStatus{Version: s.Version, State: s.State, Members: s.Members, Links: s.Links}, problems: s.Check()}
	for _, t := range s.Targets {
		o := api.OwnTarget{
			Target: t.Target, State: t.State, Since: t.Since,
			Waiting: t.Waiting, OldestWaiting: t.OldestWaiting, LastDelivered: t.LastDelivered,
			Delivered: t.Delivered, P99: t.Latency.P99, Lost: t.Lost, Flushes: t.Flushes,
		}
		if t.State != api.TargetOK {
			o.LastError = t.LastError
		}
		a.Targets = append(a.Targets, o)
	}
	slices.SortStableFunc(a.Targets, func(a, b api.OwnTarget) int { return cmp.Compare(rank(a.State), rank(b.State)) })
	a.bound()
	return a
}

// rank orders the states of targets, the worst first. A word of a later version is the worst.
func rank(s api.TargetState) int {
	return slices.Index([]api.TargetState{api.TargetStale, api.TargetFlushing, api.TargetRetrying, api.TargetRefusing, api.TargetOK}, s)
}

// command is what a node may name as a command that helps. A user may copy it into a shell,
// and a hostile node has chosen it.
var command = text.LazyRegexp(`^agentctl (status|health|events|replay)( -[a-z-]+(=[A-Za-z0-9._:/#,+@%-]+)?)*$`)

// bound cuts what is longer than an answer may be. An answer of another node is bounded, too.
func (a *answer) bound() {
	if more := len(a.Targets) - api.MaxOwnTargets; more > 0 {
		a.Targets = a.Targets[:api.MaxOwnTargets]
		a.More += more
	}
	a.More = min(max(a.More, 0), maxCount)
	a.problems = a.problems[:min(len(a.problems), api.MaxOwnProblems)]
	a.Version, a.State = cut(a.Version), cut(a.State)
	for i := range a.Targets {
		t := &a.Targets[i]
		t.Target, t.State, t.LastError = cut(t.Target), api.TargetState(cut(string(t.State))), cut(t.LastError)
	}
	for i, p := range a.problems {
		p = api.Problem{Target: cut(p.Target), Text: cut(p.Text), Do: p.Do}
		if !command().MatchString(p.Do) || len(p.Do) > api.MaxOwnText {
			p.Do = "agentctl status"
		}
		a.problems[i] = p
	}
	members := map[string]int{}
	for _, status := range []string{"alive", "leaving", "left", "failed"} {
		if n := a.Members[status]; n > 0 {
			members[status] = min(n, maxCount)
		}
	}
	a.Members = members
}

func cut(s string) string { return text.Shorten(s, api.MaxOwnText) }

// pack puts an answer into the form that delegates pass on. Its numbers are in the order of
// the targets; a later version may append to those of a target, and to all.
func (a *answer) pack(now time.Time) (delegate.Answer, error) {
	w := words{Version: a.Version, State: a.State, Members: a.Members, More: a.More, Problems: a.problems}
	var numbers varint.Encoder
	numbers.Uint(uint64(a.Links))
	for _, t := range a.Targets {
		w.Targets = append(w.Targets, targetWords{t.Target, t.State, t.LastError})
		var e varint.Encoder
		for _, at := range []time.Time{t.Since, t.OldestWaiting, t.LastDelivered} {
			e.Uint(ageOf(at, now))
		}
		for _, n := range []uint64{uint64(t.Waiting), t.Delivered, uint64(math.Round(t.P99 * 1e6)), t.Lost, t.Flushes} {
			e.Uint(n)
		}
		numbers.Bytes(e)
	}
	b, err := json.Marshal(w)
	return delegate.Answer{Shared: b, Own: numbers}, err
}

// unpack reads an answer, which may be made up.
func unpack(packed delegate.Answer, now time.Time) (a answer, err error) {
	if len(packed.Shared) > maxWords || len(packed.Own) > maxNumbers {
		return a, fmt.Errorf("its answer has %d bytes", len(packed.Shared)+len(packed.Own))
	}
	var w words
	if err := json.Unmarshal(packed.Shared, &w); err != nil {
		return a, fmt.Errorf("its answer makes no sense: %w", err)
	}
	a = answer{api.OwnStatus{Version: w.Version, State: w.State, Members: w.Members, More: w.More}, w.Problems}
	numbers := varint.NewDecoder(packed.Own)
	a.Links = count(&numbers)
	for _, t := range w.Targets {
		o := api.OwnTarget{Target: t.Target, State: t.State, LastError: t.LastError}
		d := varint.NewDecoder(numbers.Bytes(maxTargetNumbers))
		o.Since, o.OldestWaiting, o.LastDelivered = before(&d, now), before(&d, now), before(&d, now)
		o.Waiting, o.Delivered, o.P99 = count(&d), uint64(count(&d)), float64(count(&d))/1e6
		o.Lost, o.Flushes = uint64(count(&d)), uint64(count(&d))
		if d.Err() != nil || numbers.Err() != nil {
			return answer{}, errors.New("its answer lacks numbers")
		}
		a.Targets = append(a.Targets, o)
	}
	if err := numbers.Err(); err != nil {
		return answer{}, errors.New("its answer lacks numbers")
	}
	a.bound()
	return a, nil
}

func count(d *varint.Decoder) int { return int(min(d.Uint(), maxCount)) }

// ageOf is how long ago a time was, in milliseconds and one more; 0 for no time.
func ageOf(t, now time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(now.Sub(t), 0)/time.Millisecond) + 1
}

func before(d *varint.Decoder, now time.Time) time.Time {
	n := min(d.Uint(), uint64(longestAge/time.Millisecond))
	if n == 0 {
		return time.Time{}
	}
	return now.Add(-time.Duration(n-1) * time.Millisecond)
}

// encode is a packed answer as the member itself sends it.
func encode(packed delegate.Answer) []byte {
	e := varint.Encoder{ownVersion}
	e.Bytes(packed.Shared)
	e.Bytes(packed.Own)
	return e
}

func decode(b []byte) (packed delegate.Answer, err error) {
	d := varint.NewDecoder(b)
	if d.Byte() != ownVersion {
		return packed, errors.New("its answer is of another version")
	}
	packed = delegate.Answer{Shared: d.Bytes(maxWords), Own: d.Bytes(maxNumbers)}
	if d.Err() != nil {
		return delegate.Answer{}, errors.New("its answer is cut")
	}
	return packed, nil
}
