#!/usr/bin/env bash
# Measures agentctl against stock serf on this machine, side by side, and prints
# a table. Needs Linux, Go, curl, and perl or python3; all that it runs stays on
# loopback, and all that it starts it ends.
#
#   scripts/bench.sh                  all of it, in over an hour
#   scripts/bench.sh -short           less of it, in three minutes
#   scripts/bench.sh -json=FILE       also writes the figures to FILE
#   scripts/bench.sh -only=burst,rate some parts; -help lists them
#
# Nothing else should run on the machine meanwhile.
set -eu
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
(cd "$(dirname "$0")/.." && CGO_ENABLED=0 go build -o "$TMP/" ./scripts/bench ./cmd/agentctl)
# It is told of what would end this script, and ends its agents first.
"$TMP/bench" -agentctl="$TMP/agentctl" "$@" &
BENCH=$!
trap 'kill -TERM "$BENCH" 2>/dev/null || true' INT TERM HUP
while :; do
	STATUS=0
	wait "$BENCH" || STATUS=$?
	kill -0 "$BENCH" 2>/dev/null || exit "$STATUS"
done
