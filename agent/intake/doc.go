// Package intake takes in the events that come to this node, and passes each of
// them on once. The journal gets it for the targets, the runners get it for the
// scripts, and the subscribers get it for the streams of RPC clients.
//
//	Receive: gossip, full syncs ─┐
//	Take: links, local, repair, ─┼► bounded queue ─► dispatch ─► journal
//	      fetch                  │                      │
//	serf's channel ─► drain ─────┘                      └► runners, subscribers
//
// # Two rules
//
// A target is a cache. One event too many does it no harm, and one too few leaves
// it stale. So the journal gets each user event that comes to this node, by
// whatever [Way], and before serf judges how old it is.
//
// A script or a stream acts on an event. It gets the events that serf passes on, and
// no others. Serf leaves out events from before a join without replay, and those
// that are not newer than its snapshot. It also leaves out events of more than 512
// Lamport times ago, and all copies. Events of repair are
// for targets alone, and so are those of a link that serf refuses.
//
// Member events and queries come by serf's channel only. Queries do not go to the
// journal, because they are answered now or never.
//
// So this is what a node gets of the events from before it started or joined. Members
// remember those of the last 512 Lamport times.
//
//	node                    targets                        scripts and streams
//	new                     nothing                        nothing
//	new, -replay            all that members remember      all that members remember
//	restarted, no journal   as a new one                   as a new one
//	the same, a snapshot    what is newer than that,       what is newer than that,
//	                        unless -join leaves it out     unless -join leaves it out
//	restarted, a journal    all that the journal lacks     as without a journal
//	new journal, a          a flush, then all that         as without a journal
//	snapshot                members remember
//
// A new gateway holds nothing that an older event could make stale. A gateway that has
// gone on beside a restarted agent may be stale, so that agent has to keep a journal.
// Repair brings the targets of a new node also what is up to 10 seconds older than its
// start. That does no harm.
//
// # Order
//
// The journal gets user events in the order in which their first copies came,
// whatever the way. Runners and subscribers get an event after the journal has it, in
// the order in which serf passed events on. There is one exception: a user event
// with serf's coalesce flag is held for them as serf holds it. It waits for one to
// three seconds, and a newer event of the same name replaces it.
//
// A reference to a large event goes to [Config.Large] alone. The event itself gets
// its position in the order when its payload has come. Runners and subscribers get it
// then if serf has passed its reference on.
//
// Changes of members are gathered first, for as long as serf gathers them: until
// there was none for a second, and for three seconds at most. Then the journal, the
// runners and the subscribers get the same events. Each change is told once, with
// the tags and the address of that moment.
//
// [Config.Changed] is told of each change at once.
//
// The changes of one member keep their order. Members that changed alike share an
// event, so the changes of different members may come in another order. Where each
// member changed once, there is one event of each type.
//
// # Each event once
//
// A user event is known by its ID. Intake asks the journal for the ID, and
// counts an event that is known as a copy. A full sync brings the same events again
// each time. So intake leaves out those of a sync that the journal may have had and
// does not remember.
//
// For runners and subscribers serf itself knows the copies. Each member event has an ID
// of its own and is never a copy. [Intake.Owns] tells whether this process made it.
//
// # Blocking
//
// Serf sends to [Intake.Events] while it holds a lock, so one goroutine always
// receives. It only moves events to the queue. It touches no disk, no network,
// and no lock that anyone holds across either.
//
// [Intake.Receive] and [Intake.Missed] never wait. [Intake.Take] waits for room in the queue until its context ends.
// It then passes on what is queued in the caller's own goroutine, unless another one is
// at work. So an event of a link or of a publisher is in the journal without waking
// anybody. The caller must hold no lock that the journal or a subscriber takes.
//
// An event that serf passes on wakes dispatch only if there is a runner, or if a
// subscriber has a use for it: see [Intake.SubscribeWhile].
//
// [Intake.Settle] waits until the journal has every event that was queued before
// the call. A subscriber's function must not block: a blocked one stops
// dispatch, and the queue fills up. The Offer method of a runner never waits.
//
// # Loss
//
// At most 4,096 changes of members are gathered. One more makes all of them go to
// the queue at once, so none is lost.
//
// The queue holds 65,536 events with 64 MiB, and one larger event if it is
// alone. If an event does not fit, intake drops, counts and logs it. If it was for
// the journal, intake also records a gap there, so that the targets are flushed. An
// event that Take could not queue is not lost: Take returns an error, and the
// caller still has the event.
//
// Messages that were dropped before this node could read them are counted, logged and
// a gap, too: see [Intake.Missed].
//
// If the journal fails, [Config.Fail] is told at once. Run then goes on to
// receive from serf, so that the agent can end, but passes nothing on.
//
// # The end
//
// Run ends when its context ends and serf's channel has been silent for 100 ms.
// Everything in the queue is passed on before it returns, and so are the gathered
// changes of members. An agent that ends without waiting for Run calls
// [Intake.Release] and [Intake.Settle] instead.
package intake
