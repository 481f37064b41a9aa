package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/handler/text"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

func TestDeliveryBuries(t *testing.T) {
	const maxBuried = 100
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Target: target.Target{Name: "gw"}}, journal.Config{MaxBuried: maxBuried}, func(_ context.Context, e *handler.Event, _ int) error {
			if e.LTime == 0 {
				return nil
			}
			return &target.PostError{Class: target.Bury, Status: 400, Body: []byte("no\x1b[2J\r\n" + strings.Repeat("x", 4000))}
		})
		e := journals.User(1, "na\nme")
		journals.MustAppend(t, r.journal, e, journals.User(0, ""))
		r.idle(t)
		lines := r.log.With(t, "")
		if len(lines) != 2 || lines[1]["msg"] != wellAgain {
			t.Fatalf("want a line of the refusal, and one that it is over: %v", lines)
		}
		line := lines[0]
		if line["event"] != e.ID || line["target"] != "gw" || line["status"] != 400.0 || line["name"] != `na\nme` || line["level"] != "ERROR" {
			t.Errorf("%v", line)
		}
		if answer := line["answer"].(string); !strings.HasPrefix(answer, `no\x1b[2J\r\nxx`) || len(answer) > 2*text.ExcerptSize {
			t.Errorf("answer %q", answer)
		}
		buried := r.Buried()
		if len(buried) != 1 || buried[0].Event.ID != e.ID || buried[0].Seq != 1 || buried[0].Status != 400 ||
			!strings.HasPrefix(buried[0].Reason, `answered 400 Bad Request: no\x1b`) || buried[0].Time.IsZero() ||
			!strings.HasPrefix(string(buried[0].Answer), "no\x1b[2J") {
			t.Errorf("%+v", buried)
		}
		s := r.Status()
		if s.State != StateOK || s.Buried != 1 || s.Delivered != 1 || !strings.Contains(s.LastError, "400") || s.LastErrorTime.IsZero() {
			t.Errorf("%+v", s)
		}

		for i := range uint64(maxBuried + 5) {
			journals.MustAppend(t, r.journal, journals.User(10+i, ""))
		}
		r.idle(t)
		buried = r.Buried()
		testkit.Want(t, "kept", []uint64{uint64(len(buried)), buried[0].Event.LTime, buried[maxBuried-1].Event.LTime}, []uint64{maxBuried, 15, 114})

		testkit.Want(t, "state", r.Status().State, StateRefusing)

		// A flood of them is told at doubling numbers.
		var told []float64
		for _, line := range r.log.With(t, "buried, not tried again") {
			told = append(told, line["buried_so_far"].(float64))
		}
		testkit.Want(t, "told", told, []float64{1, 2, 4, 8, 16, 32, 64})
	})
}

func TestDeliveryLogsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		up := began.Add(time.Hour)
		r := start(t, Config{Target: target.Target{URL: "http://u:s3cret@127.0.0.1:1/"}}, journal.Config{},
			func(context.Context, *handler.Event, int) error {
				if time.Now().Before(up) {
					return refused
				}
				return nil
			})
		journals.MustAppend(t, r.journal, journals.User(1, ""), journals.User(2, ""))
		synctest.Wait()
		s := r.Status()
		if s.State != StateRetrying || !s.Since.Equal(began) || s.LastError != "connection refused" || s.Attempts != 1 || s.Waiting != 2 || !s.OldestWaiting.Equal(began) {
			t.Errorf("%+v", s)
		}
		first := r.log.With(t, "target fails")
		if len(first) != 1 || first[0]["err"] != "connection refused" || first[0]["waiting"] != 2.0 || first[0]["attempts"] != 1.0 {
			t.Errorf("%v", first)
		}
		r.idle(t)

		attempts := len(r.poster.attempts()) - 2 // those that failed
		still := r.log.With(t, "still fails")
		for i, line := range still {
			if at := time.Duration(line["failing_for"].(float64)); line["level"] != "WARN" || at < outageQuiet {
				t.Errorf("line %d is of level %v after %v", i, line["level"], at)
			}
		}
		// An hour of attempts some 15 s apart: about a line a minute.
		if len(still) < 20 || len(still) > 75 || attempts < 3*len(still) {
			t.Errorf("%d lines for %d attempts", len(still), attempts)
		}
		well := r.log.With(t, "well again")
		if len(well) != 1 || well[0]["attempts"] != float64(attempts) || time.Duration(well[0]["failed_for"].(float64)) < time.Hour {
			t.Errorf("%v", well)
		}
		s = r.Status()
		if s.State != StateOK || s.Since.Before(up) || s.Retried != uint64(attempts) || s.Attempts != 0 || s.LastDelivered.Before(up) {
			t.Errorf("%+v", s)
		}
		if text := fmt.Sprintf("%s%+v", r.log.String(), s); strings.Contains(text, "s3cret") || strings.Contains(text, "u:") {
			t.Error("the log or status shows the password")
		}
	})
}

// There is a debug line for each delivery, and it must cost nothing while nobody
// wants it.
func TestDeliveryAllocatesNothingForALineThatNobodyWants(t *testing.T) {
	r := start(t, Config{}, journal.Config{}, nil) // its log is at INFO
	e := handler.NewUser(1, testkit.Strange, payload300, time.Now())
	if n := testing.AllocsPerRun(100, func() { r.logTaken(&e, 200, 1, time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if lines := r.log.Lines(t); len(lines) > 0 {
		t.Errorf("%v", lines)
	}
}

// The line has the beginning of a payload, however large that is.
func TestALineHasAnExcerptOfThePayload(t *testing.T) {
	r := start(t, Config{}, journal.Config{}, nil)
	lines := &testkit.LogBuffer{}
	r.Delivery.log = slog.New(slog.NewJSONHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e := handler.NewUser(1, "kong", []byte("begin"+strings.Repeat("x", 1<<20)), time.Now())
	r.logTaken(&e, 200, 1, time.Second)
	line := lines.Lines(t)[0]
	if payload := line["payload"].(string); !strings.HasPrefix(payload, "begin") || len(payload) > 2*text.ExcerptSize || line["size"] != 1048581.0 {
		t.Errorf("%v bytes, of which the line has %d", line["size"], len(payload))
	}
}
