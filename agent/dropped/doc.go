// Package dropped counts the events that are lost inside the agent. Several
// packages lose events, each for its own reason, and all of them count under one
// name: agentctl_events_dropped_total, with the label "reason".
//
// Each reason belongs to one package. A package makes its [Counter] once for
// each registry, and a second counter of the same reason panics. A counter
// exists from the start with the value 0, so that an alert on its increase sees
// the first loss. Counting never waits.
package dropped
