package delivery

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestQuantiles(t *testing.T) {
	of := func(n int) Quantiles {
		var s samples
		for i := range n {
			s.add(time.Duration(i+1) * time.Second)
		}
		return quantiles(s.last)
	}
	testkit.Want(t, "of none", of(0), Quantiles{})
	testkit.Want(t, "of one", of(1), Quantiles{1, 1, 1, 1, 1})
	testkit.Want(t, "of two", of(2), Quantiles{1, 2, 2, 2, 2})
	testkit.Want(t, "of 10", of(10), Quantiles{5, 9, 10, 10, 10})
	testkit.Want(t, "of 1,000", of(1000), Quantiles{500, 900, 990, 1000, 1000})
	testkit.Want(t, "of 2,500", of(2500), Quantiles{2000, 2400, 2490, 2500, 1000})
	var s samples
	s.add(-time.Second)
	testkit.Want(t, "of a clock set back", quantiles(s.last), Quantiles{Count: 1})
}

func TestStatusLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: target.Target{MinBackoff: time.Second, MaxBackoff: time.Second}}, journal.Config{},
			func(_ context.Context, e *handler.Event, attempt int) error {
				time.Sleep(2 * time.Second)
				if attempt == 1 {
					return &target.PostError{Class: target.Retry, Status: 503, RetryAfter: time.Minute}
				}
				return nil
			})
		var s map[string]any
		status := func() {
			t.Helper()
			text, err := json.Marshal(r.Status())
			if err != nil {
				t.Fatal(err)
			}
			s = nil
			if err := json.Unmarshal(text, &s); err != nil {
				t.Fatal(err)
			}
		}
		status()
		if s["latency_seconds"] != nil || s["attempt_seconds"] != nil {
			t.Errorf("before the first delivery: %v", s)
		}
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		r.idle(t)
		status()
		all := func(v float64) any {
			return map[string]any{"p50": v, "p90": v, "p99": v, "max": v, "count": 1.0}
		}
		testkit.Want(t, "latency", s["latency_seconds"], all(64))
		testkit.Want(t, "attempt", s["attempt_seconds"], all(2))
	})
}
