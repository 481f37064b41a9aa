package agent

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/agent/large"
	"agentctl/agent/link"
	"agentctl/agent/peers"
)

// publishHold is how long publishes wait for a join that was asked for, from
// the first of them on.
const publishHold = 5 * time.Second

// largeWarnEvery is how often it is logged that large events do not reach all.
const largeWarnEvery = time.Minute

// errReserved is what is said to who publishes under a name of agentctl's own.
var errReserved = fmt.Errorf("the event name %s is agentctl's own: publish under another", large.EventName)

// SizeError is an event that is over the limit. All sizes are in bytes.
type SizeError struct {
	Name, Payload int  // of the event
	Limit         int  // of both together
	Encoded       bool // only serf's encoding of it is over serf's own limit
}

func (e *SizeError) Error() string {
	n := e.Name + e.Payload
	what := fmt.Sprintf("the event has %d bytes (name %d, payload %d)", n, e.Name, e.Payload)
	switch {
	case e.Encoded:
		return fmt.Sprintf("%s and, with the some 30 to 40 that serf's encoding adds, is over serf's own limit of %d: send less", what, serf.UserEventSizeLimit)
	case n <= e.Limit:
		return fmt.Sprintf("%s, and one so large may have a name of %d: send it under a shorter one", what, large.MaxName)
	case n <= serf.UserEventSizeLimit:
		return fmt.Sprintf("%s, the limit is %d: send less, or raise user_event_size_limit on the agent (to at most %d)", what, e.Limit, serf.UserEventSizeLimit)
	}
	return fmt.Sprintf("%s, the limit is %d: send less, or raise max_event_size on the agent (to at most %d), which needs peer_links and reaches agentctl agents alone", what, e.Limit, large.MaxEvent)
}

// Publish sends a user event to the cluster, this node included. It returns
// once serf has taken it; that the others have it is not known then.
//
// While a join that was asked for is under way it waits, until five seconds
// after the first publish: an event published before joining an older cluster
// carries a Lamport time that is too old there. Publishes are serialised, since serf reads and
// advances its clock in two steps and merges equal events that come at once.
//
// If ctx ends while Publish waits, for a join, for another publish or for room in
// the intake, it returns the error of ctx and the event goes nowhere.
func (a *Agent) Publish(ctx context.Context, name string, payload []byte, coalesce bool) error {
	_, err := a.publish(ctx, name, payload, coalesce)
	return err
}

// PublishWarn is Publish, and says what the publisher should know although the
// event was taken: who is known not to get it. For that it may wait some two
// seconds, if members have not said yet what they are.
func (a *Agent) PublishWarn(ctx context.Context, name string, payload []byte, coalesce bool) (warning string, err error) {
	_, names, err := a.publishReport(ctx, name, payload, coalesce)
	return a.warnUnreached(names), err
}

// publishLock is a lock that a publisher holds, and that another one waits for
// only as long as its context allows. It holds a value while it is locked.
type publishLock chan struct{}

