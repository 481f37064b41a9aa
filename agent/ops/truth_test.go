package ops

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/api"
	"agentctl/handler"
	"agentctl/handler/delivery"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/disks"
	"agentctl/scripts/testkit/memory"
)

// fate is what a node says of an event at one target, and of itself.
func (r *rig) fate(id, target string) (api.OutcomeReport, api.NodeReport) {
	a := newHistory(r.journal, r.ops.cfg.Targets).outcomes(id)
	var n api.NodeReport
	judge(&n, a)
	return a.Targets[target], n
}

// wantFate compares what a node says, with a part of the reason.
func (r *rig) wantFate(t *testing.T, what, id, target string, state api.OutcomeState, node api.NodeState, stuck bool, reason string) {
	t.Helper()
	synctest.Wait()
	o, n := r.fate(id, target)
	if o.State != state || n.State != node || n.Stuck != stuck || !strings.Contains(o.Reason, reason) || (reason == "") != (o.Reason == "") {
		t.Errorf("%s: %+v of a node that is %s, stuck %v; want %s, %s, %v, %q", what, o, n.State, n.Stuck, state, node, stuck, reason)
	}
	known := map[string]api.NodeReport{"self": n}
	if got, want := newNodesReport(id, known).Open, mayChange(node) && !stuck; got != want {
		t.Errorf("%s: open %v, want %v", what, got, want)
	}
}

// replayed asks for a change of a target.
func (r *rig) replayed(t *testing.T, request string) {
	t.Helper()
	if status, text := r.ask(t, "POST", "/v1/replay", request, new(api.ReplayReport)); status != http.StatusOK && status != http.StatusAccepted {
		t.Fatalf("%s: %d %s", request, status, text)
	}
}

// fill appends events of which the first few are given up, and returns the ID of one.
func (r *rig) fill(t *testing.T, n int, from uint64) (lost string) {
	t.Helper()
	var events []handler.Event
	for i := range n {
		events = append(events, handler.NewUser(from+uint64(i), "e", []byte(fmt.Sprint(i)), time.Now()))
	}
	r.append(t, events...)
	return events[1].ID // the first may be on its way
}

func userTarget(name, url string, flush *target.FlushRequest) target.Target {
	return target.Target{Name: name, URL: url, Filters: []handler.Filter{{Type: handler.User}}, Flush: flush}
}

// A flush that began before a loss makes nothing good that was lost during it, and an
// operator who accepts a gap flushes nothing.
func TestAFlushOfBeforeALossIsNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		var down, flushes atomic.Bool
		flushes.Store(true)
		gw := memory.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/flush" && flushes.Load():
				<-release // it takes its time
			case down.Load() || r.URL.Path == "/flush":
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		r := newRig(t, journal.Config{MaxPending: 2}, userTarget("t", gw.URL, &target.FlushRequest{URL: gw.URL + "/flush"}))
		r.replayed(t, `{"target":"t","flush":true}`)
		synctest.Wait() // the flush is under way
		time.Sleep(time.Second)
		id := r.fill(t, 5, 1)
		r.wantFate(t, "it is being flushed", id, "t", api.OutcomeLost, api.NodeLost, false, "")
		flushes.Store(false)
		close(release)
		time.Sleep(time.Second)
		r.wantFate(t, "the flush began before the loss", id, "t", api.OutcomeLost, api.NodeLost, false, "")
		r.replayed(t, `{"target":"t","accept_gap":true}`)
		r.wantFate(t, "the gap is accepted", id, "t", api.OutcomeLost, api.NodeLost, true, acceptedOnly)
		flushes.Store(true) // and the next does not take its time
		r.replayed(t, `{"target":"t","flush":true}`)
		time.Sleep(time.Minute)
		r.wantFate(t, "it was flushed after", id, "t", api.OutcomeFlushed, api.NodeApplied, false, "")
	})
}

