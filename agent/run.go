package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/script"
	"agentctl/agent/version"
)

// ErrNoLeave, as the cause of a cancelled context, makes [Agent.Run] end
// without leaving the cluster: the others see this node fail.
var ErrNoLeave = errors.New("stopped without leaving")

// errShutdown is why an agent ends whose serf node has ended by itself.
var errShutdown = errors.New("serf has shut down: another node has the same name (see the log above), give this one another with -node; where that is an earlier process of this node, at another address, start this one again once the others have found that to have failed")

// StopError is an end at which not all went well. The agent has ended all the same.
type StopError struct {
	Cause error // what Run would have returned otherwise: why the agent ended, or nil
	Steps error // the steps that failed, joined, each with its name
}

func (e *StopError) Error() string { return errors.Join(e.Cause, e.Steps).Error() }

// Unwrap gives the cause and the steps.
func (e *StopError) Unwrap() []error { return []error{e.Cause, e.Steps} }

// Bounds of the waits for parts that were told to stop. They end at once, but
// for what cannot be cancelled.
const (
	joinWait    = 200 * time.Millisecond // a dial under way: serf's own time limit ends it
	requestWait = time.Second            // an RPC client's request, such as a join
	partWait    = script.OutputWait + 2*time.Second
)

// Run works until ctx ends, an RPC client tells the agent to leave, or
// something that it cannot do without fails. Then it leaves the cluster, for
// which it takes half the drain timeout at most, delivers what waits, and stops
// its parts in reverse order: all of it within the drain timeout, or a little
// more. It returns nil after an end that was asked for, [ErrNoLeave] after one
// without a leave, and the cause after any other; all of these in a [*StopError]
// if not all went well at the end.
func (a *Agent) Run(ctx context.Context) error {
	// What waits is delivered until this ends, which is counted from when the end
	// begins.
	draining, drained := context.WithCancelCause(context.Background())
	defer drained(nil)
	cancelJoins := a.start(draining)

	var cause, failure error
	select {
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-a.end.stopped:
		if cause = a.end.cause; cause != errLeft {
			failure = cause
		}
	case <-a.serf.ShutdownCh():
		failure = errShutdown
	}
	a.sinks.freeze()
	a.logger.Info("stopping", "cause", cmp.Or(cause, failure))
	if a.hooks.Stopping != nil {
		a.hooks.Stopping()
	}
	most := max(a.opts.DrainTimeout, time.Second)
	late := time.AfterFunc(most, func() { drained(fmt.Errorf("not done within %v", most)) })
	defer late.Stop()
	cancelJoins() // a dial under way cannot be cancelled: it is waited for last
	if !errors.Is(cause, ErrNoLeave) {
		a.stops.push("leaving the cluster", most/2, a.leave)
	}
	err := a.stops.drain()
	a.logger.Info("stopped")

	if errors.Is(cause, ErrNoLeave) {
		failure = ErrNoLeave
	}
	if err != nil {
		return &StopError{Cause: failure, Steps: err}
	}
	return failure
}

// start has all parts of the agent work, and pushes what ends them again. What
// waits at the end is delivered until draining ends.
func (a *Agent) start(draining context.Context) (cancelJoins func()) {
	stops := &a.stops
	group := func() *part { return newPart(a.stop) }

	joining := group()
	stops.push("ending joins", joinWait, func(ctx context.Context) error {
		joining.stop(ctx) // what is left of a dial ends by itself
		return nil
	})

	serveOps := group()
	serveOps.start(func(ctx context.Context) error { return script.ReapOrphans(ctx, a.logger) })
	serveOps.start(a.ops.Run)
	stops.push("ending operations", partWait, serveOps.stop)

	delivering := group()
	a.sinks.start(delivering)
	stops.push("ending delivery", partWait, delivering.stop)
	stops.push("delivering what waits", a.opts.DrainTimeout+closeWait, func(context.Context) error {
		a.sinks.drain(draining, func() bool { return a.disk != nil && !a.disk.Status().Degraded })
		return nil
	})

	taking := group()
	taking.start(a.intake.Run)
	taking.start(a.sinks.forgetAged)
	stops.push("taking in the last events", partWait, taking.stop)

	// Serf first, since its last events are taken in.
	stops.push("ending gossip", closeWait, func(ctx context.Context) error { return within(ctx, a.serf.Shutdown) })

	sending := group()
	sending.start(a.peers.Run)
	sending.start(a.large.Run)
	if a.links != nil {
		sending.start(a.links.Run)
		sending.start(a.runRepair)
		sending.start(a.members.views.Run)
	}
	sending.start(a.publisher.Run)
	stops.push("ending links", partWait, func(ctx context.Context) error {
		a.end.noMoreSending()
		return sending.stop(ctx)
	})

	serving := group()
	serving.start(func(ctx context.Context) error { return a.rpc.Serve(ctx, a.ports.RPC) })
	stops.push("ending RPC", requestWait, serving.stop)

	a.logger.Info("agent is running", "node", a.opts.NodeName, "version", version.Version, "gossip", a.GossipAddr(),
		"rpc", a.RPCAddr(), "http", a.HTTPAddr(), "profile", a.opts.Profile, "encrypted", a.Encrypted())
	a.sinks.logAll()
	joining.start(a.members.joiner.Run)
	joining.start(a.members.rejoiner.Run)
	if a.members.discovery != nil {
		joining.start(a.members.discovery.Run)
	}
	return joining.cancel
}

// leave leaves the cluster, at most until ctx ends. Serf's own leave cannot be
// cancelled, but ends by itself after its broadcast timeout.
func (a *Agent) leave(ctx context.Context) error {
	if a.serf.State() == serf.SerfShutdown {
		return nil
	}
	return within(ctx, a.serf.Leave)
}
