package intake

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
)

// An event that comes by several ways, in one batch or in several, is one
// event: for the journal, scripts and streams.
func TestCopiesAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		reg := prometheus.NewRegistry()
		j := journal.New(journal.Config{})
		var seen, ran []string
		r := script.NewRunner("r", handler.Filters{{Type: "user"}}, logger, nil, func(_ context.Context, t script.Task) {
			ran = append(ran, t.Event.String())
		})
		drain := make(chan struct{})
		go r.Run(t.Context(), drain)
		in := New(Config{Journal: j, Runners: []*script.Runner{r}, Fail: noFailure(t), Logger: logger, Metrics: reg})
		in.Subscribe(func(e serf.Event) { seen = append(seen, e.String()) })
		end := runIntake(t, in)
		take := func(n int, w Way) {
			if err := in.Take(t.Context(), w, user(n, false)); err != nil {
				t.Error(err)
			}
		}
		take(1, Local) // one batch
		gossiped(in, user(1, false))
		take(1, Link)
		synctest.Wait()
		take(1, Link) // later ones
		synctest.Wait()
		gossiped(in, user(2, false))
		synctest.Wait()
		take(2, Link)
		take(2, Link)
		take(3, Link)
		synctest.Wait()
		gossiped(in, user(3, false))
		in.ch <- &serf.Query{Name: "q"}
		in.ch <- &serf.Query{Name: "q"} // no copy: queries are told apart by serf
		synctest.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		close(drain)
		r.Idle(t.Context())
		if len(seen) != 5 || len(ran) != 3 || j.Head() != 3 {
			t.Errorf("a stream has %v, a script %v, the journal %d; want 3 events each, and the stream 2 queries", seen, ran, j.Head())
		}
		for w, want := range map[Way]struct{ first, copies int }{Local: {1, 0}, Gossip: {1, 2}, Link: {1, 4}} {
			if got := testkit.CounterWith(t, reg, "agentctl_events_received_total", map[string]string{"type": "user", "way": w.String()}); int(got) != want.first {
				t.Errorf("%v came first by %s, want %d", got, w, want.first)
			}
			if got := testkit.Counter(t, reg, "agentctl_events_copies_total", w.String()); int(got) != want.copies {
				t.Errorf("%v copies by %s, want %d", got, w, want.copies)
			}
		}
	})
}

// A full sync brings what the journal had and has forgotten, time and again: that is
// left out. By itself nobody sends what is so old.
func TestWhatIsForgottenIsLeftOutOfFullSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		j := &stubJournal{forgot: 3}
		in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger})
		end := runIntake(t, in)
		for n := range 6 {
			in.Receive(user(n, false), true)
		}
		in.Receive(user(1, false), false)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, e := range j.events {
			got = append(got, e.LTime)
		}
		if want := []uint64{3, 4, 5, 1}; !slices.Equal(got, want) {
			t.Errorf("the journal got %d, want %d", got, want)
		}
	})
}

// Who brings an event over a link or publishes it here waits while the queue is
// full, and loses nothing; or gives up when its context ends.
func TestTakeWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		hang := make(chan struct{})
		j := &stubJournal{wait: func() { <-hang }}
		reg := prometheus.NewRegistry()
		in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger, Metrics: reg})
		end := runIntake(t, in)
		ctx, cancel := context.WithCancel(t.Context())
		if err := in.Take(ctx, Link, user(0, false)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // that one is with the journal
		for n := range queueEvents {
			if err := in.Take(ctx, Link, user(1+n, false)); err != nil {
				t.Fatal(err)
			}
		}
		const waiting = 10
		var wg sync.WaitGroup
		var mu sync.Mutex
		var gaveUp, came int
		for n := range 2 * waiting {
			wg.Go(func() {
				of, late := ctx, n%2 == 0
				if late {
					of = t.Context()
				}
				err := in.Take(of, Link, user(1+queueEvents+n, false))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && late:
					came++
				case errors.Is(err, context.Canceled) && !late:
					gaveUp++
				default:
					t.Errorf("%v", err)
				}
			})
		}
		time.Sleep(time.Hour)
		mu.Lock()
		if came+gaveUp != 0 {
			t.Errorf("%d did not wait", came+gaveUp)
		}
		mu.Unlock()
		cancel()
		synctest.Wait()
		mu.Lock()
		if gaveUp != waiting || came != 0 {
			t.Errorf("%d gave up and %d did not wait, want %d and 0", gaveUp, came, waiting)
		}
		mu.Unlock()
		close(hang)
		wg.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if want := 1 + queueEvents + waiting; j.len() != want {
			t.Errorf("%d in the journal, want %d", j.len(), want)
		}
		if got := testkit.Counter(t, reg, "agentctl_events_dropped_total", "intake_full"); got != 0 || j.gap != 0 {
			t.Errorf("%v counted as lost, a gap of %d", got, j.gap)
		}
	})
}

