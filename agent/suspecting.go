package agent

import (
	"slices"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/peers"
	"agentctl/agent/suspicion"
)

// openTimes makes what suspects that events were lost before they came here.
func (a *Agent) openTimes() {
	cfg := suspicion.Config{
		Mixed: a.mixed, Suspect: a.lookForLost, Logger: a.logger, Metrics: a.hooks.Metrics,
		Lost: func(reason string) error { return a.journal.Gap(0, reason) },
	}
	if a.past.returning {
		cfg.Last = a.past.lastLTime
	}
	a.times = times{suspicion.New(cfg), newFarTimes(a.hooks.Metrics, a.logger)}
}

// mixed tells whether a member is in the cluster that does not compare its journal, or
// has failed without having said that it does.
func (a *Agent) mixed() bool {
	return a.repair == nil || slices.ContainsFunc(a.Members(), func(m serf.Member) bool {
		gone := m.Status == serf.StatusLeft || m.Status == serf.StatusLeaving
		return !gone && m.Name != a.opts.NodeName && !a.peers.Knows(m.Name)
	})
}

// lookForLost has this node ask who is a peer, and compare its journal with theirs, before
// it suspects that nobody has some events.
func (a *Agent) lookForLost() {
	if a.repair != nil {
		a.peers.Look(peers.AliveNames(a.Members()))
		a.repair.Kick("some Lamport times have no event")
	}
}
