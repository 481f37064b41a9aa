#!/usr/bin/env bash
# What cuts, losses and absence lead to, at length and with real processes in
# network namespaces; the same tests in their short form are part of
# scripts/check.sh. Needs root on Linux, iproute2 and nftables.
#
#   scripts/partition.sh                        about fifteen minutes
#   NODES="3 10" scripts/partition.sh           cost at rest of fewer than 100 nodes
#
# - a cluster of four cut in two, with events on both sides
# - five agents whose links are cut and healed at random, one way too, while
#   packets are dropped at random
# - an agent that is away for 5,000 events, and a stock one beside it
# - what agents and stock serf send at rest
set -u
cd "$(dirname "$0")/.." || exit 1

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0

# run SUBJECT TEST [VARIABLE=VALUE...] runs a test and prints what it sums up.
run() {
	local subject=$1 test=$2
	shift 2
	if env "$@" go test -count=1 -v -timeout=30m -run "^$test\$" "./scripts/systest/$subject" >"$log" 2>&1; then
		grep -E 'SUMMARY|--- SKIP|not run here' "$log" | sed 's/^.*SUMMARY //'
	else
		cat "$log"
		echo "-- FAILED: $test $*"
		status=1
	fi
}

for cut in "3 20" "3 600" "3 5000" "45 20" "45 600" "45 5000"; do
	read -r seconds events <<<"$cut"
	run network TestPartition AGENTCTL_TEST_CUT_SECONDS="$seconds" AGENTCTL_TEST_CUT_EVENTS="$events"
done
for percent in 10 30; do
	run network TestRandomCuts AGENTCTL_TEST_LOSS_PERCENT="$percent" AGENTCTL_TEST_LOSS_SECONDS=60
done
run delivery TestAgentAway
for nodes in ${NODES:-3 10 100}; do
	run network TestCostAtRest AGENTCTL_TEST_REST_NODES="$nodes" AGENTCTL_TEST_REST_SECONDS=60 AGENTCTL_TEST_REST_SETTLE=60
done
exit $status
