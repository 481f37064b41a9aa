package handler

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A target's own rules for what waits reach its cursor, its status, metrics and
// log; and who waits for it to be idle is told of what was given up.
func TestDeliveryCollapseAndMaxAge(t *testing.T) {
	for _, n := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			hold := make(chan struct{})
			target := Target{Name: "gw", Concurrency: n, Collapse: true, MaxAge: time.Minute}
			r := start(t, DeliveryConfig{Target: target, Metrics: NewMetrics(reg),
				// Idle looks again after an Ack, and then waits to be told.
				OnDelivered: func(Event, time.Duration) { time.Sleep(time.Second) },
			}, MemoryConfig{}, func(context.Context, *Event, int) error { <-hold; return nil })
			for i := range uint64(n) {
				mustAppend(t, r.journal, user(i+1, ""))
			}
			synctest.Wait() // all are taken, and what comes now waits
			for ltime := range uint64(10) {
				mustAppend(t, r.journal, NewUser(100+ltime, "kong", []byte("the same"), time.Now()))
			}
			s := r.Status()
			want(t, "collapsed, waiting, in flight", []int{int(s.Collapsed), s.Waiting, s.InFlight}, []int{9, n + 10, n})
			time.Sleep(time.Minute + 1)
			mustAppend(t, r.journal, NewMember(MemberJoin, "fresh", []byte("x"), time.Now()))
			time.Sleep(time.Minute + 1)
			close(hold)
			began := time.Now()
			r.idle(t)
			want(t, "idle after", time.Since(began), time.Second)
			synctest.Wait()
			s = r.Status()
			want(t, "delivered, lost, expired, waiting", []int{int(s.Delivered), int(s.Lost), int(s.Expired), s.Waiting}, []int{n, 11, 11, 0})
			want(t, "state", s.State, StateStale)
			lines := r.log.with(t, "lacks events")
			want(t, "lines", len(lines), 1)
			want(t, "told", []any{lines[0]["lost_total"], lines[0]["expired_total"]}, []any{11.0, 11.0})
			counts := gathered(t, reg)
			for name, v := range map[string]float64{"collapsed": 9, "expired": 11} {
				want(t, name, counts["agentctl_target_events_"+name+"_total"], v)
			}
		})
	}
}
