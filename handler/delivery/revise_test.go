package delivery

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func member(id, lines string) handler.Event {
	return handler.NewMember(handler.MemberJoin, id, []byte(lines), time.Time{})
}

func TestRevise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, posted []string
		r := start(t, Config{Revise: func(_ context.Context, e handler.Event) (handler.Event, bool) {
			asked = append(asked, e.ID)
			return member("other", strings.ToUpper(string(e.Payload))), e.ID != "gone"
		}}, journal.Config{}, func(_ context.Context, e *handler.Event, attempt int) error {
			posted = append(posted, e.ID+" "+string(e.Body()))
			if attempt == 1 {
				return refused
			}
			return nil
		})
		journals.MustAppend(t, r.journal, member("stays", "a"), member("gone", "b"), handler.NewUser(1, "kong", []byte("c"), time.Time{}))
		r.idle(t)
		testkit.Want(t, "asked once each", asked, []string{"stays", "gone"})
		revised := `stays {"type":"member-join","entity":"A"}`
		testkit.Want(t, "posted", posted[:2], []string{revised, revised})
		testkit.Want(t, "attempts", len(posted), 4)
		s := r.Status()
		testkit.Want(t, "delivered, outdated, waiting", []int{int(s.Delivered), int(s.Outdated), s.Waiting}, []int{2, 1, 0})
		testkit.Want(t, "outcome", r.journal.Outcome(r.cfg.Target.Name, 2).State, journal.OutcomeOutdated)
		for rec := range r.journal.Events(1) {
			if rec.Event.ID == "stays" {
				testkit.Want(t, "what the journal holds", string(rec.Event.Payload), "a")
			}
		}
	})
}

// An answer that comes because the delivery ends is none: the event waits.
func TestReviseCutOff(t *testing.T) {
	for _, finish := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, Config{Revise: func(ctx context.Context, e handler.Event) (handler.Event, bool) {
				<-ctx.Done()
				return handler.Event{}, false
			}}, journal.Config{}, nil)
			journals.MustAppend(t, r.journal, member("1", "a"))
			synctest.Wait()
			if finish {
				r.Finish()
				testkit.Want(t, "error", r.wait(), nil)
			} else {
				testkit.Want(t, "error", r.stop(), nil)
			}
			s := r.Status()
			testkit.Want(t, "attempts, outdated, waiting", []int{len(r.poster.attempts()), int(s.Outdated), s.Waiting}, []int{0, 0, 1})
		})
	}
}