// What serf brings meanwhile is not held up by those who wait.
func TestTakeLeavesSerfAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		hang := make(chan struct{})
		in := New(Config{Journal: &stubJournal{wait: func() { <-hang }}, Fail: noFailure(t), Logger: logger})
		end := runIntake(t, in)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for in.Take(ctx, Link, user(1, false)) == nil {
			}
		})
		synctest.Wait()
		for n := range 2 * channelEvents {
			in.ch <- user(n, false) // would end the test in a deadlock
		}
		synctest.Wait()
		if len(in.ch) > 0 {
			t.Errorf("%d events are left in serf's channel", len(in.ch))
		}
		cancel()
		close(hang)
		wg.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
	})
}

// Nobody waits for the room of an intake that takes nothing any more, and nobody's
// event is taken by it only to be lost.
func TestTakeEndsWithTheIntake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		broken, waited := errors.New("disk full"), make(chan error, 1)
		hang := make(chan struct{})
		in := New(Config{Journal: &stubJournal{err: broken, wait: func() { <-hang }}, Fail: func(error) {}, Logger: logger})
		end := runIntake(t, in)
		in.Receive(user(1, false), false)
		synctest.Wait()
		in.mu.Lock()
		in.queue.Force(arrival{settled: make(chan struct{})}, queueBytes)
		in.mu.Unlock()
		go func() { waited <- in.Take(t.Context(), Local, user(2, false)) }()
		synctest.Wait()
		close(hang)
		if err := <-waited; err != ErrStopping {
			t.Errorf("a publisher that waited for room: %v", err)
		}
		if err := end(); !errors.Is(err, broken) {
			t.Errorf("the intake: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		j := new(stubJournal)
		in := New(Config{Journal: j, Fail: noFailure(t), Logger: logger})
		end := runIntake(t, in)
		if err := in.Take(t.Context(), Local, user(1, false)); err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := in.Take(t.Context(), Local, user(2, false)); err != ErrStopping || j.len() != 1 {
			t.Errorf("after the end, with room in the queue: %v, and %d events in the journal", err, j.len())
		}
	})
}

// Each probe is answered by the loop that it is for, and not while that hangs.
func TestProbesTellOfALoopThatHangs(t *testing.T) {
	t.Parallel()
	logger, _ := testkit.NewLog()
	in := New(Config{Journal: new(stubJournal), Fail: noFailure(t), Logger: logger})
	in.Subscribe(func(serf.Event) {})
	end := runIntake(t, in)
	asked := func(probe func()) <-chan struct{} {
		done := make(chan struct{})
		go func() { defer close(done); probe() }()
		return done
	}
	hangs := func(what string, answered <-chan struct{}) {
		t.Helper()
		select {
		case <-answered:
			t.Errorf("%s: answered", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
	<-asked(in.Ping)
	<-asked(in.Pass)
	in.runnersMu.Lock()
	in.ch <- user(1, false) // dispatch waits for the lock
	<-asked(in.Ping)
	testkit.WaitFor(t, "dispatch to take the event", func() bool { return in.Waiting() == 0 })
	answered := asked(in.Pass)
	hangs("dispatch", answered)
	in.runnersMu.Unlock()
	<-answered
	in.mu.Lock()
	in.ch <- user(2, false) // drain waits for the lock
	testkit.WaitFor(t, "drain to take the event", func() bool { return len(in.ch) == 0 })
	answered = asked(in.Ping)
	hangs("drain", answered)
	in.mu.Unlock()
	<-answered
	if err := end(); err != nil {
		t.Error(err)
	}
	<-asked(in.Ping) // also once it has ended
	<-asked(in.Pass)
}
