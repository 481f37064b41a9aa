#!/usr/bin/env bash
# Measures agentctl against stock serf on this machine, side by side, and prints
# a table. Needs Linux, Go, curl, and perl or python3; all that it runs stays on
# loopback, and all that it starts it ends.
#
#   scripts/bench.sh                  all of it, in over an hour
#   scripts/bench.sh -short           less of it, in six minutes
#   scripts/bench.sh -json=FILE       also writes the figures to FILE
#   scripts/bench.sh -only=burst,rate some parts; -help lists them
#   scripts/bench.sh -peers=nats,redis,serf
#                                     compares with subscribers of brokers instead, in
#                                     half an hour; installs Debian's servers if it may
#
# Nothing else should run on the machine meanwhile.
set -eu
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
ROOT=$(cd "$(dirname "$0")/.." && pwd)
PATH=$PATH:/usr/sbin # of nats-server
for ARG in "$@"; do
	case "$ARG" in
	-peers=* | --peers=*)
		. "$ROOT/scripts/debian.sh"
		for SERVER in nats redis; do
			case "$ARG" in
			*$SERVER*) command -v $SERVER-server >/dev/null || debian_install $SERVER-server ;;
			esac
		done
		(cd "$ROOT/scripts/bench/peers" && CGO_ENABLED=0 go build -o "$TMP/peers" .)
		set -- -peers-program="$TMP/peers" "$@"
		;;
	esac
done
(cd "$ROOT" && CGO_ENABLED=0 go build -o "$TMP/" ./scripts/bench ./cmd/agentctl)
# It is told of what would end this script, and ends its agents first.
"$TMP/bench" -agentctl="$TMP/agentctl" "$@" &
BENCH=$!
trap 'kill -TERM "$BENCH" 2>/dev/null || true' INT TERM HUP
while :; do
	STATUS=0
	wait "$BENCH" || STATUS=$?
	kill -0 "$BENCH" 2>/dev/null || exit "$STATUS"
done
