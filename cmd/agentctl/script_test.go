package main

import (
	"testing"

	"agentctl/scripts/testkit/script"
)

// TestScripts runs the scripts of testdata/script, which also document the command
// line. Package script lists their commands. Those of scripts/systest/commands need
// stock serf, a cluster, or more time.
func TestScripts(t *testing.T) {
	t.Parallel()
	script.Run(t, "testdata/script")
}
