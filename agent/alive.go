package agent

import (
	"slices"

	"github.com/hashicorp/serf/serf"
)

// aliveNames are the members that count as alive, in the order of their names.
func aliveNames(members []serf.Member) (names []string) {
	for _, m := range members {
		if m.Status == serf.StatusAlive {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return names
}
