package intake

import (
	"strconv"
	"strings"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/large"
	"agentctl/agent/script"
	"agentctl/handler"
)

// largeEvents is what Intake needs to see to events that are known by reference.
type largeEvents interface {
	// Want has an event fetched, and taken in by Take. It never waits.
	Want(large.Wanted)
	// Refuse is told of what is no reference.
	Refuse(err error, args ...any)
}

// refers tells whether something is a reference to an event, and sees to that:
// what is passed on is the event itself, once it is here.
func (in *Intake) refers(a arrival, seen map[string]bool) bool {
	u, ok := a.event.(serf.UserEvent)
	if !ok || u.Name != large.EventName {
		return false
	}
	w, err := Wanted(u)
	switch {
	case err != nil:
		in.large.Refuse(err, "ltime", u.LTime, "bytes", len(u.Payload))
	case !in.copied(w.ID(), seen, a.way):
		in.large.Want(w)
	}
	return true
}

// copied tells whether an event is known already, to the journal or by what is
// about to be appended to it, and counts the copy then.
func (in *Intake) copied(id string, seen map[string]bool, w Way) bool {
	_, known := in.journal.Find(id)
	if known = known || seen[id]; known {
		in.metrics.copied(w)
	}
	return known
}

// convert makes the journal's event of a user or member event. Queries are not
// for the journal: they are answered now or never.
func (in *Intake) convert(a arrival) (handler.Event, bool) {
	switch e := a.event.(type) {
	case serf.UserEvent:
		return handler.NewUser(uint64(e.LTime), e.Name, e.Payload, a.at), true
	case serf.MemberEvent:
		in.members++
		id := in.memberPrefix() + strconv.FormatUint(in.members, 10)
		return handler.NewMember(handler.Type(e.Type.String()), id, script.MemberLines(e.Members), a.at), true
	}
	return handler.Event{}, false
}

// Owns tells whether a member event is of this process, and not one that an earlier one left in the journal.
func (in *Intake) Owns(e *handler.Event) bool {
	return strings.HasPrefix(e.ID, in.memberPrefix())
}

func (in *Intake) memberPrefix() string { return "m-" + in.nonce + "-" }

// Wanted is the event that a serf event refers to.
func Wanted(u serf.UserEvent) (large.Wanted, error) {
	ref, err := large.Decode(u.Payload)
	return large.Wanted{Reference: ref, LTime: uint64(u.LTime), Coalesce: u.Coalesce}, err
}

// Fetched is the event that was wanted.
func Fetched(w *large.Wanted, payload []byte) serf.UserEvent {
	return serf.UserEvent{LTime: serf.LamportTime(w.LTime), Name: w.Name, Payload: payload, Coalesce: w.Coalesce}
}
