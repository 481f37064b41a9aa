package delivery

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// onLine is a log that hands each of its lines on at once, in the goroutine that says it.
type onLine func(msg string)

func (onLine) Enabled(context.Context, slog.Level) bool { return true }

func (f onLine) Handle(_ context.Context, r slog.Record) error {
	f(r.Message)
	return nil
}

func (f onLine) WithAttrs([]slog.Attr) slog.Handler { return f }

func (f onLine) WithGroup(string) slog.Handler { return f }

// watched is a Delivery that runs in a bubble, and hands on the lines of its log.
func watched(t *testing.T, cfg Config, p *fakePoster, line func(d *Delivery, msg string)) (*Delivery, *journal.Journal) {
	t.Helper()
	j := journal.New(journal.Config{MaxPending: 2})
	cfg.Journal = j
	var d *Delivery
	cfg.Logger = slog.New(onLine(func(msg string) { line(d, msg) }))
	d, err := newDelivery(cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return d, j
}

// Each line about a target is true when it is said: whoever reads it and asks for the
// status gets the same answer.
func TestALineIsTrueWhenItIsSaid(t *testing.T) {
	want := map[string]State{
		"target fails: ":                              StateRetrying,
		"target refused an event for good":            StateRefusing,
		"this target lacks events":                    StateFlushing,
		"target fails its flush":                      StateFlushing,
		"target was flushed":                          StateOK,
		"target refused its flush":                    StateStale,
		takesNotWell:                                  StateStale,
		wellAgain:                                     StateOK,
		"an operator accepted what this target lacks": StateOK,
	}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		said := map[string]int{}
		var answer error
		p := &fakePoster{answer: func(context.Context, *handler.Event, int) error {
			mu.Lock()
			defer mu.Unlock()
			return answer
		}}
		set := func(err error) {
			mu.Lock()
			answer = err
			mu.Unlock()
		}
		cfg := Config{Target: target.Target{Name: "t", URL: "http://h/", Flush: &target.FlushRequest{Body: "all"}}}
		d, j := watched(t, cfg, p, func(d *Delivery, msg string) {
			for phrase, state := range want {
				if strings.HasPrefix(msg, phrase) {
					testkit.Want(t, "state at the line "+phrase, d.Status().State, state)
					mu.Lock()
					said[phrase]++
					mu.Unlock()
				}
			}
		})
		seq := uint64(0)
		event := func() {
			seq++
			journals.MustAppend(t, j, journals.User(seq, ""))
			synctest.Wait()
		}
		no := &target.PostError{Class: target.Bury, Status: 400}
		set(refused)
		event()
		set(no)
		time.Sleep(time.Minute)
		set(nil)
		event() // it is well again
		set(refused)
		journals.MustGap(t, j, 1, "it was away")
		time.Sleep(time.Minute)
		set(nil)
		time.Sleep(time.Minute) // it is flushed
		set(no)
		event()
		journals.MustGap(t, j, 1, "it was away")
		time.Sleep(time.Minute) // it refuses its flush
		set(nil)
		event() // it takes events, and lacks some
		if err := d.AcceptGap(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for phrase := range want {
			if said[phrase] == 0 {
				t.Errorf("no line says %q", phrase)
			}
		}
	})
}

// A target is not well that takes an event while it fails another.
func TestATargetThatFailsAnotherIsNotWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: several(2)}, journal.Config{}, func(_ context.Context, e *handler.Event, attempt int) error {
			switch {
			case e.LTime == 1 && attempt < 10: // for minutes
				return refused
			case e.LTime == 2:
				return &target.PostError{Class: target.Bury, Status: 400}
			}
			return nil
		})
		appendKeyed(t, r, "a", "b", "c")
		testkit.Want(t, "lines that it takes events", len(r.log.With(t, takesNotWell)), 1)
		testkit.Want(t, "lines that it is well", len(r.log.With(t, wellAgain)), 0)
		r.idle(t)
		testkit.Want(t, "lines that it is well, once it is", len(r.log.With(t, wellAgain)), 1)
	})
}

// From the first failure until it takes something a target is never ok, at no moment.
func TestNoMomentOfOK(t *testing.T) {
	no := &target.PostError{Class: target.Bury, Status: 400}
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			d, j := watched(t, Config{Target: target.Target{Name: "t", URL: "http://h/"}}, &fakePoster{answer: func(_ context.Context, _ *handler.Event, attempt int) error {
				if attempt == 1 {
					return refused
				}
				return no
			}}, func(*Delivery, string) {})
			journals.MustAppend(t, j, journals.User(1, ""))
			synctest.Wait()
			testkit.Want(t, "state", d.Status().State, StateRetrying)
			d.RetryNow() // the bubble's clock stands still while this goroutine looks
			for s := StateRetrying; s != StateRefusing; {
				if s = d.Status().State; s == StateOK {
					t.Fatal("it was ok between a failure and a refusal")
				}
			}
		})
	}
}

// While buried events wait once more, a target that refused them is refusing still: it has
// taken nothing. Dismissed burials count no more.
func TestRefusingWhileTheBuriedWaitAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{}, journal.Config{}, func(_ context.Context, _ *handler.Event, attempt int) error {
			if attempt == 1 {
				return &target.PostError{Class: target.Bury, Status: 400}
			}
			time.Sleep(time.Second)
			return nil
		})
		state := func(what string, want State) {
			t.Helper()
			synctest.Wait()
			testkit.Want(t, what, r.Status().State, want)
		}
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		state("it refuses", StateRefusing)
		if err := r.Requeue(1); err != nil {
			t.Fatal(err)
		}
		state("the buried event waits again", StateRefusing)
		r.idle(t)
		state("it took the event", StateOK)
		journals.MustAppend(t, r.journal, journals.User(2, ""))
		state("it refuses another", StateRefusing)
		if err := r.Dismiss(2); err != nil {
			t.Fatal(err)
		}
		state("nobody wants it", StateOK)
		r.poster.answer = func(context.Context, *handler.Event, int) error {
			time.Sleep(time.Second)
			return nil
		}
		journals.MustAppend(t, r.journal, journals.User(3, ""))
		state("another is on its way", StateOK)
	})
}
