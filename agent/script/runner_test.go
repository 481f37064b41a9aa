package script

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler"
	"agentctl/scripts/testkit"
)

var every = handler.Filters{{Type: "*"}}

func TestRunnerTakesWhatItsFiltersPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		filters, err := handler.ParseFilters("user:e1,query:q,member-leave")
		if err != nil {
			t.Fatal(err)
		}
		logger, _ := testkit.NewLog()
		var ran []string
		r := NewRunner("r", filters, logger, nil, func(_ context.Context, t Task) { ran = append(ran, t.Event.String()) })
		for _, e := range []serf.Event{
			scriptEvent(1), scriptEvent(2), &serf.Query{Name: "q"}, &serf.Query{Name: "e1"},
			serf.MemberEvent{Type: serf.EventMemberJoin}, serf.MemberEvent{Type: serf.EventMemberLeave},
		} {
			r.Offer(Task{Event: e})
		}
		drain := make(chan struct{})
		close(drain)
		if err := r.Run(t.Context(), drain); err != nil {
			t.Fatal(err)
		}
		want := "[user-event: e1 query: q member-leave]"
		if got := fmt.Sprint(ran); got != want {
			t.Errorf("ran for %s, want %s", got, want)
		}
	})
}

// One runner that hangs makes neither the one who offers nor another runner
// wait, and what it loses is counted and told.
func TestRunnerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const over = 5000
		logger, log := testkit.NewLog()
		reg := prometheus.NewRegistry()
		m := NewMetrics(reg)
		running := make(chan struct{}, 1)
		stuck := NewRunner("stuck", every, logger, m, func(ctx context.Context, _ Task) {
			running <- struct{}{}
			<-ctx.Done()
		})
		ran := 0
		other := NewRunner("other", every, logger, m, func(context.Context, Task) { ran++ })
		ctx, cancel := context.WithCancel(t.Context())
		drain := make(chan struct{})
		go stuck.Run(ctx, drain)
		go other.Run(ctx, drain)
		const events = 1 + runnerQueue + over
		for n := range events {
			stuck.Offer(Task{Event: scriptEvent(n)})
			other.Offer(Task{Event: scriptEvent(n)})
			if n == 0 {
				<-running
			}
			if n%1000 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if got := testkit.Counter(t, reg, "agentctl_events_dropped_total", "handler_full"); got != over {
			t.Errorf("counted %v, want %d", got, over)
		}
		if n := log.Count("level=ERROR", "handler=stuck", "events are lost to it"); n != 13 {
			t.Errorf("%d lines tell of %d lost events, want 13", n, over)
		}
		if ran != events {
			t.Errorf("the other one ran %d times, want %d", ran, events)
		}
		close(drain)
		synctest.Wait()
		select {
		case <-stuck.done:
			t.Error("ended although it runs")
		default:
		}
		cancel()
		stuck.Idle(context.Background())
		if got := testkit.Counter(t, reg, "agentctl_events_dropped_total", "handler_stopped"); got != runnerQueue {
			t.Errorf("counted %v left at the end, want %d", got, runnerQueue)
		}
		if n := log.Count("level=ERROR", "were not handled before the end", fmt.Sprint("waiting=", runnerQueue)); n != 1 {
			t.Errorf("%d lines tell what is left, want 1", n)
		}
	})
}

func TestRunnerDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := testkit.NewLog()
		step := make(chan struct{})
		ran := 0
		r := NewRunner("r", every, logger, nil, func(context.Context, Task) {
			<-step
			ran++
		})
		drain := make(chan struct{})
		go r.Run(t.Context(), drain)
		for n := range 3 {
			r.Offer(Task{Event: scriptEvent(n)})
		}
		close(drain)
		for want := range 3 {
			synctest.Wait()
			if ran != want {
				t.Errorf("ran %d times, want %d", ran, want)
			}
			step <- struct{}{}
		}
		<-r.done
		if ran != 3 || log.String() != "" {
			t.Errorf("ran %d times, want 3; log %q", ran, log)
		}
		bound, cancel := context.WithCancel(t.Context())
		cancel()
		NewRunner("never run", every, logger, nil, nil).Idle(bound) // ends with its context
	})
}

func scriptEvent(n int) serf.UserEvent {
	return serf.UserEvent{LTime: serf.LamportTime(n), Name: fmt.Sprintf("e%d", n), Payload: []byte{byte(n)}}
}

// mebibyte is an event with a payload of 1 MiB.
func mebibyte(n int) serf.UserEvent {
	u := scriptEvent(n)
	u.Payload = make([]byte, 1<<20)
	return u
}

func TestRunnerOfManyBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		reg := prometheus.NewRegistry()
		hang, ran := make(chan struct{}), 0
		r := NewRunner("r", every, logger, NewMetrics(reg), func(context.Context, Task) {
			<-hang
			ran++
		})
		drain := make(chan struct{})
		go r.Run(t.Context(), drain)
		const fit = runnerBytes>>20 - 1 // names take some, too
		for n := range 1 + fit + 3 {
			r.Offer(Task{Event: mebibyte(n)})
			synctest.Wait()
		}
		r.Offer(Task{Event: serf.MemberEvent{}}) // takes no room
		if got := testkit.Counter(t, reg, "agentctl_events_dropped_total", "handler_full"); got != 3 {
			t.Errorf("%v are lost, want 3", got)
		}
		close(hang)
		synctest.Wait()
		r.Offer(Task{Event: mebibyte(0)})
		close(drain)
		<-r.done
		if ran != 1+fit+1+1 || r.queue.Bytes() != 0 {
			t.Errorf("ran %d times, want %d, and %d bytes are said to wait", ran, fit+3, r.queue.Bytes())
		}
	})
}
