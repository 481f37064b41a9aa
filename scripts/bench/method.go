//go:build linux

package main

// method says below the table how each figure was measured. It takes the
// interpreter and the profile.
const method = `How it was measured:

- Stock serf is v0.11.0. Both programs are built with CGO_ENABLED=0, as one static file. All agents are real processes on addresses of 127.0.0.0/8, built without the race detector, with no encryption, at log level warn, and publish with coalescing off. The publisher and the HTTP server that takes the POSTs are one process beside them on the same cores. Each cluster is new; before anything is measured its agents know each other, and three events have come everywhere.
- "serf, Kong's script" runs a shell script laid out like Kong's, which hands the POST to %[1]s over a plain socket; Kong's starts OpenResty, which takes several times as long. "serf, curl script" runs curl. "serf, no script" is what stock serf itself hands out, as its RPC stream tells it: a script can get no more.
- "times better" compares agentctl with the best stock figure of the line; below 1× stock is better. For what is measured in pairs (the command, the start, the events that an agent takes) it is the median of the pairs' ratios.
- Publish to POST: from before the RPC call to the POST at the last member (with no script, to its RPC stream), for single events at random moments; what has not come everywhere after 10 s is left out and counted in the JSON. Below 100 events p99 is the slowest. The scripts of all nodes run on these few cores: the more nodes, the more of stock serf's time is theirs, which it would not be on machines of their own; the figure with no script has none of it.
- Bursts and rates, on profile %[2]s: one connection with 16 events in flight. What a node got is, of stock serf with no script, what its RPC stream gave; of the others, the POSTs. The time to the last delivery counts from the first publish of a burst, and from the last of a steady rate; for stock serf it is that of what arrived at all. "Twice" counts what a node got again. A cluster is watched until all is there or nothing more comes.
- At a stock agent beside two of agentctl's: published at one of the latter; the share is what the stock agent's RPC stream gave, and beside it stands what the worst of three stock agents gets of the same burst.
- CPU: user and system time of the three agents and the scripts they ran, from /proc, less what the agents use at rest in the same time, for each POST. Memory: resident, of the largest of the three; "of its own" is without the pages of the program's file, which all processes of the program share.
- The command: from start to end of "serf event" and "agentctl event", each against one agent of its own kind. The agent's start: to the first RPC handshake answered, tried every half millisecond. Page faults are those of the process itself until then.
- Events that an agent takes: each connection publishes the next event when the last one was answered, for half a second, to either agent in turns; the agent has no other members, and nothing to deliver to. In one batch: a request with a line for each event, from its first byte to the answer.
- Memory after a burst: the burst is one batch, and all of it has been POSTed. With the first one the journal fills up; the second one pushes the first one out of it. So all three agents have a full history then, and so has the one with -data-dir, which is alone.
`
