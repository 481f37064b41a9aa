package publish

import (
	"fmt"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/intake"
	"agentctl/agent/large"
)

// ErrStopping is said to a publisher when nothing is sent any more.
var ErrStopping = intake.ErrStopping

// ErrReserved is what is said to who publishes under a name of agentctl's own.
var ErrReserved = fmt.Errorf("the event name %s is agentctl's own: publish under another", large.EventName)

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
