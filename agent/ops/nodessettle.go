package ops

import (
	"cmp"
	"context"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/delegate"
	"agentctl/handler/backoff"
)

// nodesPause is the pause before members are asked again: an event takes a
// millisecond or two to most gateways. Where delegates ask many members, the first
// pause is longer, as the event itself takes longer to so many.
var (
	nodesPause = backoff.Backoff{Min: 2 * time.Millisecond, Max: 250 * time.Millisecond}
	widePause  = backoff.Backoff{Min: 10 * time.Millisecond, Max: 250 * time.Millisecond}
)

// settle asks the nodes until no answer may change any more, wait is over, or ctx ends.
// Without a wait it asks until each node has answered once.
func (n *nodeAsker) settle(ctx context.Context, wait time.Duration, q question) map[string]api.NodeReport {
	once := wait == 0
	wait = cmp.Or(wait, nodesTime)
	end := time.After(wait)
	asking, cancel := context.WithTimeout(ctx, wait)
	a := &asked{known: map[string]api.NodeReport{}}
	inquiry := n.inquire(q, a)
	defer inquiry.Wait()
	defer cancel()
	before, asked := 0, 0 // without delegates, in the last two rounds
	for round := 1; ; round++ {
		open := n.round(asking, q, a, inquiry, once)
		if once && open == 0 {
			return a.all()
		}
		before, asked = asked, inquiry.Asked()
		pause, late := n.pauses(round, open, min(before, asked))
		// A member that hangs holds up no other. So a round is over once all have answered,
		// or when it is time for the next.
		idle, next := inquiry.Idle(), time.After(late)
		for waiting := true; waiting; {
			select {
			case <-idle:
				switch {
				case !once && a.settled(n.Peers):
					return a.all()
				case once || inquiry.OneSided(): // the other path makes it count
					waiting = false
				}
				idle, next = nil, time.After(pause)
			case <-next:
				waiting = false
			case <-end:
				return n.late(a, inquiry)
			case <-ctx.Done():
				return n.late(a, inquiry)
			}
		}
	}
}

// pauses are the pause behind a round in which all have answered, and how long a round
// lasts in which some have not. Again and again, so many are asked without delegates.
func (n *nodeAsker) pauses(round, open, again int) (pause, late time.Duration) {
	pause = nodesPause.Ceiling(round)
	late = pause
	if open > delegate.Few {
		pause = widePause.Ceiling(round)
		late = min(pause, delegate.Hedge/2) // a delegate may hang, and is not needed
	}
	if again > n.Links {
		slow := time.Duration(again) * nodesEach
		return max(pause, slow), max(late, slow)
	}
	return pause, late
}

// inquire begins an inquiry, whose answers by delegates go to a.
func (n *nodeAsker) inquire(q question, a *asked) *delegate.Inquiry {
	read := func(name string, answer delegate.Answer) (r api.NodeReport, err error) {
		r.Node = name
		said, err := unpack(answer)
		if err == nil {
			q.judge(&r, said)
		}
		return r, err
	}
	return n.delegates.Inquire(q.request, func(answer delegate.Answer) bool {
		r, err := read("", answer)
		return err == nil && (!mayChange(r.State) || r.Stuck)
	}, func(name string, answer delegate.Answer) {
		if r, err := read(name, answer); err == nil {
			a.end(name, &r)
		}
	})
}

// late is what is known when the time is over.
func (n *nodeAsker) late(a *asked, inquiry *delegate.Inquiry) map[string]api.NodeReport {
	known := a.all()
	for name, r := range known {
		if r.State == api.NodeUnasked && r.Error == "" && inquiry.Hearsay(name) {
			r.Error = hearsay
			known[name] = r
		}
	}
	return known
}

// round asks those members whose answer may still change, or once those of which nothing
// is known. It tells how many that are, and does not wait for the answers.
func (n *nodeAsker) round(ctx context.Context, q question, a *asked, inquiry *delegate.Inquiry, once bool) (open int) {
	all := n.everyone()
	nodes := make(map[string]node, len(all))
	var look []string
	for _, m := range all {
		nodes[m.Name] = m
		if m.Name != n.self && m.Status == serf.StatusAlive && a.open(m.Name) {
			look = append(look, m.Name)
		}
	}
	n.Peers.Look(look)
	a.onlyThere(nodes)
	r := delegate.Round{Others: memberLinks{n, nodes}, Ask: func(ctx context.Context, name string) func() bool {
		r := n.one(ctx, nodes[name].Member, q)
		if ctx.Err() != nil { // then what the node said before says more
			return func() bool { return false }
		}
		return func() bool {
			a.end(name, &r)
			return !mayChange(r.State)
		}
	}}
	for _, m := range all {
		known, alone := n.alone(m, q)
		askable := !alone && m.Status == serf.StatusAlive
		if askable {
			r.Pool = append(r.Pool, m.Name)
		}
		switch {
		case !a.begin(m.Name) || once && inquiry.Heard(m.Name):
		case alone:
			a.end(m.Name, &known)
		case askable:
			r.Names = append(r.Names, m.Name)
		default:
			r.Itself = append(r.Itself, m.Name)
		}
	}
	inquiry.Round(ctx, r)
	return len(r.Names) + len(r.Itself)
}
