#!/usr/bin/env bash
# What a crash, an outage, a power cut and a full disk lead to, at length and with real
# processes; the same tests in their short form are part of scripts/check.sh.
# Prints a summary: kills, events, duplicates, losses, times.
#
#   scripts/crash.sh                          about twenty minutes
#   KILLS=2000 AWAY=300 ROUNDS=50 BEHIND=5000 PAIRS=500 scripts/crash.sh
#
# Full disks, and disks that forget, need root that may mount a file system.
set -u
cd "$(dirname "$0")/.." || exit 1

export AGENTCTL_TEST_CRASH_KILLS=${KILLS:-400}
export AGENTCTL_TEST_AWAY_SECONDS=${AWAY:-60}
export AGENTCTL_TEST_UNTAKEN_ROUNDS=${ROUNDS:-20}
export AGENTCTL_TEST_FORGETFUL_KILLS=${BEHIND:-1000}
export AGENTCTL_TEST_FORGETFUL_PAIRS=${PAIRS:-50}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

status=0
# One at a time, so that each has the machine to itself.
for test in TestCrash TestPowerCut TestPlainPublishIsForgotten TestDurablePublishSurvives TestDurableOnTwoNodes \
	TestWrittenSurvives TestGatewayAway TestCollapse TestUntaken TestFullDisk TestRefused; do
	echo "== $test"
	if go test -race -count=1 -v -timeout=1h -run "^$test\$" ./scripts/systest/delivery >"$log" 2>&1; then
		grep -E 'SUMMARY|--- SKIP|not run here' "$log" | sed 's/^.*SUMMARY //'
		echo "-- ok"
	else
		cat "$log"
		echo "-- FAILED: $test"
		status=1
	fi
done
exit $status
