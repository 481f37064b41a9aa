package agent

import (
	"io"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"

	"agentctl/agent/logs"
	"agentctl/scripts/testkit"
)

// What a publish takes does not grow. It took 52 allocations while serf's codec read each
// message. Half of those that are left are serf's own.
func TestPublishAllocates(t *testing.T) {
	const runs, most = 2000, 20
	bubble(t, func(t *testing.T) {
		hub := logs.New(logs.Config{Out: io.Discard, Level: slog.LevelWarn})
		t.Cleanup(func() { hub.Close() })
		a, err := newOn(t, compiled(t, options()), hub, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		_, log := testkit.NewLog()
		n := run(t, a, log)
		synctest.Wait()
		payloads := make([][]byte, runs+1) // AllocsPerRun runs once more
		for i := range payloads {
			payloads[i] = []byte(strconv.Itoa(i))
		}
		next := 0
		allocs := testing.AllocsPerRun(runs, func() {
			if err := n.Publish(t.Context(), "kong", payloads[next], false); err != nil {
				t.Error(err)
			}
			next++
		})
		if allocs > most {
			t.Errorf("a publish takes %v allocations, at most %d are wanted", allocs, most)
		}
	})
}
