package agent

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/membership"
)

// openMembership makes what joins the cluster, and what looks for lost members. conf
// is what serf runs with.
func (a *Agent) openMembership(conf *serf.Config) {
	a.members.joiner = membership.NewJoiner(membership.JoinerConfig{
		Start:       a.opts.StartJoin,
		Retry:       a.opts.RetryJoin,
		Replay:      a.opts.ReplayOnJoin,
		Interval:    a.opts.RetryInterval,
		MaxAttempts: a.opts.RetryMaxAttempts,
		Join:        a.joinSerf,
		Members:     a.Members,
		Logger:      a.logger,
	})
	a.members.rejoiner = membership.NewRejoiner(membership.RejoinerConfig{
		Joiner:           a.members.joiner,
		Self:             a.serf.LocalMember(),
		Port:             conf.MemberlistConfig.BindPort,
		Dir:              a.opts.DataDir,
		ReconnectTimeout: conf.ReconnectTimeout,
		Ping:             a.serf.Memberlist().Ping,
		Mend:             a.mend,
		Found:            a.foundLost,
		Replay:           a.replayRejoined,
		Logger:           a.logger,
		Metrics:          a.hooks.Metrics,
	})
}

// openDiscovery announces this node by mDNS.
func (a *Agent) openDiscovery() (err error) {
	node := a.serf.Memberlist().LocalNode()
	a.members.discovery, err = membership.NewDiscovery(membership.DiscoveryConfig{
		Cluster:     a.opts.Discover,
		Node:        a.opts.NodeName,
		IP:          node.Addr,
		Port:        int(node.Port),
		Interface:   cmp.Or(a.opts.MDNS.Interface, a.opts.Interface),
		DisableIPv4: a.opts.MDNS.DisableIPv4,
		DisableIPv6: a.opts.MDNS.DisableIPv6,
		Members:     a.Members,
		Join:        func(addrs []string) (int, error) { return a.Join(addrs, a.opts.ReplayOnJoin) },
		Logger:      a.logger,
		MDNS:        a.hub.StdLogger(),
	})
	if err == nil {
		a.stops.push("closing mDNS", closeWait, func(context.Context) error {
			a.members.discovery.Close()
			return nil
		})
	}
	return err
}

// foundLost has this node compare its journal with others at once: a part of the
// cluster that was lost may have what it missed.
func (a *Agent) foundLost() {
	if a.repair != nil {
		a.repair.Kick("lost members were joined")
	}
}

// joinSerf is serf's join. What it leaves out without replay, it leaves out for scripts
// and streams; targets of a node that comes back with a journal get it nevertheless,
// see package gossip.
func (a *Agent) joinSerf(addrs []string, replay bool) (int, error) {
	return a.serf.Join(addrs, !replay)
}

// replayRejoined tells whether scripts and streams get the events of lost members that
// are joined again: those that they missed, as by serf's own reconnecting. All that
// a node without a past could get is from before its start.
func (a *Agent) replayRejoined() bool { return a.opts.ReplayOnJoin || !a.serf.Blank() }

// Join contacts the addresses and returns how many could be reached; the error is
// not nil when none could, and when a member does not list this node all the same. It
// may take serf's dial timeout for each.
func (a *Agent) Join(addrs []string, replay bool) (int, error) {
	n, err := a.members.joiner.Join(addrs, replay)
	if err == nil {
		if err = a.serf.Mend(); err != nil {
			err = fmt.Errorf("joined, but not known to all: %w", err)
		}
	}
	return n, err
}

// ErrNoAttempts is why [Agent.Run] ends where -retry-max is used up. The log has it.
var ErrNoAttempts = membership.ErrNoAttempts

// Joined is closed once a join has succeeded, or members were found otherwise; at
// once where no join was asked for.
func (a *Agent) Joined() <-chan struct{} { return a.members.joiner.Joined() }

// Contacted is how many nodes the first join reached, 0 where members were found
// otherwise. It waits until Joined is closed.
func (a *Agent) Contacted() int { return a.members.joiner.Contacted() }

// isJoined tells whether Joined is closed; it is not before serf is there, as
// metrics may be read by then.
func (a *Agent) isJoined() bool {
	joiner := a.members.joiner
	return joiner != nil && joiner.IsJoined()
}
