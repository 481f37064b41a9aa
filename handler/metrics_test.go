package handler

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestDeliveryMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		hold := make(chan struct{})
		r := start(t, DeliveryConfig{Target: Target{Name: "gw"}, Metrics: NewMetrics(reg)}, MemoryConfig{MaxPending: 6},
			func(ctx context.Context, e *Event, attempt int) error {
				switch {
				case e.LTime == 2 && attempt < 4:
					return refused
				case e.LTime == 3:
					return &PostError{Class: Bury, Status: 400}
				case e.LTime == 4:
					select {
					case <-hold:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				return nil
			})
		gather := func() map[string]float64 {
			t.Helper()
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]float64{}
			for _, f := range families {
				for _, m := range f.GetMetric() {
					if len(m.GetLabel()) != 1 || m.GetLabel()[0].GetName() != "target" || m.GetLabel()[0].GetValue() != "gw" {
						t.Errorf("%s has the labels %v", f.GetName(), m.GetLabel())
					}
					got[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
			return got
		}
		for i := uint64(1); i <= 4; i++ {
			mustAppend(t, r.journal, user(i, ""))
		}
		time.Sleep(time.Hour)
		for i := uint64(5); i <= 12; i++ {
			mustAppend(t, r.journal, user(i, ""))
		}
		want(t, "metrics", gather(), map[string]float64{
			"agentctl_target_events_delivered_total":    2,
			"agentctl_target_events_retried_total":      3,
			"agentctl_target_events_buried_total":       1,
			"agentctl_target_events_lost_total":         3,
			"agentctl_target_events_waiting":            6,
			"agentctl_target_delivery_duration_seconds": 2,
		})
		close(hold)
		r.idle(t)
		if got := gather()["agentctl_target_events_waiting"]; got != 0 {
			t.Errorf("waiting %v", got)
		}
		r.stop()
		want(t, "after the end", gather(), map[string]float64{})
	})
}
