// Package delivery brings the events of a journal to a target.
//
// [New] opens the target's cursor, and [Delivery.Run] posts what the cursor hands
// out, until its context ends. A command that serf starts for each event has no
// journal: it uses [Deliver].
//
// # Order
//
// A target gets its events in the order of the journal, one in flight. The next is
// posted once the one before is settled: the target took it, or it was buried.
// Targets run independently, and nothing orders them against each other.
//
// With a target's Concurrency above 1, as many events are in flight at once, and the
// order is one for each key, see [target.OrderKey]. An event is posted for the first
// time once all earlier events of its key are settled. An event without a key, and
// every member event, keeps order with all: it waits for every event before it, and
// every event behind it waits for it. Names of events are no part of the key.
//
// An event that fails holds its slot while it waits for its next attempt. So a
// gateway that is down is tried by no more events at once than when it is well. A key
// that fails for ever costs one slot, and as many such keys as there are slots stop
// the target. Beside such a key the others go on, until the next event without a key,
// or until 1,000 events are handed out and not settled. An event is handed out no
// sooner than a slot is free for it, or for one behind it. From then on it is never
// given up, and no later event is joined to it.
//
// # At least once
//
// An event is acknowledged after the target has answered 2xx. If the process ends in
// between, or an answer is lost, the event comes again, with the same ID. An attempt
// of class [target.Retry] is repeated without end. The wait before it is random, and
// its ceiling doubles; a longer Retry-After of the target counts instead. An attempt
// of class [target.Bury] is the last: the event is buried, which is logged and
// counted, and the next has its turn.
//
// Config.Revise can say what has become of a member event that waited. Before the
// first POST it may replace the event's payload, or drop the event as outdated.
//
// # Blocking
//
// A slow or dead target costs other targets nothing. Run returns within the time that
// it takes to cancel a request, and for the hooks of its Config to return.
//
// # Loss
//
// The journal decides which events are lost. A Delivery logs losses, and its target is
// stale while a gap is open that no flush will close. Events go on then.
//
// # Flush
//
// While a gap is open no event is posted: the flush comes first. It is repeated, as an
// event is, until the target answers 2xx. It never goes beside an attempt to post an
// event, whatever the Concurrency. But it waits only for attempts, and not for an
// event between two of them. A flush covers the losses before it began, however many
// they are; losses during it need another. If losses go on, flushes follow each other
// after waits that double, as those of retries do, and events wait for them.
//
// Events that wait during a flush are posted afterwards, in order. For a cache that was
// just emptied that is idle work, and does no harm. But a target may do more with an
// event than forget a key, as Kong does with member events.
//
// A flush that the target refuses for good is given up. The state is stale then, the
// log says what to do, and events go on. Another is made after the next loss, but at
// the earliest after a minute; by the next Delivery, as after a reload; or at once
// after [Delivery.Flush]. An operator who knows that the gateway is fresh closes the
// gap with [Delivery.AcceptGap].
//
// If the flush is the target's last event once more, that event waits again, in its
// old order, and the gap is closed.
package delivery
