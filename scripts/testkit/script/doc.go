// Package script runs scripts of commands, each a file in testscript's form, and
// each beside agents, stock serf and gateways that it starts. Two packages use it.
// Scripts that need no more than a second or two stand in cmd/agentctl, and the
// others in scripts/systest/commands.
//
// A script runs the program as "agentctl", which has to be on the PATH. Beside
// testscript's own commands it has these:
//
//	ports NAME...               set each variable to a port that is free
//	hold NAME...                the same, and keep the ports in use
//	free PORT...                fail unless all of the ports are free
//	bytes FILE TEXT             write TEXT, with Go's escapes (\x00), to FILE
//	fill FILE N                 write N bytes to FILE
//	gateway NAME                start a gateway; $NAME is its URL
//	answer NAME STATUS [K:V]... make it answer so; refuse and hang are answers, too
//	posted NAME N               wait until it has taken N events, and no more;
//	                            NAME/1.body and NAME/1.head are those of the first
//	tried NAME STATUS N         wait until it has answered N events so (STATUS may
//	                            be hang), or more
//	agent NAME [ARGS]           start an agent on free ports and wait for its RPC;
//	                            $NAME_rpc, $NAME_gossip, $NAME_http are its addresses
//	serf NAME VERSION [ARGS]    the same with stock serf; $serf is the program
//	start NAME PROGRAM [ARGS]   start a program; its output is in NAME.out and NAME.err
//	signal NAME INT|TERM|HUP|KILL
//	ended NAME STATUS           wait until it has ended, with this exit status
//	await PATTERN FILE          wait until FILE has a match
//	until PATTERN PROGRAM ARGS  run the program until its standard output has a match
//	exits STATUS PROGRAM ARGS   run the program, which ends with this exit status
//
// "env $unraced PROGRAM" runs one of serf's commands that have a data race.
package script
