// Package script runs event handlers that are scripts, just as serf runs them: by the
// shell, with the event in SERF_ variables and on standard input. What a script prints
// to a query is the answer. The same runner posts queries to a target and answers them
// with the response.
//
// # Order and loss
//
// Each [Runner] has a bounded queue and handles one event at a time, in order. It never
// makes the intake wait: an event that its queue has no room for is counted, logged and
// lost to this runner alone. A script is an action and runs once for an event. Nothing
// is tried again, and nothing is kept across restarts.
//
// # Processes
//
// A script runs in a process group of its own, and the group is killed when the agent
// ends; on Windows the shell alone is. The last 8 KiB of a script's output are kept. As process 1, in a container, the
// agent takes the exit status of processes that scripts leave behind.
package script
