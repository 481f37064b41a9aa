package delivery

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// gathered is what a target named gw counts, by metric and, where it has one,
// result; of a histogram the number of samples.
func gathered(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name, labels := f.GetName(), m.GetLabel()
			if len(labels) == 2 && (labels[0].GetName() == "result" || labels[0].GetName() == "state") {
				name, labels = name+" "+labels[0].GetValue(), labels[1:]
			}
			if len(labels) != 1 || labels[0].GetName() != "target" || labels[0].GetValue() != "gw" {
				t.Errorf("%s has the labels %v", f.GetName(), m.GetLabel())
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return got
}

func TestDeliveryMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		hold := make(chan struct{})
		r := start(t, Config{Target: target.Target{Name: "gw"}, Metrics: NewMetrics(reg)}, journal.Config{MaxPending: 6},
			func(ctx context.Context, e *handler.Event, attempt int) error {
				switch {
				case e.LTime == 2 && attempt < 4:
					return refused
				case e.LTime == 3:
					return &target.PostError{Class: target.Bury, Status: 400}
				case e.LTime == 4:
					select {
					case <-hold:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				return nil
			})
		for i := uint64(1); i <= 4; i++ {
			journals.MustAppend(t, r.journal, journals.User(i, ""))
		}
		time.Sleep(time.Hour)
		for i := uint64(5); i <= 12; i++ {
			journals.MustAppend(t, r.journal, journals.User(i, ""))
		}
		testkit.Want(t, "metrics", gathered(t, reg), map[string]float64{
			"agentctl_target_events_delivered_total":    2,
			"agentctl_target_events_retried_total":      3,
			"agentctl_target_events_buried_total":       1,
			"agentctl_target_events_lost_total":         3,
			"agentctl_target_events_outdated_total":     0,
			"agentctl_target_events_collapsed_total":    0,
			"agentctl_target_events_expired_total":      0,
			"agentctl_target_stale":                     1,
			"agentctl_target_flushes_total success":     0,
			"agentctl_target_flushes_total retried":     0,
			"agentctl_target_flushes_total refused":     0,
			"agentctl_target_events_waiting":            6,
			"agentctl_target_events_in_flight":          1,
			"agentctl_target_oldest_waiting_seconds":    3600,
			"agentctl_target_delivery_duration_seconds": 2,
			"agentctl_target_buried_events":             1,
			"agentctl_target_state ok":                  0,
			"agentctl_target_state refusing":            0,
			"agentctl_target_state retrying":            0,
			"agentctl_target_state flushing":            0,
			"agentctl_target_state stale":               1,

			"agentctl_target_attempt_duration_seconds success": 2,
			"agentctl_target_attempt_duration_seconds retried": 3,
			"agentctl_target_attempt_duration_seconds buried":  1,
		})
		close(hold)
		r.idle(t)
		synctest.Wait() // for what is counted behind an acknowledgement
		idle := gathered(t, reg)
		for _, name := range []string{"events_waiting", "events_in_flight", "oldest_waiting_seconds"} {
			testkit.Want(t, name+" when idle", idle["agentctl_target_"+name], 0)
		}
		r.stop()
		testkit.Want(t, "after the end", gathered(t, reg), map[string]float64{})
	})
}
