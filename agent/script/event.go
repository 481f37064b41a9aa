package script

import (
	"github.com/hashicorp/serf/serf"

	"agentctl/handler"
)

// MemberLines is what serf writes to a script's stdin for these members.
func MemberLines(members []serf.Member) []byte {
	var lines []byte
	for _, m := range members {
		lines = append(lines, handler.MemberLine(m.Name, m.Addr.String(), m.Tags["role"], m.Tags)...)
	}
	return lines
}

// memberBytes is about what a member takes beside its name and tags.
const memberBytes = 128

// SizeOf is about how many bytes an event holds.
func SizeOf(e serf.Event) int {
	switch e := e.(type) {
	case serf.UserEvent:
		return len(e.Name) + len(e.Payload)
	case serf.MemberEvent:
		return sizeOfMembers(e.Members)
	}
	return 0
}

func sizeOfMembers(members []serf.Member) (n int) {
	for _, m := range members {
		n += memberBytes + len(m.Name)
		for k, v := range m.Tags {
			n += len(k) + len(v)
		}
	}
	return n
}

// nameOf is the name that filters look at.
func nameOf(e serf.Event) string {
	switch e := e.(type) {
	case serf.UserEvent:
		return e.Name
	case *serf.Query:
		return e.Name
	}
	return ""
}
