package publish

import (
	"fmt"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/gossip"
	"agentctl/agent/intake"
	"agentctl/agent/large"
)

// ErrStopping is said to a publisher when nothing is sent any more.
var ErrStopping = intake.ErrStopping

// ErrReserved is what is said to who publishes under a name of agentctl's own.
var ErrReserved = fmt.Errorf("the event name %s is agentctl's own: publish under another", large.EventName)

// SizeError is an event that is over the limit. All sizes are in bytes.
type SizeError struct {
	Name, Payload int // of the event
	Limit         int // of its payload; or, where Encoded is set, of its name and payload
	MaxEvent      int // of name and payload, where agentctl agents get more than others; else Limit
	// Encoded is the size of serf's message for an event that is too large only
	// because of its name and of what serf's encoding adds. MaxMessage is the most
	// that such a message may have.
	Encoded, MaxMessage int
}

// encodedOverhead is what serf's encoding of a user event adds to its name and
// payload at most, in bytes.
const encodedOverhead = 40

// fits tells whether all members get an event by serf's message for it, and if not,
// what is too large.
func (c *Config) fits(m *gossip.Message) error {
	n := len(m.Name) + len(m.Payload)
	if len(m.Payload) <= c.Limit && n+encodedOverhead <= c.MaxMessage {
		return nil // without encoding it twice
	}
	e := &SizeError{Name: len(m.Name), Payload: len(m.Payload), Limit: c.Limit, MaxEvent: c.MaxEvent, MaxMessage: c.MaxMessage}
	if e.Payload > c.Limit {
		return e
	}
	raw, err := m.Encode()
	if err != nil {
		return err
	}
	if n <= c.Limit {
		e.MaxMessage = serf.UserEventSizeLimit // it was asked for, although gossip is slow then
	}
	if e.Encoded = len(raw); e.Encoded > e.MaxMessage {
		return e
	}
	return nil
}

// InSerfsWords is what stock serf says of an event over the limit.
func (e *SizeError) InSerfsWords() string {
	if e.Name+e.Payload <= max(e.Limit, e.MaxEvent) {
		return fmt.Sprintf("encoded user event exceeds reasonable limit of %d bytes after encoding", serf.UserEventSizeLimit)
	}
	return fmt.Sprintf("user event exceeds configured limit of %d bytes before encoding", max(e.Limit, e.MaxEvent))
}

func (e *SizeError) Error() string {
	n := e.Name + e.Payload
	what := fmt.Sprintf("the event has %d bytes (name %d, payload %d)", n, e.Name, e.Payload)
	raise := fmt.Sprintf("raise user_event_size_limit on the agent (to at most %d)", serf.UserEventSizeLimit)
	switch {
	case e.MaxEvent > e.Limit && n <= e.MaxEvent && e.Name > large.MaxName:
		return fmt.Sprintf("%s, and one so large may have a name of %d: send it under a shorter one", what, large.MaxName)
	case e.MaxEvent > e.Limit || n > serf.UserEventSizeLimit:
		return fmt.Sprintf("%s, the limit is %d: send less, or raise max_event_size on the agent (to at most %d), which needs peer_links and reaches agentctl agents alone", what, max(e.Limit, e.MaxEvent), large.MaxEvent)
	case e.Encoded == 0:
		return fmt.Sprintf("%s, the limit of the payload is %d: send less, or %s", what, e.Limit, raise)
	case e.MaxMessage == serf.UserEventSizeLimit:
		return fmt.Sprintf("%s and, with what serf's encoding adds, %d, and is over serf's own limit of %d: send less", what, e.Encoded, e.MaxMessage)
	}
	return fmt.Sprintf("%s and, with what serf's encoding adds, %d, and a gossip packet holds %d: send less, send it under a shorter name, or %s", what, e.Encoded, e.MaxMessage, raise)
}
