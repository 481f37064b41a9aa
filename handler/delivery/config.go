package delivery

import (
	"context"
	"log/slog"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/probe"
	"agentctl/handler/target"
)

// Config says what a Delivery delivers, and to where.
type Config struct {
	Target  target.Target
	Journal *journal.Journal
	Logger  *slog.Logger // nil: nothing is logged
	Metrics *Metrics     // nil: nothing is counted
	Dial    target.Dial  // connects to the target; nil: on the network of this machine
	// Prober looks whether a target that refused connections is back. Targets that
	// share a Prober share its connections, too. nil: one of this target's own.
	Prober *probe.Prober

	// OnDelivered is called after the target took an event; took is the
	// duration of that attempt. OnFailed is called after each attempt that
	// failed. Both may be nil. The delivery of that event waits while they run.
	// With a Concurrency above 1 several goroutines call them at once. Neither
	// is called for a flush.
	OnDelivered func(e handler.Event, took time.Duration)
	OnFailed    func(e handler.Event, err *target.PostError)

	// Revise is called for each member event before its first attempt, but not
	// for events of RequeueAsIs. It may be nil. The members may have changed
	// while the event waited, even for the length of an outage. False means that
	// the event is not true any more: it is not posted, and counts as outdated.
	// Otherwise the payload of the returned event replaces the event's own; all
	// else stays. Revise may block until ctx ends. The result counts for nothing
	// then, and the event waits for the next Delivery. All events behind this
	// one wait while it runs.
	Revise func(ctx context.Context, e handler.Event) (handler.Event, bool)

	// Self returns this node's line as [handler.MemberLine] makes it, for a
	// flush with SelfJoin. It must not block.
	Self func() []byte
}
