// Package script runs event scripts as serf does, and answers queries by posting
// them to a target. A [Runner] does either for the events that its filters let
// pass.
//
// # Order
//
// A Runner handles one event at a time, in the order in which the events were
// offered. Runners do not wait for each other.
//
// # Blocking
//
// [Runner.Offer] never waits: it appends to a queue. Nothing limits how long a
// script runs, as under serf. While it runs, the events behind it wait. The log
// names a script that runs for more than a second.
//
// # Loss
//
// A queue holds 32,768 events with 64 MiB, and one larger event if it is alone.
// An event that does not fit is lost to this Runner alone; it is counted and
// logged. A script is run once for an event, whatever its exit status, because
// serf does not retry either.
//
// When the context of [Runner.Run] ends, the script under way is killed with its
// children, and the waiting events are counted and logged as lost. When drain is
// closed instead, Run first handles every event that waits. No waiting event
// survives a restart.
//
// # A script's surroundings
//
// A script is a command for the shell. It gets the agent's environment, serf's
// variables, and the event on its standard input. The end of its output, up to 8
// KiB, answers a query. A child that a script leaves behind can hold the output
// open for five seconds at most. [ReapOrphans] takes the exit status of such
// children if the agent is process 1.
//
// # Queries to a target
//
// [NewQueryRunner] posts a query once, within the query's deadline, and responds
// with the body of the answer. An empty body is no response. A query is not in
// the journal, and a target that is down leaves it unanswered.
package script
