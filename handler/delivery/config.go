package delivery

import (
	"context"
	"log/slog"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
)

// Config is what a Delivery is made of.
type Config struct {
	Target  target.Target
	Journal *journal.Journal
	Logger  *slog.Logger // nil: nothing is logged
	Metrics *Metrics     // nil: nothing is counted

	// OnDelivered, where set, is called after the target took an event; took
	// is how long that attempt was. OnFailed is called after each attempt that
	// failed. Both hold up the delivery of that event while they run, and with
	// a Concurrency above 1 are called from several goroutines at once. Of a
	// flush neither is.
	OnDelivered func(e handler.Event, took time.Duration)
	OnFailed    func(e handler.Event, err *target.PostError)

	// Revise, where set, is called for each member event before its first
	// attempt, since it may have waited while its members changed, even for
	// the length of an outage; but not for those of RequeueAsIs. False means
	// that it is not true any more: it is not posted and counts as outdated. Otherwise the payload of the event
	// that is returned takes the place of its own; all else of it stays. It
	// may block until ctx ends, and what it returns after that counts for
	// nothing: the event waits for the next Delivery. It holds up all events
	// behind this one while it runs.
	Revise func(ctx context.Context, e handler.Event) (handler.Event, bool)

	// Self gives this node's line as MemberLine writes it, for the target's
	// Flush with SelfJoin; it must not block.
	Self func() []byte
}
