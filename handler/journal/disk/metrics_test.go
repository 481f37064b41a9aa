package disk

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestDiskMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		broken := &brokenStore{}
		cfg := Config{Dir: t.TempDir(), Metrics: reg, wrap: broken.wrap, Limits: journal.Config{MaxEvents: 2}}
		d := openDir(t, cfg)
		e := journals.User(1, "")
		journals.MustAppend(t, d.Journal, e, e, journals.User(2, ""), journals.User(3, ""))
		testkit.MustSync(t, d)
		broken.fail(errors.New("no space"))
		journals.MustAppend(t, d.Journal, journals.User(4, ""))
		testkit.WaitFor(t, "a failure", func() bool { return d.Status().Failures > 0 })
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
		if got["agentctl_journal_commits_total"] < 1 || got["agentctl_journal_commit_failures_total"] < 1 {
			t.Errorf("%v", got)
		}
		delete(got, "agentctl_journal_commits_total")
		delete(got, "agentctl_journal_commit_failures_total")
		testkit.Want(t, "metrics", got, map[string]float64{
			"agentctl_journal_degraded":         1,
			"agentctl_journal_degraded_total":   1,
			"agentctl_journal_unwritten_events": 1,
			"agentctl_journal_duplicates_total": 1,
		})
		broken.mend()
		testkit.MustClose(t, d)
		openDir(t, cfg) // registers again
	})
}
