#!/usr/bin/env bash
# Runs a table of serf command lines against a stock serf agent with stock serf
# and against ours with ours as serf, and compares output and exit status. The
# purposeful differences are printed with their reasons. The table and the
# reasons are in scripts/systest/compat.
set -eu
cd "$(dirname "$0")/.."
exec go test -count=1 -v -run 'TestCompat|TestCalledAsSerf' ./scripts/systest/compat
