package broadcast

import (
	"runtime"
	"testing"
	"testing/synctest"

	"agentctl/scripts/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// bubble runs a test in a bubble of its own. Yamux keeps timers in a pool, and those of
// another bubble must not be used: two collections empty it.
func bubble(t *testing.T, test func(t *testing.T)) {
	runtime.GC()
	runtime.GC()
	synctest.Test(t, test)
}
