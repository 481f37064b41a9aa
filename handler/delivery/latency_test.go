package delivery

import (
	"context"
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
		if s := r.Status(); s.Latency != (Quantiles{}) || s.AttemptLatency != (Quantiles{}) {
			t.Errorf("before the first delivery: %+v", s)
		}
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		r.idle(t)
		s := r.Status()
		testkit.Want(t, "latency", s.Latency, Quantiles{64, 64, 64, 64, 1})
		testkit.Want(t, "attempt", s.AttemptLatency, Quantiles{2, 2, 2, 2, 1})
	})
}
