package fleet

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/delegate"
	"agentctl/agent/link"
	"agentctl/handler/text"
)

const (
	// askTime bounds the wait for one answer, and patience that for all. A member that was
	// never asked whether it is an agent has two seconds to say so.
	askTime, patience = 2 * time.Second, 2500 * time.Millisecond
	// If some were waited for so long, the others are asked once more, since what they said
	// is old by then. They have freshTime for that.
	old, freshTime = time.Second, 400 * time.Millisecond
	// pause is the least time between two rounds, and late the time after which one begins
	// though some have not answered: a delegate may hang, and is not needed.
	pause, late = 10 * time.Millisecond, delegate.Hedge / 2
)

// said is what came of asking a member.
type said struct {
	state  api.AnswerState
	err    string
	answer *answer // only if state is answered
}

// gathering is what the members have said so far.
type gathering struct {
	fleet *Fleet

	mu    sync.Mutex
	known map[string]said
}

// gather asks all members how they are, until each has answered or the time is over.
func (f *Fleet) gather(ctx context.Context) map[string]said {
	began := time.Now()
	known := f.ask(ctx, patience, map[string]said{})
	if time.Since(began) < old {
		return known
	}
	others := maps.Clone(known)
	maps.DeleteFunc(others, func(_ string, s said) bool { return s.state == api.AnswerGiven })
	maps.Copy(known, f.ask(ctx, freshTime, others))
	return known
}

// ask asks all members of which nothing is known, and returns what is known then.
func (f *Fleet) ask(ctx context.Context, within time.Duration, known map[string]said) map[string]said {
	ctx, cancel := context.WithTimeout(ctx, within)
	g := &gathering{fleet: f, known: known}
	final := func(delegate.Answer) bool { return true } // also one that makes no sense
	q := f.delegates.Inquire([]byte{ownVersion}, final, g.hear)
	defer q.Wait()
	defer cancel()
	for {
		r, open := g.round()
		if !open {
			return g.all()
		}
		q.Round(ctx, r)
		select {
		case <-q.Idle():
			if !q.OneSided() { // else the other path makes it count
				wait(ctx, pause)
			}
		case <-time.After(late):
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return g.all()
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// everyone are the members, and the nodes that live or have a link although they are none.
func (f *Fleet) everyone() (all []serf.Member, living map[string]bool) {
	living = map[string]bool{}
	all = f.cfg.Members()
	there := map[string]bool{}
	for _, m := range all {
		there[m.Name] = true
	}
	for _, m := range f.cfg.Living() {
		if living[m.Name] = true; !there[m.Name] {
			m.Status = serf.StatusLeft // for serf it is none
			all = append(all, m)
		}
	}
	return all, living
}

// round are the members that are to be asked now. It tells whether anything is open.
func (g *gathering) round() (r delegate.Round, open bool) {
	f := g.fleet
	all, living := f.everyone()
	to := members{f, make(map[string]serf.Member, len(all))}
	var look []string
	for _, m := range all {
		to.byName[m.Name] = m
		if m.Status == serf.StatusAlive && m.Name != f.cfg.Self {
			look = append(look, m.Name)
		}
	}
	f.cfg.Peers.Look(look)
	r.Others = to
	r.Ask = func(ctx context.Context, name string) func() bool {
		s := to.one(ctx, name)
		if ctx.Err() != nil { // the time is over: that says nothing about the member
			return func() bool { return true }
		}
		return func() bool { g.note(name, s); return true }
	}
	for _, m := range all {
		s, ask, itself := f.alone(m, living[m.Name])
		if ask && !itself {
			r.Pool = append(r.Pool, m.Name)
		}
		switch {
		case g.knows(m.Name):
		case s.state != "":
			g.note(m.Name, s)
		default:
			open = true
			switch {
			case itself:
				r.Itself = append(r.Itself, m.Name)
			case ask:
				r.Names = append(r.Names, m.Name)
			}
		}
	}
	return r, open
}

// alone is what is known of a member without asking it, if that is all there is to know.
// Otherwise it tells whether the member can be asked now, and whether only by this node.
func (f *Fleet) alone(m serf.Member, living bool) (s said, ask, itself bool) {
	switch {
	case m.Name == f.cfg.Self:
		status := f.cfg.Status()
		a := own(&status)
		return said{state: api.AnswerGiven, answer: &a}, false, false
	case m.Status == serf.StatusFailed && !living:
		s.state = api.AnswerFailed
	case m.Status == serf.StatusLeft && !living:
		s.state = api.AnswerLeft
	case m.Addr == nil:
		s = said{state: api.AnswerNone, err: "its address is not known"}
	case m.Status == serf.StatusAlive && !f.cfg.Peers.Knows(m.Name):
		if !f.cfg.Peers.MayAnswer(m.Name, time.Now()) {
			s.state = api.AnswerStock
		}
	default:
		return s, true, m.Status != serf.StatusAlive
	}
	return s, false, false
}

// one asks one member.
func (l members) one(ctx context.Context, name string) said {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	packed, err := l.Ask(ctx, name, []byte{ownVersion})
	switch {
	case err == nil:
		return read(packed)
	case errors.Is(err, link.ErrUnknownKind):
		return said{state: api.AnswerFormer}
	case errors.Is(err, link.ErrNotPeer):
		return said{state: api.AnswerStock}
	case errors.Is(err, context.DeadlineExceeded):
		return said{state: api.AnswerNone, err: "no answer within " + askTime.String()}
	}
	return said{state: api.AnswerNone, err: text.Shorten(err.Error(), api.MaxOwnText)}
}

// read reads what a member has said.
func read(packed delegate.Answer) said {
	a, err := unpack(packed, time.Now())
	if err != nil {
		return said{state: api.AnswerNone, err: err.Error()}
	}
	return said{state: api.AnswerGiven, answer: &a}
}

// hear notes what delegates have passed on.
func (g *gathering) hear(name string, packed delegate.Answer) { g.note(name, read(packed)) }

func (g *gathering) note(name string, s said) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known[name] = s
}

func (g *gathering) knows(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, known := g.known[name]
	return known
}

// all is what is known of each member. Asking has not ended yet, and may note more.
func (g *gathering) all() map[string]said {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.known)
}
