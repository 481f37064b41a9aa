#!/usr/bin/env bash
# Tries the attacks of scripts/systest/attack on an earlier program and on this one, and
# prints what each attack achieved: before → now. It fails if an attack achieves anything
# now, or if one that is known to have succeeded achieves nothing before. The earlier
# program is built from this repository's history into a temporary folder.
#
#   scripts/attack.sh                     about half an hour
#   scripts/attack.sh -before REVISION    beside another revision than c8fc465
#   AGENTCTL_TEST_LONG=1 scripts/attack.sh
#
# Needs Linux, Go and git. It uses loopback only. Nothing else should run meanwhile.
set -eu
cd "$(dirname "$0")/.."

before=c8fc465
case "${1-}" in
'') ;;
-before) before=$2 ;;
*)
	sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/source"
git archive "$before" | tar -x -C "$tmp/source"
(cd "$tmp/source" && CGO_ENABLED=0 go build -o "$tmp/before/agentctl" ./cmd/agentctl)

status=0
# In a shorter attack the earlier program holds up too few events for it to show.
: "${AGENTCTL_ATTACK_SECONDS=30}"
export AGENTCTL_ATTACK_SECONDS
AGENTCTL_ATTACK_BEFORE=$tmp/before AGENTCTL_ATTACK_TABLE=$tmp/table \
	go test -count=1 -v -timeout=3h -run '^TestAttacks$' ./scripts/systest/attack >"$tmp/log" 2>&1 || status=$?
[ $status -eq 0 ] || cat "$tmp/log"
[ ! -e "$tmp/table" ] || cat "$tmp/table"
exit $status
