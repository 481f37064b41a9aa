# For scripts that watch what runs: sourced, not run. They define die, which says
# what went wrong and ends.

# await TEXT COMMAND... waits until the command succeeds, five minutes at most.
await() {
	local what=$1 try
	shift
	for try in $(seq 1500); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.2
	done
	die "not so after five minutes: $what"
}

# says PATTERN COMMAND... tells whether the command prints a line that matches.
says() { grep -q -- "$1" <<<"$("${@:2}" 2>&1)"; }
