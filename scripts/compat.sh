#!/usr/bin/env bash
# Runs a table of serf command lines against a stock serf agent with stock serf
# and against ours with ours as serf, and compares output and exit status. The
# purposeful differences are printed with their reasons. The table and the
# reasons are in scripts/systest/compat.
set -euo pipefail
cd "$(dirname "$0")/.."
# Without the place in the test that each line begins with.
go test -count=1 -v -run 'TestCompat|TestCalledAsSerf' ./scripts/systest/compat | sed -u 's/^    [a-z_]*_test\.go:[0-9]*: //; s/^        \(   \(ours\|stock\): \)/    \1/'
