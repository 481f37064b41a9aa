package agent

import (
	"context"
	"fmt"
	"time"
)

// publishHold is how long a publish waits for a join that was asked for.
const publishHold = 5 * time.Second

// SizeError is an event that is over the limit. All sizes are in bytes.
type SizeError struct {
	Name, Payload int // of the event
	Limit         int // of both together
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("the event has %d bytes (name %d, payload %d), the limit is %d: send less, or raise user_event_size_limit on the agent (to at most 9216)",
		e.Name+e.Payload, e.Name, e.Payload, e.Limit)
}

// Publish sends a user event to the cluster, this node included. It returns
// once serf has taken it; that the others have it is not known then.
//
// While a join that was asked for is under way it waits, at most five seconds:
// an event published before joining an older cluster carries a Lamport time
// that is too old there. Publishes are serialised, since serf reads and
// advances its clock in two steps and merges equal events that come at once.
func (a *Agent) Publish(ctx context.Context, name string, payload []byte, coalesce bool) (err error) {
	defer func() { a.metrics.publish(err) }()
	if len(name)+len(payload) > a.opts.UserEventSizeLimit {
		return &SizeError{len(name), len(payload), a.opts.UserEventSizeLimit}
	}
	select {
	case <-a.joined:
	default:
		hold := time.NewTimer(publishHold)
		defer hold.Stop()
		select {
		case <-a.joined:
		case <-hold.C:
			a.logger.Warn("publishing although no node could be joined yet: nodes that are joined later may not get the event", "event", name)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	a.logger.Debug("publishing", "event", name, "bytes", len(payload), "coalesce", coalesce)
	if a.hooks.Published != nil {
		a.hooks.Published(name, payload)
	}
	a.publishMu.Lock()
	defer a.publishMu.Unlock()
	return a.serf.UserEvent(name, payload, coalesce)
}
