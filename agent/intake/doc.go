// Package intake makes one stream of all events that reach this node, and passes each
// of them on once: to the journal, which the targets read, and then to the scripts
// and to subscribers such as RPC streams.
//
// # Order
//
// Events come from serf's channel and from [Intake.Take], and are passed on in the
// order in which they came. An event is in the journal before a script or a
// subscriber sees it. The journal gets each event at once. Scripts and subscribers get
// user events that may coalesce as in serf: up to three seconds later, and of those with
// one name the newest only.
//
// # Once
//
// The same event comes by several ways. Its first copy counts, and the journal tells
// the others by the event's ID. A reference to a large event is no event: package
// large fetches the event, which then comes by Take.
//
// # Blocking
//
// Serf holds a lock while it sends, so its channel is emptied at once and always, into
// a bounded queue. Take waits for room in that queue. Scripts and subscribers never
// make the intake wait.
//
// # Loss
//
// If the queue is full, an event of serf's is counted, logged and told to the journal as
// a gap, for which the targets are flushed. When the journal fails, the agent ends.
package intake
