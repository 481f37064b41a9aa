package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/handler/text"
)

const (
	// outGrace is for how long a node that can be reached has to be out of the cluster
	// before that is a fault, beside the time that a broadcast may take: a node that
	// leaves is alive for some seconds, and a link may outlive its node for a moment.
	outGrace = 15 * time.Second
	// outNamed is how many nodes a warning names.
	outNamed = 3
)

// shutOut knows the nodes that can be reached and that serf does not have alive. It is
// safe for concurrent use.
type shutOut struct {
	grace time.Duration
	mu    sync.Mutex
	since map[string]time.Time // by name, when it was first seen to be out
}

// look notes which of the nodes are out now, and returns the warnings on those that are
// for long. alive are those that memberlist has alive, linked those with an open link.
func (o *shutOut) look(self string, alive, linked []string, members []serf.Member, now time.Time) (warnings []string) {
	listed := map[string]serf.MemberStatus{} // StatusNone: not listed
	for _, m := range members {
		listed[m.Name] = m.Status
	}
	forced, lost := map[string]bool{}, map[string]bool{}
	for _, name := range linked {
		// One that has left may keep its link until it has delivered what waits.
		if s := listed[name]; s == serf.StatusFailed || s == serf.StatusNone {
			lost[name] = true
		}
	}
	for _, name := range alive {
		delete(lost, name)
		if listed[name] != serf.StatusAlive {
			forced[name] = true
		}
	}
	delete(forced, self)
	delete(lost, self)

	o.mu.Lock()
	defer o.mu.Unlock()
	since := map[string]time.Time{}
	for _, out := range []map[string]bool{forced, lost} {
		for name := range out {
			first, ok := o.since[name]
			if !ok {
				first = now
			}
			if since[name] = first; now.Sub(first) < o.grace {
				delete(out, name)
			}
		}
	}
	o.since = since
	if len(forced) > 0 {
		warnings = append(warnings, "members that live are not in the cluster, most likely because somebody forced them to leave: "+naming(forced)+
			"; if that lasts, run \"leave\" there and start the agent again")
	}
	if len(lost) > 0 {
		warnings = append(warnings, "members that the cluster has lost can be reached over TCP: "+naming(lost)+"; see whether UDP gets there and back")
	}
	return warnings
}

// naming lists the first of some names.
func naming(set map[string]bool) string {
	names := slices.Sorted(maps.Keys(set))
	more := len(names) - outNamed
	names = names[:min(len(names), outNamed)]
	for i := range names {
		names[i] = text.Excerpt(names[i], 64)
	}
	if more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// lookOut tells which nodes that can be reached are out of the cluster. The rounds of the
// rejoiner call it too, so that it knows for how long.
func (a *Agent) lookOut() []string {
	var alive, linked []string
	for _, m := range a.serf.Living() {
		alive = append(alive, m.Name)
	}
	if a.links != nil {
		for _, p := range a.links.Linked() {
			linked = append(linked, p.Name)
		}
	}
	return a.members.out.look(a.opts.NodeName, alive, linked, a.serf.Members(), time.Now())
}

// mend brings back members that were forced to leave, as far as that can be done.
func (a *Agent) mend() error {
	defer a.lookOut()
	return a.serf.Mend()
}

// warnings say what is wrong around this node, though the agent does its work.
func (a *Agent) warnings() []string {
	warnings := slices.Concat(a.members.packets.Warnings(), a.members.rejoiner.Warnings(), a.lookOut())
	if a.repair != nil {
		warnings = append(warnings, a.repair.Warnings()...)
	}
	return warnings
}
