package delivery

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestDeliveryReportsLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{}, journal.Config{MaxPending: 10},
			func(ctx context.Context, _ *handler.Event, _ int) error { <-ctx.Done(); return ctx.Err() })
		began := time.Now()
		n := uint64(0)
		appendFor := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				journals.MustAppend(t, r.journal, journals.User(n, ""))
				n++
			}
		}
		appendFor(10 * time.Minute)
		s := r.Status()
		// One is in flight and nine wait behind it.
		if s.State != StateStale || s.Lost != n-10 || s.Waiting != 10 || !s.Since.Equal(began.Add(100*time.Millisecond)) || !s.GapSince.Equal(s.Since) {
			t.Errorf("%+v", s)
		}
		if lines := r.log.With(t, "lacks events"); len(lines) < 10 || len(lines) > 20 {
			t.Errorf("%d lines in 10 minutes", len(lines))
		}
		time.Sleep(time.Hour)
		before := len(r.log.With(t, "lacks events"))
		appendFor(3 * time.Second)
		if more := len(r.log.With(t, "lacks events")) - before; more < 2 {
			t.Errorf("%d lines after a quiet hour", more)
		}
		appendFor(time.Second) // within the pause that the last line began
		told := len(r.log.With(t, "lacks events"))
		r.stop()
		if len(r.log.With(t, "lacks events")) != told+1 {
			t.Error("the last losses are not told at the end")
		}
		total := 0.0
		lines := r.log.With(t, "lacks events")
		for _, line := range lines {
			total += line["lost"].(float64)
		}
		testkit.Want(t, "losses in all lines", uint64(total), n-10)
		testkit.Want(t, "first line", lines[0]["lost"], any(1.0))
		testkit.Want(t, "last line", lines[len(lines)-1]["lost_total"], any(float64(n-10)))
	})
}
