package agent

import (
	"context"
	"errors"
	"time"

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
// something that it cannot do without fails. It leaves the cluster only if somebody
// asked for the end: after any other the members see this node fail, look for it,
// and are still known to its snapshot. Then it delivers what waits, and stops its
// parts in reverse order: all of it within the drain timeout, or a little more. The
// leave takes half of that at most.
//
// With a drain timeout of 0 nothing is delivered or stopped, see endAtOnce. The
// parts still run when Run returns. The process has to exit then, or call Close.
//
// Run returns nil after an end that was asked for, [ErrNoLeave] after one without a
// leave, and the cause after any other; all of these in a [*StopError] if not all
// went well at the end.
func (a *Agent) Run(ctx context.Context) error {
	cancelJoins := a.start()
	why := a.untilEnd(ctx)
	a.logger.Info("stopping", "cause", why.cause)
	if a.hooks.Stopping != nil {
		a.hooks.Stopping()
	}
	var err error
	if a.opts.EndsAtOnce() {
		err = a.endAtOnce(why)
	} else {
		a.sinks.freeze()
		most := max(a.opts.DrainTimeout, time.Second)
		a.end.drained = time.Now().Add(most)
		cancelJoins() // a dial under way cannot be cancelled: it is waited for last
		if why.asked {
			a.stops.push("leaving the cluster", most/2, func(ctx context.Context) error { return within(ctx, a.end.leave) })
		}
		err = a.stops.drain()
	}
	a.logger.Info("stopped")
	if err != nil {
		return &StopError{Cause: why.failure, Steps: err}
	}
	return why.failure
}

// reason is why an agent ends.
type reason struct {
	cause   error
	asked   bool  // somebody wants this node to leave the cluster
	failure error // what Run returns
}

// untilEnd waits until the agent is to end.
func (a *Agent) untilEnd(ctx context.Context) reason {
	for down := a.serf.ShutdownCh(); ; {
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, ErrNoLeave) {
				return reason{cause: cause, asked: true}
			}
			return reason{cause: ErrNoLeave, failure: ErrNoLeave}
		case <-a.end.stopped:
			if cause := a.end.cause; cause != errLeft {
				return reason{cause: cause, failure: cause}
			}
			return reason{cause: errLeft, asked: true}
		case <-down:
			if !a.end.leaving.Load() {
				a.logger.Warn("serf has ended by itself")
				return reason{cause: errShutdown, failure: errShutdown}
			}
			down = nil // the client that told the agent to leave has no answer yet
		}
	}
}

// start has all parts of the agent work, and pushes what ends them again.
func (a *Agent) start() (cancelJoins func()) {
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
	stops.push("delivering what waits", a.opts.DrainTimeout+closeWait, func(ctx context.Context) error {
		ctx, cancel := context.WithDeadline(ctx, a.end.drained)
		defer cancel()
		a.sinks.drain(ctx, a.keeps)
		return nil
	})

	taking := group()
	taking.start(a.intake.Run)
	taking.start(a.sinks.forgetAged)
	taking.start(a.past.snapshot.Run)
	stops.push("taking in the last events", partWait, taking.stop)

	// Serf first, since its last events are taken in.
	stops.push("ending gossip", closeWait, func(ctx context.Context) error {
		a.logger.Debug("shutting serf down")
		return within(ctx, a.serf.Shutdown)
	})

	sending := group()
	sending.start(a.peers.Run)
	sending.start(a.members.packets.Run)
	sending.start(a.large.Run)
	if a.links != nil {
		sending.start(a.links.Run)
		sending.start(a.runRepair)
		sending.start(a.members.views.Run)
	}
	sending.start(a.publisher.broadcast.Run)
	sending.start(a.times.Run)
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
