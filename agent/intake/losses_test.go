package intake

import (
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/scripts/testkit"
)

// Messages that were dropped before they were read are a gap in the journal, counted,
// and told in few lines, also while the intake is still.
func TestMissedMessagesAreAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, reg := &stubJournal{}, prometheus.NewRegistry()
		logger, log := testkit.NewLog()
		in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger, Metrics: reg})
		end := runIntake(t, in)
		for range 100 {
			in.Missed(7)
			synctest.Wait()
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if counted := testkit.Counter(t, reg, "agentctl_events_dropped_total", "gossip_full"); counted != 700 || j.gap != 700 {
			t.Errorf("of 700 messages %v were counted, and %d are in gaps", counted, j.gap)
		}
		if n := log.Count("level=ERROR", "events may be lost"); n != 1 {
			t.Errorf("%d lines tell it, want one", n)
		}
	})
}
