// Package delivery brings the events of a journal to a target.
//
// [New] opens the target's cursor. [Delivery.Run] posts the cursor's events until
// its context ends. A command that serf starts for each event has no journal: it
// uses [Deliver].
//
// # Order
//
// A target gets its events in the order of the journal, one in flight. The next
// event is posted once the one before is settled: the target took it, or it was
// buried. Targets run independently, and nothing orders them against each other.
//
// With a target's Concurrency above 1, as many events are in flight at once. Then
// only events of one key keep their order, see [target.OrderKey]:
//
//   - An event is posted for the first time once all earlier events of its key are
//     settled. Names of events are no part of the key.
//   - An event without a key, and every member event, keeps order with all. It waits
//     for every event before it, and every event behind it waits for it.
//
// A failed event holds its slot while it waits for its next attempt. So a gateway
// that is down gets no more events at once than a healthy one. A key that fails
// for ever costs one slot. As many such keys as there are slots stop the target.
// Beside such a key the others go on, until the next event without a key, or until
// 1,000 events are handed out and not settled.
//
// An event is handed out only when a slot is free for it, or for one behind it. From
// then on it is never given up, and no later event is joined to it.
//
// # At least once
//
// A Delivery acknowledges an event after the target has answered 2xx, or one of its
// DoneCodes. If the process ends in between, or an answer is lost, the event comes
// again, with the same ID.
//
// After an attempt of class [target.Retry] the Delivery tries again, without end, see
// Waits.
//
// An attempt of class [target.Bury] is the last. The Delivery buries the event, logs
// and counts that, and goes on to the next.
//
// Config.Revise can say how a waiting member event has changed. Before the first POST
// it may replace the event's payload, or drop the event as outdated.
//
// # Waits
//
// After a failed attempt the Delivery waits for a random time, below a ceiling that
// doubles from the target's MinBackoff to its MaxBackoff. If the target sent a longer
// Retry-After, that counts instead. More than 5 minutes count as 5 minutes.
//
// Some things end a wait, and the next attempt begins at once:
//
//   - The target refused connections, or its name did not resolve, and it takes
//     connections again. A [probe.Prober] notices within 200 ms, whatever the length of
//     the outage.
//   - The target's answer began the wait, and a connection was refused since: the
//     target restarted. A restart that refuses connections for less than a second can
//     go unnoticed.
//   - An operator wants it, see [Delivery.RetryNow].
//   - The process ends, see [Delivery.Drain].
//
// A target that takes connections and then fails is not probed, as retries do that.
// Refused connections do not make its waits longer: a gateway that is back, and not
// ready yet, is tried again as after a first failure.
//
// # Blocking
//
// A slow or dead target costs other targets nothing. When its context ends, Run
// cancels the requests under way, waits for the hooks of its Config, and returns.
//
// # Loss
//
// The journal decides which events are lost. A Delivery logs losses, at level error.
// If a gap is open that no flush will close, the target is stale, and its events go on.
//
// # Outages
//
// When attempts begin to fail, at events or at the flush, the log says so once, at level
// INFO: most often the gateway starts or restarts. After 10 s it has a warning, and then
// warnings for some of the attempts. After 30 s it has an error, and again after 5 and 50 minutes and each further
// hour. The line at the end is then an error, too. So whoever reads no other lines knows
// that it is over.
//
// That line says that the target is well only if it is ok. If it is stale, or fails
// another event, the line says so.
//
// # Flush
//
// If a gap opens no event is posted: the flush comes first. The Delivery repeats
// the flush until the target answers 2xx, as it repeats an event. A flush never runs
// beside an attempt to post an event, whatever the Concurrency. But it waits only for
// attempts, and not for an event between two of them.
//
// A flush covers all losses before it began, however many; losses during it need
// another. If losses go on, the flushes follow each other after waits that double. Events
// go on in these waits, so nobody can hold them up by causing losses. The flush at the
// end of the wait makes good what was lost.
//
// Events that wait during a flush are posted afterwards, in order. A cache that was
// just emptied does not need them, and they do no harm there. But a target may do more
// with an event than forget a key, as Kong does with member events.
//
// If the target refuses a flush for good, the Delivery gives it up. The target is
// stale then, the log says what to do, and events go on. Another flush follows in one
// of these cases:
//
//   - after the next loss, but at the earliest after a minute;
//   - by the next Delivery, as after a reload;
//   - at once after [Delivery.Flush].
//
// An operator who knows that the gateway is fresh closes the gap with
// [Delivery.AcceptGap].
//
// For some targets the flush is their last event once more. Then that event waits
// again, in its old order, and the gap is closed.
package delivery
