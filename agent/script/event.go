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

// SizeOf is about how many bytes an event holds.
func SizeOf(e serf.Event) int {
	if u, ok := e.(serf.UserEvent); ok {
		return len(u.Name) + len(u.Payload)
	}
	return 0
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
