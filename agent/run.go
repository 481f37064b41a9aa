package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/script"
	"agentctl/agent/version"
	"agentctl/handler/delivery"
	"agentctl/handler/target"
	"agentctl/handler/text"
)

// ErrNoLeave, as the cause of a cancelled context, makes [Agent.Run] end
// without leaving the cluster: the others see this node fail.
var ErrNoLeave = errors.New("stopped without leaving")

// Bounds of the waits for parts that were told to stop. They end at once, but
// for what cannot be cancelled.
const (
	joinWait    = 200 * time.Millisecond // a dial under way: serf's own time limit ends it
	requestWait = time.Second            // an RPC client's request, such as a join
	partWait    = script.OutputWait + 2*time.Second
)

// part is a group of goroutines that are stopped together.
type part struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	fail   func(error)
}

// newPart returns a part whose failures are given to fail. It does not end with
// Run's context: the parts end one after another.
func newPart(fail func(error)) *part {
	p := &part{fail: fail}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

func (p *part) start(run func(context.Context) error) {
	p.wg.Go(func() {
		if err := run(p.ctx); err != nil {
			p.fail(err)
		}
	})
}

// stop cancels the part and waits for it, at most as long as given.
func (p *part) stop(most time.Duration) error {
	p.cancel()
	done := make(chan struct{})
	go func() {
		p.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(most):
		return fmt.Errorf("not done within %v", most)
	}
}

// Run works until ctx ends, an RPC client tells the agent to leave, or
// something that it cannot do without fails. Then it leaves the cluster, for
// which it takes half the drain timeout at most, delivers what waits, and stops
// its parts in reverse order: all of it within the drain timeout, or a little
// more. It returns nil after an end that was asked for, and [ErrNoLeave] after
// one without a leave.
func (a *Agent) Run(ctx context.Context) error {
	joining, serving, spreading, taking, delivering, ops :=
		newPart(a.stop), newPart(a.stop), newPart(a.stop), newPart(a.stop), newPart(a.stop), newPart(a.stop)

	a.reloadMu.Lock()
	a.delivering = delivering
	for _, o := range a.outlets {
		o.start(delivering)
	}
	handlers := a.handlers
	a.forgetTargets(true) // here and not in New: a start that fails changes nothing
	a.reloadMu.Unlock()
	taking.start(a.intake.Run)
	taking.start(a.forgetAged)
	ops.start(func(ctx context.Context) error { return script.ReapOrphans(ctx, a.logger) })
	spreading.start(a.peers.Run)
	spreading.start(a.large.Run)
	if a.links != nil {
		spreading.start(a.links.Run)
		spreading.start(a.runRepair)
		spreading.start(a.views.Run)
	}
	spreading.start(a.publisher.Run)
	serving.start(func(ctx context.Context) error { return a.rpc.Serve(ctx, a.rpcLn) })
	ops.start(a.ops.Run)
	a.logger.Info("agent is running", "node", a.opts.NodeName, "version", version.Version, "gossip", a.GossipAddr(),
		"rpc", a.RPCAddr(), "http", a.HTTPAddr(), "profile", a.opts.Profile, "encrypted", a.Encrypted())
	for _, t := range handlers.Targets {
		a.logTarget(t, handlers.Native[t.Name])
	}
	for _, s := range handlers.Scripts {
		a.logScript(s)
	}
	joining.start(a.joiner.Run)
	joining.start(a.rejoiner.Run)
	if a.discovery != nil {
		joining.start(a.discovery.Run)
	}

	var cause, failure error
	select {
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-a.stopped:
		if cause = a.cause; cause != errLeft {
			failure = cause
		}
	case <-a.serf.ShutdownCh():
		failure = errors.New("serf has shut down: another node has the same name (see the log above), give this one another with -node; where that is an earlier process of this node, at another address, start this one again once the others have found that to have failed")
	}
	a.reloadMu.Lock() // no reload any more
	a.delivering = nil
	a.reloadMu.Unlock()
	a.logger.Info("stopping", "cause", cmp.Or(cause, failure))
	if a.hooks.Stopping != nil {
		a.hooks.Stopping()
	}

	bound, cancel := context.WithTimeoutCause(context.Background(), max(a.opts.DrainTimeout, time.Second),
		fmt.Errorf("not done within %v", a.opts.DrainTimeout))
	defer cancel()
	step := func(name string, err error) {
		if err != nil {
			a.logger.Warn("stopping: "+name, "error", err)
		}
	}
	joining.cancel() // a dial under way cannot be cancelled: it is waited for last
	if !errors.Is(cause, ErrNoLeave) && a.serf.State() != serf.SerfShutdown {
		half, cancelHalf := context.WithTimeoutCause(bound, max(a.opts.DrainTimeout, time.Second)/2, errors.New("the others took too long to confirm"))
		step("leaving the cluster", a.leave(half))
		cancelHalf()
	}
	step("ending RPC", serving.stop(requestWait))
	a.endSend()
	step("ending links", spreading.stop(partWait))
	step("ending gossip", a.serf.Shutdown())
	step("taking in the last events", taking.stop(partWait))
	a.drain(bound)
	step("ending delivery", delivering.stop(partWait))
	step("ending operations", ops.stop(partWait))
	joining.stop(joinWait) // what is left of it ends by itself
	step("closing", a.Close())
	a.logger.Info("stopped")

	if errors.Is(cause, ErrNoLeave) {
		return ErrNoLeave
	}
	return failure // what did not go well at an end that was asked for is in the log
}

// leave leaves the cluster, at most until ctx ends; serf's own leave cannot be
// cancelled, but ends by itself after its broadcast timeout.
func (a *Agent) leave(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- a.serf.Leave() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// drainLook is how often drain looks whether a target still takes events.
const drainLook = 50 * time.Millisecond

// drain waits until every target and script has had its events, or ctx ends;
// then it says what is left. What the journal keeps for the next start is not
// waited for where its target fails.
func (a *Agent) drain(ctx context.Context) {
	var wg sync.WaitGroup
	for _, o := range a.outlets { // nobody changes them any more
		o.finish()
		if o.runner != nil {
			wg.Go(func() { o.runner.Idle(ctx) })
		}
		if d := o.delivery; d != nil {
			wg.Go(func() { a.drainTarget(ctx, d) })
		}
	}
	wg.Wait()
}

func (a *Agent) drainTarget(ctx context.Context, d *delivery.Delivery) {
	for {
		look, cancel := context.WithTimeout(ctx, drainLook)
		err := d.Idle(look)
		cancel()
		if err == nil {
			return
		}
		s := d.Status()
		kept := a.disk != nil && !a.disk.Status().Degraded
		switch {
		case kept && (ctx.Err() != nil || s.Attempts > 0):
			a.logger.Info("events wait in the journal for the next start", "target", s.Target, "waiting", s.Waiting, "last_error", s.LastError)
			return
		case ctx.Err() != nil:
			a.logger.Warn("events were not delivered before the end", "target", s.Target, "waiting", s.Waiting, "last_error", s.LastError)
			return
		}
	}
}

func (a *Agent) logTarget(t target.Target, inPlaceOf string) {
	args := []any{"target", t.Name, "events", t.Filters.String()}
	if inPlaceOf != "" {
		args = append(args, "in_place_of", inPlaceOf)
	}
	a.logger.Info("events are posted", args...)
}

func (a *Agent) logScript(s config.Script) {
	a.logger.Info("events are handled by a script", "script", text.Redact(s.Command), "events", s.Filters.String())
}

// Targets are the states of all targets.
func (a *Agent) Targets() []delivery.Status {
	a.outletsMu.Lock()
	defer a.outletsMu.Unlock()
	out := []delivery.Status{}
	for _, o := range a.outlets {
		if o.delivery != nil {
			out = append(out, o.delivery.Status())
		}
	}
	return out
}
