package ops

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentctl/agent/api"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// A change of members that is not true any more is not posted, and not told to
// be delivered. Who names it has it posted.
func TestReplayOfOutdatedEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		r := newRig(t, journal.Config{}, target.Target{Name: "t", URL: gw.URL})
		r.append(t, handler.NewMember(handler.MemberFailed, "old-1", []byte("n\t127.0.0.1\t\t\n"), time.Time{}))
		r.settled(t)
		var page api.EventPage
		r.ask(t, "GET", "/v1/events?state=outdated", "", &page)
		if len(page.Events) != 1 || page.Events[0].Targets["t"].State != api.OutcomeOutdated {
			t.Errorf("listed: %+v", page)
		}
		if got := r.replay(t, `{"target":"t","since":"1h"}`); got.Outdated != 1 || got.Delivered != 0 {
			t.Errorf("since: %+v", got)
		}
		if n := gw.Attempts(); n != 0 {
			t.Errorf("%d posts of what is outdated", n)
		}
		if got := r.replay(t, `{"target":"t","ids":["old-1"]}`); got.Delivered != 1 || gw.Attempts() != 1 {
			t.Errorf("by ID: %+v", got)
		}
	})
}

// What the history lets go of before anybody asks is not told to be lost.
func TestReplayOfWhatIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		r := newRig(t, journal.Config{MaxEvents: 2}, target.Target{Name: "t", URL: gw.URL})
		add := func(ltime uint64) {
			r.append(t, userEvent(ltime, "n"))
			r.settled(t)
		}
		add(1)
		add(2)
		var report api.ReplayReport
		r.ask(t, "POST", "/v1/replay", `{"target":"t","since":"1h"}`, &report)
		r.settled(t)
		add(3)
		r.ask(t, "GET", fmt.Sprintf("/v1/replay/%d", report.ID), "", &report)
		if report.Unknown != 1 || report.Delivered != 1 || report.Lost != 0 || report.Waiting != 0 {
			t.Errorf("%+v", report)
		}
	})
}

// An operator asks for a flush, or says that the gateway is fresh.
func TestGapsAreSeenTo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		r := newRig(t, journal.Config{},
			target.Target{Name: "flushes", URL: gw.URL, Flush: &target.FlushRequest{Body: "all"}},
			target.Target{Name: "cannot", URL: gw.URL})
		d := r.targets[0].Delivery
		var report api.ReplayReport
		if status, text := r.ask(t, "POST", "/v1/replay", `{"target":"flushes","flush":true}`, &report); status != http.StatusAccepted {
			t.Fatal(status, text)
		}
		testkit.WaitFor(t, "the flush", func() bool { return d.Status().Flushes == 1 && d.Status().State == delivery.StateOK })
		if err := r.journal.Gap(1, "test"); err != nil {
			t.Fatal(err)
		}
		cannot := r.targets[1].Delivery
		since := cannot.Status().GapSince
		for _, want := range []time.Time{since, {}} {
			report = api.ReplayReport{}
			if status, text := r.ask(t, "POST", "/v1/replay", `{"target":"cannot","accept_gap":true}`, &report); status != http.StatusOK {
				t.Fatal(status, text)
			}
			if !report.GapSince.Equal(want) || cannot.Status().State != delivery.StateOK {
				t.Errorf("%+v, want a gap since %v; the target is %s", report, want, cannot.Status().State)
			}
		}
	})
}

// A target that asked for a long wait is tried at once, as an operator wants it. The
// status says how long the wait is, and why.
func TestReplayNow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		busy := true // only requests of this test read it
		gw := memory.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if busy {
				w.Header().Set("Retry-After", "100000")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		r := newRig(t, journal.Config{}, target.Target{Name: "t", URL: gw.URL})
		var report api.ReplayReport
		if status, text := r.ask(t, "POST", "/v1/replay", `{"target":"t","now":true}`, &report); status != http.StatusAccepted || report.Waiting != 0 {
			t.Errorf("with nothing that waits: %d %s", status, text)
		}
		began := time.Now()
		r.append(t, userEvent(1, "n"), userEvent(2, "n"))
		time.Sleep(time.Minute)
		var s api.StatusReport
		r.ask(t, "GET", "/v1/status", "", &s)
		got := s.Targets[0]
		if wait := got.NextAttempt.Sub(began); got.NextWhy != api.WhyRetryAfter || wait < 299*time.Second || wait > 301*time.Second {
			t.Errorf("the next attempt is due after %v, %q; want 5m, the most that a target may ask for", wait, got.NextWhy)
		}
		busy = false
		if status, text := r.ask(t, "POST", "/v1/replay", `{"target":"t","now":true}`, &report); status != http.StatusAccepted || report.Waiting != 2 {
			t.Errorf("%d %s", status, text)
		}
		r.settled(t)
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("it was taken after %v", took)
		}
	})
}

// A target that is being reloaded takes nothing for a moment.
func TestReplayWhileTheTargetStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		r := newRig(t, journal.Config{}, target.Target{Name: "t", URL: gw.URL})
		r.append(t, userEvent(1, "n"))
		r.settled(t)
		d := r.targets[0].Delivery
		d.Finish()
		testkit.WaitFor(t, "the end", func() bool { return errors.Is(d.Requeue(1), journal.ErrClosed) })
		status, text := r.ask(t, "POST", "/v1/replay", `{"target":"t","since":"1h"}`, nil)
		if status != http.StatusServiceUnavailable || !strings.Contains(text, "being reloaded, or the agent ends: try again") {
			t.Errorf("%d %s", status, text)
		}
	})
}
