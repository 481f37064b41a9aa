package membership

import (
	"fmt"
	"maps"
	"slices"

	"agentctl/agent/peers"
	"agentctl/handler/text"
)

// mostThere is how many lost members that answer are named.
const mostThere = 3

// Warnings say which lost members are there and cannot be joined, and which members do not
// take this node back, as of the last round: none where all is well. A member that is back
// since is not lost. It returns at once, and is safe for concurrent use.
func (r *Rejoiner) Warnings() (lines []string) {
	alive := peers.AliveNames(r.members())
	r.state.Lock()
	defer r.state.Unlock()
	lost := slices.DeleteFunc(slices.Sorted(maps.Keys(r.there)), func(name string) bool { return slices.Contains(alive, name) })
	for i, name := range lost {
		if i == mostThere {
			lines = append(lines, fmt.Sprintf("%d more lost members are there and could not be joined: the log names them", len(lost)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("the lost member %s is there, and could not be joined: %s", text.Excerpt(name, 64), r.there[name]))
	}
	if r.ignored != nil {
		lines = append(lines, "this node is a member, and others do not know of it: "+text.Excerpt(r.ignored.Error(), 1000))
	}
	return lines
}

// noteThere notes why a lost member that is there cannot be joined; "" if that is not so.
func (r *Rejoiner) noteThere(name, why string) {
	r.state.Lock()
	defer r.state.Unlock()
	if delete(r.there, name); why != "" {
		r.there[name] = why
	}
}

// forgetThere forgets those that are not lost any more.
func (r *Rejoiner) forgetThere(lost []knownMember) {
	r.state.Lock()
	defer r.state.Unlock()
	maps.DeleteFunc(r.there, func(name, _ string) bool {
		return !slices.ContainsFunc(lost, func(m knownMember) bool { return m.Name == name })
	})
}