// lock waits for the lock until ctx ends, and returns its error then. It returns
// ErrStopping once the agent publishes nothing any more, which is when sending
// ends. A caller whose context has ended never gets the lock.
func (l publishLock) lock(ctx, sending context.Context) error {
	select {
	case l <- struct{}{}:
	default:
		select {
		case l <- struct{}{}:
		case <-sending.Done():
			return intake.ErrStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := ctx.Err()
	if sending.Err() != nil {
		err = intake.ErrStopping
	}
	if err != nil {
		l.unlock()
	}
	return err
}

func (l publishLock) unlock() { <-l }

// publishReport is publish, and names the members that do not get the event.
func (a *Agent) publishReport(ctx context.Context, name string, payload []byte, coalesce bool) (e published, unreached []string, err error) {
	e, err = a.publish(ctx, name, payload, coalesce)
	if err != nil || !e.byReference {
		return e, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*peers.Silence)
	defer cancel()
	unreached = a.unreached(ctx)
	if warning := a.warnUnreached(unreached); warning != "" {
		a.quiet.Log(slog.LevelWarn, "a large event does not reach all members", largeWarnEvery,
			"event", name, "bytes", len(payload), "reason", warning)
	}
	return e, unreached, nil
}

// published is an event as it was sent.
type published struct {
	serf.UserEvent
	byReference bool // serf has only a reference to it
}

// publish is Publish; it returns the event as it was sent.
func (a *Agent) publish(ctx context.Context, name string, payload []byte, coalesce bool) (e published, err error) {
	defer func() { a.publishMetrics.published(err) }()
	if name == large.EventName {
		return e, errReserved
	}
	if len(name)+len(payload) > a.opts.UserEventSizeLimit && !a.opts.MayRefer(name, payload) {
		return e, &SizeError{Name: len(name), Payload: len(payload), Limit: a.opts.MaxEvent()}
	}
	select {
	case <-a.Joined():
	default:
		a.holdOnce.Do(func() {
			time.AfterFunc(publishHold, func() {
				close(a.held)
				select {
				case <-a.Joined():
				default:
					a.logger.Warn("publishing although no node could be joined yet: nodes that are joined later may not get these events")
				}
			})
		})
		select {
		case <-a.Joined():
		case <-a.held:
		case <-a.spreadCtx.Done():
			return e, intake.ErrStopping
		case <-ctx.Done():
			return e, ctx.Err()
		}
	}
	a.logger.Debug("publishing", "event", name, "bytes", len(payload), "coalesce", coalesce)
	if err := a.publishMu.lock(ctx, a.spreadCtx); err != nil {
		return e, err
	}
	defer a.publishMu.unlock()
	if a.hooks.Published != nil {
		a.hooks.Published(name, payload)
	}
	a.publishAlone()
	return a.send(ctx, name, payload, coalesce)
}

// send gives an event its Lamport time and sends it on: to this node's own
// intake, to serf for the gossip, and straight to the others. a.publishMu is
// held, so the order of calls is that in which this node and its peers get the
// events.
func (a *Agent) send(ctx context.Context, name string, payload []byte, coalesce bool) (e published, err error) {
	e = published{serf.UserEvent{Name: name, Payload: payload, Coalesce: coalesce}, len(name)+len(payload) > a.opts.UserEventSizeLimit}
	raw, err := a.message(&e)
	if err == nil && len(raw) > serf.UserEventSizeLimit && a.opts.MayRefer(name, payload) {
		e.byReference = true
		raw, err = a.message(&e)
	}
	if err != nil {
		return e, err
	}
	if len(raw) > serf.UserEventSizeLimit {
		return e, &SizeError{Name: len(name), Payload: len(payload), Limit: a.opts.UserEventSizeLimit, Encoded: true}
	}
	if err := a.intake.Take(ctx, e.UserEvent, intake.Local); err != nil {
		return e, err
	}
	// As if it had come from a member: serf passes it on to others.
	a.serf.Inject(raw)
	forLinks := raw
	if e.byReference {
		forLinks = large.Pack(raw, payload)
		a.large.Published()
	}
	a.spread.send(a.spreadCtx, forLinks, raw)
	return e, nil
}

// message is serf's message for an event, which it gives a Lamport time.
func (a *Agent) message(e *published) ([]byte, error) {
	m := gossip.Message{Name: e.Name, Payload: e.Payload, CC: e.Coalesce}
	if e.byReference {
		ref := large.Refer(e.Name, e.Payload, a.opts.NodeName)
		m.Name, m.Payload = large.EventName, ref.Encode()
	}
	m.LTime = a.burst.next(serf.LamportTime(a.serf.EventClock()), m.Name, m.Payload, time.Now())
	e.LTime = m.LTime
	return m.Encode()
}

// takeLinked takes in what a peer sent over a link. Serf gets it too, so that
// its clock and the members that have no link to the publisher get on; what it
// would refuse as too old has been taken in by then.
func (a *Agent) takeLinked(from link.Peer, msgs [][]byte) {
	for _, msg := range msgs {
		e, raw, err := a.unlink(msg)
		if err != nil {
			a.logger.Warn("a peer sent what is no event", "peer", from.Name, "error", err)
			continue
		}
		if a.intake.Take(a.spreadCtx, e, intake.Link) != nil {
			return // the agent ends
		}
		a.serf.Inject(raw)
	}
}

// unlink reads an event as it goes over links, and the serf message for it.
func (a *Agent) unlink(msg []byte) (e serf.UserEvent, raw []byte, err error) {
	if large.Packed(msg) {
		if e, raw, err = unpack(msg); err != nil {
			a.large.Refuse(err)
		}
		return e, raw, err
	}
	var m gossip.Message
	err = m.Decode(msg)
	return m.Event(), msg, err
}

// clockMargin is how far beyond the journal a node that came back sets its
// event clock, where it publishes before it has met another. What it published
// in the milliseconds before a crash may be at other nodes and not in its
// journal; an event that took such a Lamport time again, with the same payload,
// would be the same event to them, and dropped. Once it has met others their
// clock rules, and it is not set forward for nothing: that takes as much from
// serf's window for events that are on their way, in the whole cluster.
const clockMargin = 128

// publishAlone makes ready for a publish by a node that came back and has not
// met another yet. a.publishMu is held.
func (a *Agent) publishAlone() {
	if a.returning && !a.ready && a.serf.NumNodes() == 1 {
		a.serf.Witness(a.lastLTime + clockMargin)
		a.ready = true
	}
}
