package commands

import (
	"testing"

	"agentctl/scripts/testkit/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }
