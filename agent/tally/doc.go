// Package tally counts for go-metrics, which serf counts by, and which tells standard
// error, statsd and statsite. It keeps one count of what is done very often from costing more
// than the work itself: go-metrics makes the name of a count anew each time, for each of
// those that it tells.
//
// A count that comes alone is told at once. Those that follow within [Period] are told
// together behind it, each name with its number. None is lost but at the process's end.
//
// A [Tally] is safe for concurrent use, and never waits but for those that it tells.
package tally