// A stale target does not change by itself.
func TestAStaleTargetIsStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		gw.Down.Store(true)
		r := newRig(t, journal.Config{MaxPending: 2}, userTarget("t", gw.URL, nil))
		id := r.fill(t, 5, 1)
		r.wantFate(t, "it has no flush", id, "t", api.OutcomeLost, api.NodeLost, true, staleUntil)
		gw.Down.Store(false)
		r.settled(t)
		r.wantFate(t, "it takes events", id, "t", api.OutcomeLost, api.NodeLost, true, staleUntil)
	})
}

// An event that waits for a target which nobody serves is not tried.
func TestWhatNobodyServesIsStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		gw.Down.Store(true)
		r := newRig(t, journal.Config{}, userTarget("gone", gw.URL, nil), userTarget("here", gw.URL, nil))
		e := handler.NewUser(1, "e", nil, time.Now())
		r.append(t, e)
		synctest.Wait()
		all := r.targets
		r.targets = all[1:]
		r.wantFate(t, "one is tried", e.ID, "gone", api.OutcomeWaiting, api.NodeWaiting, false, notServed)
		gw.Down.Store(false)
		r.settled(t)
		r.targets = nil
		gw.Down.Store(true)
		next := handler.NewUser(2, "e", nil, time.Now())
		r.append(t, next)
		r.wantFate(t, "none is tried", next.ID, "gone", api.OutcomeWaiting, api.NodeWaiting, true, notServed)
		r.targets = all
	})
}

// Where the flush is the last event once more, a target that refuses that event has not
// been flushed.
func TestALastEventThatIsRefusedIsNoFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var status atomic.Int32
		status.Store(http.StatusServiceUnavailable)
		gw := memory.Serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(int(status.Load())) })
		r := newRig(t, journal.Config{MaxPending: 2}, userTarget("t", gw.URL, &target.FlushRequest{LastEvent: true}))
		id := r.fill(t, 5, 1)
		time.Sleep(time.Second)
		r.wantFate(t, "it is down", id, "t", api.OutcomeLost, api.NodeLost, false, "503")
		status.Store(http.StatusBadRequest)
		r.settled(t)
		time.Sleep(time.Second)
		r.wantFate(t, "it refused what stands for all", id, "t", api.OutcomeLost, api.NodeLost, true, "400")
		r.replayed(t, `{"target":"t","buried":true}`)
		time.Sleep(time.Second)
		r.wantFate(t, "it refuses them again", id, "t", api.OutcomeLost, api.NodeLost, true, "400")
		status.Store(http.StatusOK)
		r.append(t, handler.NewUser(9, "e", nil, time.Now()))
		r.settled(t)
		r.wantFate(t, "it took another", id, "t", api.OutcomeFlushed, api.NodeApplied, false, "")
	})
}

// After a restart nobody knows whether an earlier process flushed the target, or an
// operator accepted what it lacked.
func TestALossOfAnEarlierProcessIsNotSaidToBeFlushed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := disk.Config{Dir: t.TempDir(), Limits: journal.Config{MaxPending: 2}, NoSync: true}
		gw := memory.NewGateway(t)
		serve := func(j *journal.Journal) (r *rig, stop func()) {
			d, err := delivery.New(delivery.Config{Target: userTarget("t", gw.URL, nil), Journal: j, Dial: memory.Network(t).Dial})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- d.Run(ctx) }()
			of := userTarget("t", gw.URL, nil)
			r = &rig{journal: j, targets: []Target{{&of, d}}}
			c := testConfig(j)
			c.Targets = func() []Target { return r.targets }
			r.ops = New(nil, c)
			return r, func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		first := disks.Open(t, cfg)
		r, stop := serve(first.Journal)
		gw.Down.Store(true)
		id := r.fill(t, 5, 1)
		synctest.Wait()
		if err := r.targets[0].Delivery.AcceptGap(); err != nil {
			t.Fatal(err)
		}
		r.wantFate(t, "it is accepted", id, "t", api.OutcomeLost, api.NodeLost, true, acceptedOnly)
		stop()
		testkit.MustClose(t, first)

		second := disks.Open(t, cfg)
		r, stop = serve(second.Journal)
		r.wantFate(t, "in the next process", id, "t", api.OutcomeLost, api.NodeLost, true, acceptedOnly)
		stop()
		testkit.MustClose(t, second)
	})
}
