package intake

import (
	"strconv"
	"strings"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/script"
	"agentctl/handler"
)

// idOf is the ID of a user event.
func idOf(u *serf.UserEvent) string {
	return handler.UserID(uint64(u.LTime), handler.Sum(u.Name, u.Payload))
}

// copied tells whether an event is known already, to the journal or by what is
// about to be appended to it, and counts the copy then.
func (in *Intake) copied(b *batch, id string, w Way) bool {
	_, known := b.ids[id]
	if known = known || in.journal.Had(id); known {
		in.metrics.copied(w)
	}
	return known
}

// convert makes the journal's event of a member event.
func (in *Intake) convert(a arrival) (handler.Event, bool) {
	e, ok := a.event.(serf.MemberEvent)
	if !ok {
		return handler.Event{}, false
	}
	in.members++
	id := in.memberPrefix() + strconv.FormatUint(in.members, 10)
	return handler.NewMember(handler.Type(e.Type.String()), id, script.MemberLines(e.Members), a.at), true
}

// Owns tells whether a member event is of this process, and not one that an earlier one left in the journal.
func (in *Intake) Owns(e *handler.Event) bool {
	return strings.HasPrefix(e.ID, in.memberPrefix())
}

func (in *Intake) memberPrefix() string { return "m-" + in.nonce + "-" }
