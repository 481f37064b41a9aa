#!/usr/bin/env bash
# Looks for known vulnerabilities in code that is called here, in modules and in Go, with
# govulncheck. Its database is https://vuln.go.dev.
#
#   scripts/vulnerabilities.sh [ARGUMENT...]   arguments for govulncheck (./...)
#
#   LIMIT   seconds that it may take (300)
#   TOOLS   folder to install govulncheck into (a temporary one)
#
# Exit status: 0 if there are none; 3 if some are found; 77 if the database cannot be
# reached, or does not answer in time; anything else is a failure.
set -u
GOVULNCHECK=v1.9.0
[ $# -gt 0 ] || set -- ./...

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
echo "installing into ${TOOLS:-a temporary folder}: govulncheck $GOVULNCHECK"
TOOLS=${TOOLS:-$tmp}
GOBIN=$TOOLS go install "golang.org/x/vuln/cmd/govulncheck@$GOVULNCHECK" || exit 1
timeout "${LIMIT:-300}" "$TOOLS/govulncheck" "$@" 2>"$tmp/errors"
status=$?
cat "$tmp/errors" >&2
# Any failure has status 1.
if [ $status = 1 ] && grep -q '^govulncheck: fetching vulnerabilities: ' "$tmp/errors"; then
	status=77
elif [ $status = 124 ]; then
	echo "scripts/vulnerabilities.sh: no result after ${LIMIT:-300} seconds" >&2
	status=77
fi
exit $status
