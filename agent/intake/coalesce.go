package intake

import (
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/script"
)

const (
	coalescePeriod = 3 * time.Second // the longest that an event is held
	quiescePeriod  = time.Second     // with no further one, it goes earlier
	coalesceBytes  = 16 << 20        // with more bytes held, all go at once
)

// coalescer does for scripts and streams what serf does for its event channel:
// of the user events that may coalesce it keeps, for each name, those of the
// latest Lamport time, and lets them go when there have been none for a second,
// or after three. Targets do not go through it: each event reaches them.
//
// It has no goroutine and no clock of its own; [Intake.dispatch] owns it.
type coalescer struct {
	held    map[string][]serf.UserEvent
	order   []string // names in the order of their first event
	quantum time.Time
	quiet   time.Time
	bytes   int // of what came to be held, also of what has been replaced
}

// add takes an event in and reports whether it is held; one that is not goes
// on at once.
func (c *coalescer) add(e serf.Event, now time.Time) (held bool) {
	u, ok := e.(serf.UserEvent)
	if !ok || !u.Coalesce {
		return false
	}
	if len(c.order) == 0 {
		c.held = map[string][]serf.UserEvent{}
		c.quantum = now.Add(coalescePeriod)
	}
	c.quiet = now.Add(quiescePeriod)
	c.bytes += script.SizeOf(u)
	latest, known := c.held[u.Name]
	switch {
	case !known:
		c.order = append(c.order, u.Name)
		c.held[u.Name] = []serf.UserEvent{u}
	case u.LTime > latest[0].LTime:
		c.held[u.Name] = []serf.UserEvent{u}
	case u.LTime == latest[0].LTime:
		c.held[u.Name] = append(latest, u)
	}
	return true
}

// due is when the held events have to go; ok is false where there are none.
func (c *coalescer) due() (t time.Time, ok bool) {
	if len(c.order) == 0 {
		return time.Time{}, false
	}
	if c.bytes > coalesceBytes {
		return time.Time{}, true
	}
	if c.quiet.Before(c.quantum) {
		return c.quiet, true
	}
	return c.quantum, true
}

// flush hands out what is held.
func (c *coalescer) flush() []serf.Event {
	var out []serf.Event
	for _, name := range c.order {
		for _, u := range c.held[name] {
			out = append(out, u)
		}
	}
	c.held, c.order, c.bytes = nil, nil, 0
	return out
}
