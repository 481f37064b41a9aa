package agent

import (
	"context"
	"net"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
	"agentctl/agent/broadcast"
	"agentctl/agent/large"
	"agentctl/agent/link"
	"agentctl/agent/ops"
	"agentctl/agent/peers"
	"agentctl/agent/publish"
)

// newOps makes the operations endpoint; without a listener it serves no HTTP. The
// endpoint comes before serf, which asks it on behalf of peers, and is served once
// all of the agent is there.
func (a *Agent) newOps(ln net.Listener) *ops.Server {
	c := ops.Config{
		Node: a.opts.NodeName, HTTPAddr: a.opts.HTTPAddr, TokenFile: a.opts.HTTPTokenFile,
		Logger: a.logger, Metrics: a.hooks.Metrics,
		Journal: a.journal, DataDir: a.opts.DataDir, Disk: a.diskStatus, Targets: a.sinks.forOps,
		Members:      a.membersIfAny,
		State:        func() string { return a.serf.State().String() },
		Joined:       a.isJoined,
		JoinFailures: a.joinFailures,
		Warns:        a.warnings,
		Queued:       a.intake.Waiting,
		RPCAddr:      a.ports.RPC.Addr(),
		Dial:         a.ports.Dial,
		Probes: map[string]func(){
			"the intake does not take events from serf":           a.intake.Ping,
			"the intake does not pass events on to the journal":   a.intake.Pass,
			"serf does not say who is a member":                   func() { a.serf.Members() },
			"memberlist does not say how many members there are":  func() { a.serf.Memberlist().NumMembers() },
			"the journal does not say what it holds":              func() { a.journal.Head() },
			"the delivery of a target does not say how it stands": func() { a.sinks.status() },
		},
		Publish: a.publishDurably, // by serf, which comes later
		PublishAll: func(ctx context.Context, events []publish.Event) ([]publish.Sent, error) {
			return a.publisher.PublishAll(ctx, events)
		},
		Trees:    a.Trees,
		MaxEvent: a.opts.MaxEvent(), Ceiling: large.MaxEvent,
	}
	if a.opts.PeerLinks {
		c.Links = a.openLinkCount
		c.Others = &ops.Others{
			Peers: a.peers,
			Ask: func(ctx context.Context, m serf.Member, req []byte) ([]byte, error) {
				return a.links.Request(ctx, peers.Of(m), link.KindQuestion, req)
			},
			AskStatus: func(ctx context.Context, m serf.Member, req []byte) ([]byte, error) {
				return a.links.Request(ctx, peers.Of(m), link.KindStatus, req)
			},
			Links:  broadcast.MaxLinked,
			Living: a.living,
		}
	}
	return ops.New(ln, c)
}

// openLinkCount is how many peer links are open; 0 before there are any.
func (a *Agent) openLinkCount() int {
	if a.links == nil {
		return 0
	}
	return len(a.links.Linked())
}

// Trees is how the broadcast along trees stands, nil where there are none.
func (a *Agent) Trees() *api.TreesReport {
	neighbours, served, there := a.publisher.broadcast.Trees()
	if !there {
		return nil
	}
	r := &api.TreesReport{Neighbours: neighbours, Served: []api.ServedReport{}}
	for _, s := range served {
		r.Served = append(r.Served, api.ServedReport{Member: s.Member, By: s.By})
	}
	return r
}

// living are the nodes that live or have a link, whatever serf says of them. It is asked
// once serf is there.
func (a *Agent) living() []serf.Member {
	all := a.serf.Living()
	there := map[string]bool{}
	for _, m := range all {
		there[m.Name] = true
	}
	for _, p := range a.links.Linked() {
		if !there[p.Name] {
			all = append(all, peers.Member(p))
		}
	}
	return all
}

// reachable are the members as events are brought to them. It is asked once serf is
// there.
func (a *Agent) reachable() []serf.Member { return a.serf.Reachable() }

// alive is a member that is alive. It is for callers from before serf runs.
func (a *Agent) alive(name string) (serf.Member, bool) { return a.serf.Alive(name) }

// membersIfAny are the members; none before serf is there, as metrics may be read
// by then.
func (a *Agent) membersIfAny() []serf.Member {
	if a.serf == nil {
		return nil
	}
	return a.serf.Members()
}

// joinFailures are the names that could not be joined at the last try, each with the
// cause; none before there is serf.
func (a *Agent) joinFailures() (lines []string) {
	if a.members.joiner == nil {
		return nil
	}
	for _, f := range a.members.joiner.Failures() {
		lines = append(lines, f.Name+": "+f.Cause)
	}
	return lines
}

// Hung names the parts of the agent that do not go on any more, as
// [ops.Server.Hung] does.
func (a *Agent) Hung(ctx context.Context) (reasons []string) { return a.ops.Hung(ctx) }
