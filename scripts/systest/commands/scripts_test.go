package commands

import (
	"testing"

	"agentctl/scripts/testkit/script"
)

// TestScripts runs the scripts of testdata/script, which also document the command
// line. Package script lists their commands. Those of cmd/agentctl are faster.
func TestScripts(t *testing.T) { script.Run(t, "testdata/script") }
