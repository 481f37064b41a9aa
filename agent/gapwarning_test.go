package agent

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/config"
	"agentctl/handler"
	"agentctl/scripts/testkit"
)

// A flush that waits, since its peer had caused another just before, is among the
// agent's warnings until it is made: meanwhile the targets are "ok", though they may
// lack events.
func TestAFlushThatWaitsIsAWarning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, other := start(t), start(t, func(o *config.Options) { o.JournalMaxEvents = 5 })
		join(t, n, other)
		gauge := func() float64 { return testkit.CounterWith(t, n.Metrics(), "agentctl_repair_gap_waiting", nil) }
		flushes := func() float64 { return testkit.CounterWith(t, n.Metrics(), "agentctl_repair_gaps_total", nil) }
		told := func() string {
			synctest.Wait()
			return strings.Join(n.warnings(), "\n")
		}
		await := func(what string, is func() bool) {
			t.Helper()
			for limit := time.Now().Add(5 * time.Minute); !is(); time.Sleep(time.Second) {
				if time.Now().After(limit) {
					t.Fatalf("never: %s", what)
				}
			}
		}
		await("a comparison", func() bool { return testkit.Counter(t, n.Metrics(), "agentctl_repair_comparisons_total", "same") > 0 })
		// The other node takes in events that nobody else has, and lets go of most.
		for again := range 2 {
			var all []handler.Event
			for i := range uint64(100) {
				all = append(all, handler.NewUser(other.serf.EventClock()+i, "kong", fmt.Append(nil, again, i), time.Now()))
			}
			must(t, other.takeRepaired(t.Context(), all))
			if again == 0 {
				await("the first flush", func() bool { return flushes() == 1 })
				testkit.Want(t, "warnings after it", told(), "")
			}
		}
		await("a flush to wait", func() bool { return gauge() == 1 })
		if got := told(); !strings.HasPrefix(got, "a flush of all targets waits") || !strings.Contains(got, ": "+other.opts.NodeName+";") {
			t.Errorf("%q", got)
		}
		await("the second flush", func() bool { return flushes() == 2 })
		testkit.Want(t, "warnings after it", told(), "")
	})
}
