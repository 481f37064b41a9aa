package delivery

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// A target's own rules for what waits reach its cursor, its status, metrics and
// log; and who waits for it to be idle is told of what was given up.
func TestDeliveryCollapseAndMaxAge(t *testing.T) {
	for _, n := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			hold := make(chan struct{})
			target := target.Target{Name: "gw", Concurrency: n, Collapse: true, MaxAge: time.Minute}
			r := start(t, Config{Target: target, Metrics: NewMetrics(reg),
				// Idle looks again after an Ack, and then waits to be told.
				OnDelivered: func(handler.Event, time.Duration) { time.Sleep(time.Second) },
			}, journal.Config{}, func(context.Context, *handler.Event, int) error { <-hold; return nil })
			for i := range uint64(n) {
				journals.MustAppend(t, r.journal, journals.User(i+1, ""))
			}
			synctest.Wait() // all are taken, and what comes now waits
			for ltime := range uint64(10) {
				journals.MustAppend(t, r.journal, handler.NewUser(100+ltime, "kong", []byte("the same"), time.Now()))
			}
			s := r.Status()
			testkit.Want(t, "collapsed, waiting, in flight", []int{int(s.Collapsed), s.Waiting, s.InFlight}, []int{9, n + 10, n})
			time.Sleep(time.Minute + 1)
			journals.MustAppend(t, r.journal, handler.NewMember(handler.MemberJoin, "fresh", []byte("x"), time.Now()))
			time.Sleep(time.Minute + 1)
			close(hold)
			began := time.Now()
			r.idle(t)
			testkit.Want(t, "idle after", time.Since(began), time.Second)
			synctest.Wait()
			s = r.Status()
			testkit.Want(t, "delivered, lost, expired, waiting", []int{int(s.Delivered), int(s.Lost), int(s.Expired), s.Waiting}, []int{n, 11, 11, 0})
			testkit.Want(t, "state", s.State, StateStale)
			lines := r.log.With(t, "lacks events")
			testkit.Want(t, "lines", len(lines), 1)
			testkit.Want(t, "told", []any{lines[0]["lost_total"], lines[0]["expired_total"]}, []any{11.0, 11.0})
			counts := gathered(t, reg)
			for name, v := range map[string]float64{"collapsed": 9, "expired": 11} {
				testkit.Want(t, name, counts["agentctl_target_events_"+name+"_total"], v)
			}
		})
	}
}
