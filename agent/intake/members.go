package intake

import (
	"context"
	"time"

	"github.com/hashicorp/serf/serf"
)

const (
	gatherPeriod = 3 * time.Second // the longest that a change is held
	gatherQuiet  = time.Second     // with no further one, it goes earlier
	// gatherMost is how many changes are held. One more makes all of them go at
	// once, so a flapping cluster costs events and no memory.
	gatherMost = 4096
)

// gatherer collects changes of members for as long as serf does, and then tells them
// in few events: a gateway that drops its cache at each join would suffer from one
// event a member. It stands in the place of serf's own collecting, which keeps only
// the newest change of a member, and tells an update again with every later change
// of anybody.
//
// Each change is told once, as it was: with the tags and the address that the member
// had then. The changes of one member keep their order. Those of different members
// need not, so that members that changed alike share an event.
//
// It has no goroutine and no clock of its own; [Intake.drain] owns it.
type gatherer struct {
	held    []change // in the order in which they came
	quantum time.Time
	quiet   time.Time
}

// change is what happened to one member.
type change struct {
	typ    serf.EventType
	member serf.Member
}

// gather queues an event that serf has passed on, or gathers it. due is set to when the gathered
// changes have to go.
func (in *Intake) gather(e serf.Event, g *gatherer, due *time.Timer) {
	me, ok := e.(serf.MemberEvent)
	if !ok {
		if in.unwanted(e) {
			return
		}
		in.enqueue(arrival{event: e, way: Gossip, passed: true})
		return
	}
	if in.changed != nil {
		in.changed(me)
	}
	now := time.Now()
	g.add(me, now)
	if at, _ := g.due(); at.After(now) {
		due.Reset(at.Sub(now))
	} else {
		in.release(g)
	}
}

// Release queues what is gathered now, so that [Intake.Settle] waits for it too. It
// returns once that is done, Run has returned, or ctx has ended.
func (in *Intake) Release(ctx context.Context) {
	done := make(chan struct{})
	select {
	case in.releases <- done:
		<-done
	case <-in.ended:
	case <-ctx.Done():
	}
}

// release queues what is gathered.
func (in *Intake) release(g *gatherer) {
	for _, e := range g.flush() {
		in.enqueue(arrival{event: e, way: Gossip, passed: true})
	}
}

// add takes the changes of an event in.
func (g *gatherer) add(e serf.MemberEvent, now time.Time) {
	if len(g.held) == 0 {
		g.quantum = now.Add(gatherPeriod)
	}
	g.quiet = now.Add(gatherQuiet)
	for _, m := range e.Members {
		g.held = append(g.held, change{e.Type, m})
	}
}

// due is when the held changes have to go; ok is false where there are none.
func (g *gatherer) due() (t time.Time, ok bool) {
	switch {
	case len(g.held) == 0:
		return time.Time{}, false
	case len(g.held) > gatherMost:
		return time.Time{}, true
	case g.quiet.Before(g.quantum):
		return g.quiet, true
	}
	return g.quantum, true
}

// flush hands out what is held.
//
// It takes one type at a time, for all members whose next change is of that type. It
// picks the type that the fewest members still have behind another change, since
// those could share the event later. Of equal ones it picks the type of the most
// members, and then the one that came first.
func (g *gatherer) flush() (events []serf.MemberEvent) {
	waiting := byMember(g.held)
	g.held = nil
	for len(waiting) > 0 {
		typ := nextType(waiting)
		e := serf.MemberEvent{Type: typ}
		left := waiting[:0]
		for _, changes := range waiting {
			if changes[0].typ == typ {
				e.Members = append(e.Members, changes[0].member)
				changes = changes[1:]
			}
			if len(changes) > 0 {
				left = append(left, changes)
			}
		}
		waiting = left
		events = append(events, e)
	}
	return events
}

// byMember sorts changes by member, in the order of their first ones.
func byMember(held []change) (waiting [][]change) {
	place := map[string]int{}
	for _, c := range held {
		i, known := place[c.member.Name]
		if !known {
			i = len(waiting)
			place[c.member.Name] = i
			waiting = append(waiting, nil)
		}
		waiting[i] = append(waiting[i], c)
	}
	return waiting
}

// nextType is the type of the event that flush makes next.
func nextType(waiting [][]change) serf.EventType {
	var next, later [serf.EventMemberReap + 1]int // for how many members a type is next, and comes later
	for _, changes := range waiting {
		first := changes[0].typ
		next[first]++
		var behind [serf.EventMemberReap + 1]bool
		for _, c := range changes[1:] {
			behind[c.typ] = true
		}
		for typ, is := range behind {
			if is && serf.EventType(typ) != first {
				later[typ]++
			}
		}
	}
	best := waiting[0][0].typ
	for _, changes := range waiting[1:] {
		typ := changes[0].typ
		if later[typ] < later[best] || later[typ] == later[best] && next[typ] > next[best] {
			best = typ
		}
	}
	return best
}
