// Package intake takes in the events that come to this node, and passes each of
// them on once. The journal gets it for the targets, the runners get it for the
// scripts, and the subscribers get it for the streams of RPC clients.
//
//	serf's channel ─► drain ─┐
//	                         ├► bounded queue ─► dispatch ─► journal
//	Take: links, local, ─────┘                     │
//	      repair, fetch                            └► runners, subscribers
//
// # Order
//
// The journal gets events in the order in which their first copies came,
// whatever the [Way]. Runners and subscribers get an event after the journal has
// it, in the same order. There is one exception: a user event with serf's
// coalesce flag is held for them as serf holds it. It waits for one to three
// seconds, and a newer event of the same name replaces it.
//
// A query does not go to the journal, because it is answered now or never. A
// reference to a large event goes to [Config.Large] alone. The event itself gets
// its position in the order when its payload has come.
//
// # Each event once
//
// A user event is known by its ID. Intake asks the journal for the ID, and
// counts an event that is known as a copy. Each member event has an ID of its
// own and is never a copy. [Intake.Owns] tells whether this process made it.
//
// # Blocking
//
// Serf sends to [Intake.Events] while it holds a lock, so one goroutine always
// receives. It only moves events to the queue. It touches no disk, no network,
// and no lock that anyone holds across either.
//
// [Intake.Take] waits for room in the queue until its context ends.
// [Intake.Settle] waits until the journal has every event that was queued before
// the call. A subscriber's function must not block: a blocked one stops
// dispatch, and the queue fills up. The Offer method of a runner never waits.
//
// # Loss
//
// The queue holds 65,536 events with 64 MiB, and one larger event if it is
// alone. If an event of serf's does not fit, intake drops, counts and logs it.
// It also records a gap in the journal, so that the targets are flushed. An
// event that Take could not queue is not lost: Take returns an error, and the
// caller still has the event.
//
// If the journal fails, [Config.Fail] is told at once. Run then goes on to
// receive from serf, so that the agent can end, but passes nothing on.
//
// # The end
//
// Run ends when its context ends and serf's channel has been silent for 100 ms.
// Everything in the queue is passed on before it returns.
package intake
