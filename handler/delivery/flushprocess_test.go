package delivery

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/backoff"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/disks"
	"agentctl/scripts/testkit/journals"
)

func TestFlushOfNobody(t *testing.T) {
	target := target.Target{Name: "gw", URL: "http://127.0.0.1/", Flush: &target.FlushRequest{SelfJoin: true}}
	if _, err := newDelivery(Config{Target: target, Journal: journal.New(journal.Config{})}, &fakePoster{}); err == nil || !strings.Contains(err.Error(), "gw") {
		t.Errorf("a member-join of nobody: %v", err)
	}
}

// The member-join is that of the node as it is then.
func TestFlushBySelfJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		role := "a"
		var bodies []string
		r := start(t, Config{
			Target: target.Target{Flush: &target.FlushRequest{SelfJoin: true}},
			Self:   func() []byte { return handler.MemberLine("n1", "10.0.0.1", role, map[string]string{"k": "v"}) },
		}, journal.Config{}, func(_ context.Context, e *handler.Event, _ int) error {
			bodies = append(bodies, string(e.Payload))
			return nil
		})
		for _, role = range []string{"a", "b"} {
			journals.MustGap(t, r.journal, 1, "")
			r.idle(t)
			time.Sleep(time.Hour)
		}
		testkit.Want(t, "bodies", bodies, []string{
			`{"type":"member-join","entity":"n1\t10.0.0.1\ta\tk=v"}`, `{"type":"member-join","entity":"n1\t10.0.0.1\tb\tk=v"}`,
		})
	})
}

// A flush that is under way at Finish comes to its end; one that is cancelled,
// or whose end is not in the file, is made again by the next process, and one
// whose end is there is not.
func TestFlushAcrossProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "journal.db")
		d := disks.Open(t, disk.Config{Dir: dir, NoSync: true})
		var p *fakePoster
		process := func(end func(*Delivery, context.CancelFunc)) Status {
			p = &fakePoster{answer: func(ctx context.Context, _ *handler.Event, _ int) error { return backoff.Sleep(ctx, time.Second) }}
			target := flushed(1)
			target.URL = "http://h/"
			delivery, err := newDelivery(Config{Target: target, Journal: d.Journal}, p)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- delivery.Run(ctx) }()
			end(delivery, cancel)
			if err := <-done; err != nil {
				t.Error(err)
			}
			return delivery.Status()
		}
		next := func(file []byte) {
			testkit.MustClose(t, d)
			if file != nil {
				if err := os.WriteFile(path, file, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d = disks.Open(t, disk.Config{Dir: dir, NoSync: true})
		}
		process(func(delivery *Delivery, cancel context.CancelFunc) {
			journals.MustGap(t, d.Journal, 3, "it was lost")
			testkit.MustSync(t, d)
			time.Sleep(time.Second / 2)
			cancel()
		})
		testkit.Want(t, "cancelled", p.attempts(), []string{flushID})
		next(nil)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time without what the first wrote
			s := process(func(delivery *Delivery, _ context.CancelFunc) {
				time.Sleep(time.Second / 2)
				if s := delivery.Status(); s.State != StateFlushing || s.GapReason != "it was lost" || s.Lost != 3 {
					t.Errorf("in the next process: %+v", s)
				}
				delivery.Finish()
			})
			testkit.Want(t, "at Finish", p.attempts(), []string{flushID})
			if s.State != StateOK || s.Flushes != 1 {
				t.Errorf("%+v", s)
			}
			next(before)
			before = nil
		}
		s := process(func(delivery *Delivery, cancel context.CancelFunc) {
			time.Sleep(time.Hour)
			cancel()
		})
		if s.State != StateOK || s.Lost != 3 || len(p.attempts()) != 0 {
			t.Errorf("after a flush that is in the file: %+v", s)
		}
	})
}
