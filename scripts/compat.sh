#!/usr/bin/env bash
# Runs hundreds of serf's command lines and of configurations of its agent with stock
# serf and with ours as serf, and compares what they do. Intended differences are
# printed with their reasons, which stand in agent/COMPATIBILITY.md. The lists are in
# scripts/systest/compat.
set -euo pipefail
cd "$(dirname "$0")/.."
# Without the place in the test that each line begins with.
go test -count=1 -v -run 'TestCompat|TestCalledAsSerf|TestLog|TestSyslog|TestStatsd' ./scripts/systest/compat |
	sed -u '/^=== /d; s/^ *[a-z_]*_test\.go:[0-9]*: //; s/^        \(   \(ours\|stock\): \)/    \1/'
