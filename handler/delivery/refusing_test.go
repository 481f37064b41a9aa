package delivery

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// A target that answers with nothing but refusals is not ok, and is well again once it
// takes something: not when a time of failure ends in a refusal, nor when the buried
// events wait again.
func TestTargetRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answer atomic.Pointer[target.PostError]
		no := &target.PostError{Class: target.Bury, Status: 401}
		answer.Store(refused)
		r := start(t, Config{}, journal.Config{}, func(context.Context, *handler.Event, int) error {
			if err := answer.Load(); err != nil {
				return err
			}
			return nil
		})
		state := func(what string, want State) {
			t.Helper()
			testkit.Want(t, what, r.Status().State, want)
		}
		well := func(what string, n int) {
			t.Helper()
			synctest.Wait()
			testkit.Want(t, what+": lines that it is well", len(r.log.With(t, wellAgain)), n)
		}
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		synctest.Wait()
		state("it is down", StateRetrying)
		answer.Store(no)
		r.idle(t)
		state("it refuses what failed before", StateRefusing)
		well("a refusal ends the failure", 0)
		began := r.Status().Since
		time.Sleep(time.Hour)
		journals.MustAppend(t, r.journal, journals.User(2, ""))
		r.idle(t)
		state("it refuses another", StateRefusing)
		testkit.Want(t, "since the first", r.Status().Since.Equal(began), true)

		answer.Store(nil)
		if err := r.Requeue(1, 2); err != nil {
			t.Fatal(err)
		}
		r.idle(t)
		state("it took them", StateOK)
		well("it took them", 1)

		answer.Store(no)
		journals.MustAppend(t, r.journal, journals.User(3, ""))
		r.idle(t)
		answer.Store(nil)
		state("it refuses again", StateRefusing)
		journals.MustAppend(t, r.journal, journals.User(4, ""))
		r.idle(t)
		state("it took another, and one stays buried", StateOK)
		testkit.Want(t, "buried", len(r.Buried()), 1)
		well("it took another", 2)
	})
}

// What is refused and taken in turn does not fill the log.
func TestRefusalsInTurnAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{}, journal.Config{}, func(_ context.Context, e *handler.Event, _ int) error {
			if e.LTime%2 == 0 {
				return &target.PostError{Class: target.Bury, Status: 400}
			}
			return nil
		})
		for i := range uint64(200) {
			journals.MustAppend(t, r.journal, journals.User(i, ""))
		}
		r.idle(t)
		synctest.Wait()
		testkit.Want(t, "lines that it is well", len(r.log.With(t, wellAgain)), 7)
	})
}

// The next Delivery to the target knows that it refuses.
func TestRefusalOutlivesADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: target.Target{Name: "t"}}, journal.Config{}, func(context.Context, *handler.Event, int) error {
			return &target.PostError{Class: target.Bury, Status: 400}
		})
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		r.idle(t)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		next, err := newDelivery(Config{Target: target.Target{Name: "t", URL: "http://127.0.0.1:8001/"}, Journal: r.journal, Logger: r.log.Logger()}, &fakePoster{})
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "state", next.Status().State, StateRefusing)
		go next.Run(t.Context())
		journals.MustAppend(t, r.journal, journals.User(2, ""))
		if err := next.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "state once it took one", next.Status().State, StateOK)
		synctest.Wait() // the line comes behind the state
		testkit.Want(t, "lines that it is well", len(r.log.With(t, wellAgain)), 1)
	})
}
