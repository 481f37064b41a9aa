// Package tally counts for go-metrics, which serf counts by, and which tells standard
// error, statsd and statsite. For each count go-metrics makes the name anew, once for each
// of those. So a count of what is done very often would cost more than the work itself.
//
// A count that comes alone is told at once. Those that follow within [Period] are told
// together behind it, each name with its number. None is lost but at the process's end.
//
// A [Tally] is safe for concurrent use, and never waits but for those that it tells.
package tally
