package delivery

import (
	"context"
	"testing"
	"testing/synctest"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestDeliveryRequeue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{}, journal.Config{}, nil)
		events := []handler.Event{journals.User(1, ""), journals.User(2, ""), journals.User(3, "")}
		journals.MustAppend(t, r.journal, events...)
		r.idle(t)
		if err := r.Requeue(3, 2); err != nil {
			t.Fatal(err)
		}
		r.idle(t)
		testkit.Want(t, "posted", r.poster.attempts(), []string{events[0].ID, events[1].ID, events[2].ID, events[1].ID, events[2].ID})
	})
}

// What someone names himself is posted, true or not; once, and nothing else.
func TestRequeueAsIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Revise: func(context.Context, handler.Event) (handler.Event, bool) { return handler.Event{}, false }}, journal.Config{}, nil)
		journals.MustAppend(t, r.journal, member("1", "a"), member("2", "b"))
		r.idle(t)
		testkit.Want(t, "attempts", len(r.poster.attempts()), 0)
		if err := r.RequeueAsIs(1, 9); err == nil {
			t.Error("an event that is not held was taken")
		}
		if err := r.Requeue(1); err != nil {
			t.Fatal(err)
		}
		r.idle(t)
		testkit.Want(t, "attempts after a refusal and a usual requeue", len(r.poster.attempts()), 0)
		if err := r.RequeueAsIs(2); err != nil {
			t.Fatal(err)
		}
		r.idle(t)
		if err := r.Requeue(1, 2); err != nil {
			t.Fatal(err)
		}
		r.idle(t)
		testkit.Want(t, "attempts", len(r.poster.attempts()), 1)
		testkit.Want(t, "delivered, outdated", []uint64{r.Status().Delivered, r.Status().Outdated}, []uint64{1, 5})
	})
}
