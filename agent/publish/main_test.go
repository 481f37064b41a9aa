package publish

import (
	"testing"

	"agentctl/scripts/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }
