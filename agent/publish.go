package agent

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"
)

// publishHold is how long publishes wait for a join that was asked for, from
// the first of them on.
const publishHold = 5 * time.Second

// SizeError is an event that is over the limit. All sizes are in bytes.
type SizeError struct {
	Name, Payload int  // of the event
	Limit         int  // of both together
	Encoded       bool // only serf's encoding of it is over serf's own limit
}

func (e *SizeError) Error() string {
	if e.Encoded {
		return fmt.Sprintf("the event has %d bytes (name %d, payload %d) and, with the some 30 to 40 that serf's encoding adds, is over serf's own limit of %d: send less",
			e.Name+e.Payload, e.Name, e.Payload, serf.UserEventSizeLimit)
	}
	return fmt.Sprintf("the event has %d bytes (name %d, payload %d), the limit is %d: send less, or raise user_event_size_limit on the agent (to at most %d)",
		e.Name+e.Payload, e.Name, e.Payload, e.Limit, serf.UserEventSizeLimit)
}

// Publish sends a user event to the cluster, this node included. It returns
// once serf has taken it; that the others have it is not known then.
//
// While a join that was asked for is under way it waits, until five seconds
// after the first publish: an event published before joining an older cluster
// carries a Lamport time that is too old there. Publishes are serialised, since serf reads and
// advances its clock in two steps and merges equal events that come at once.
func (a *Agent) Publish(ctx context.Context, name string, payload []byte, coalesce bool) (err error) {
	defer func() { a.metrics.publish(err) }()
	limit := a.opts.UserEventSizeLimit
	if len(name)+len(payload) > limit {
		return &SizeError{Name: len(name), Payload: len(payload), Limit: limit}
	}
	select {
	case <-a.joined:
	default:
		a.holdOnce.Do(func() {
			time.AfterFunc(publishHold, func() {
				close(a.held)
				select {
				case <-a.joined:
				default:
					a.logger.Warn("publishing although no node could be joined yet: nodes that are joined later may not get these events")
				}
			})
		})
		select {
		case <-a.joined:
		case <-a.held:
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
	err = a.serf.UserEvent(name, payload, coalesce)
	if err != nil && strings.Contains(err.Error(), "encoded user event exceeds") {
		err = &SizeError{Name: len(name), Payload: len(payload), Limit: limit, Encoded: true}
	}
	return err
}
