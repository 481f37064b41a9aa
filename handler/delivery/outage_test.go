package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// levelError is what a log at Kong's level shows: when since the beginning, and what.
func levelError(t *testing.T, r *rig, began time.Time) (lines []errorLine) {
	t.Helper()
	for _, line := range r.log.With(t, "") {
		if line["level"] != "ERROR" {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, line["time"].(string))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, errorLine{at.Sub(began).Round(time.Second), line["msg"].(string)})
	}
	return lines
}

type errorLine struct {
	at  time.Duration
	msg string
}

// TestAnOutageIsToldAtLevelError has a gateway fail in all ways, for a day: the log at
// level ERROR says so after 30 s, then seldom, and when it is over.
func TestAnOutageIsToldAtLevelError(t *testing.T) {
	const day = 24 * time.Hour
	for name, fails := range map[string]func(ctx context.Context) error{
		"refuses": func(context.Context) error { return refused },
		"hangs": func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			<-ctx.Done()
			return &target.PostError{Class: target.Retry, Err: errors.New("timeout")}
		},
		"asks for an hour": func(context.Context) error {
			return &target.PostError{Class: target.Retry, Status: 503, RetryAfter: time.Hour}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			r := start(t, Config{}, journal.Config{}, func(ctx context.Context, _ *handler.Event, _ int) error {
				if time.Since(began) < day {
					return fails(ctx)
				}
				return nil
			})
			journals.MustAppend(t, r.journal, journals.User(1, ""), journals.User(2, ""))
			r.idle(t)
			lines := levelError(t, r, began)
			// After 30 s, 5 min and 50 min, then each hour, and the end.
			if len(lines) < 26 || len(lines) > 29 {
				t.Fatalf("%s: %d lines in a day: %v", name, len(lines), lines)
			}
			begin := time.Duration(0)
			if name == "hangs" {
				begin = 5 * time.Second // the first failure
			}
			for i, at := range []time.Duration{30 * time.Second, 300 * time.Second, 3000 * time.Second, 3000*time.Second + time.Hour} {
				if want := (errorLine{begin + at, failedLong}); lines[i] != want {
					t.Errorf("%s: line %d is %v, want %v", name, i, lines[i], want)
				}
			}
			if last := lines[len(lines)-1]; last.msg != wellAgain || last.at < day {
				t.Errorf("%s: the last line is %v", name, last)
			}
			time.Sleep(day)
			testkit.Want(t, name+": lines a day later", len(levelError(t, r, began)), len(lines))
		})
	}
}

// TestAGatewayThatIsLateIsNoWarning: the agent starts before its gateway, has events or a
// flush for it, and says so once. A while later that is a warning.
func TestAGatewayThatIsLateIsNoWarning(t *testing.T) {
	for _, flush := range []bool{false, true} {
		for late, want := range map[time.Duration][]string{
			100 * time.Millisecond:             {"INFO", "INFO"},
			outageQuiet - 2*time.Second:        {"INFO", "INFO"},
			outageQuiet + 100*time.Millisecond: {"INFO", "WARN", "INFO"},
			outageFirst - 5*time.Second:        {"INFO", "WARN", "INFO"},
		} {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				r := start(t, Config{Target: target.Target{MaxBackoff: time.Second, Flush: &target.FlushRequest{URL: "http://127.0.0.1:1/"}}}, journal.Config{},
					func(context.Context, *handler.Event, int) error {
						if time.Since(began) < late {
							return refused
						}
						return nil
					})
				if flush {
					if err := r.Flush("for the test"); err != nil {
						t.Fatal(err)
					}
				}
				journals.MustAppend(t, r.journal, journals.User(1, ""), journals.User(2, ""))
				r.idle(t)
				var levels []string
				for _, line := range r.log.With(t, "") {
					// Later warnings are thinned out by their own rule, and a gap is an error of its own.
					msg := line["msg"].(string)
					if strings.Contains(msg, "lacks events") || len(levels) > 0 && levels[len(levels)-1] == "WARN" && line["level"] == "WARN" {
						continue
					}
					levels = append(levels, line["level"].(string))
				}
				testkit.Want(t, fmt.Sprintf("levels after %v, flush %v", late, flush), levels, want)
			})
		}
	}
}

// TestAShortOutageIsNoError: a gateway restarts, again and again.
func TestAShortOutageIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := start(t, Config{Target: target.Target{MaxBackoff: time.Second}}, journal.Config{}, func(context.Context, *handler.Event, int) error {
			if time.Since(began)%time.Minute < 25*time.Second {
				return refused
			}
			return nil
		})
		for n := range uint64(120) {
			journals.MustAppend(t, r.journal, journals.User(n, ""))
			time.Sleep(20 * time.Second)
		}
		r.idle(t)
		if lines := levelError(t, r, began); len(lines) > 0 {
			t.Errorf("%v", lines)
		}
		if len(r.log.With(t, wellAgain)) < 30 {
			t.Error("it never failed")
		}
	})
}

// TestAFlushThatFailsIsAnOutage, and one that goes well ends it.
func TestAFlushThatFailsIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := start(t, Config{Target: target.Target{Flush: &target.FlushRequest{URL: "http://127.0.0.1:1/"}}}, journal.Config{},
			func(context.Context, *handler.Event, int) error {
				if time.Since(began) < 2*time.Minute {
					return refused
				}
				return nil
			})
		if err := r.Flush("for the test"); err != nil {
			t.Fatal(err)
		}
		r.idle(t)
		lines := levelError(t, r, began)
		if len(lines) != 3 || lines[1] != (errorLine{30 * time.Second, failedLong}) || lines[2].msg != "target was flushed: what it lacked harms it no more" {
			t.Errorf("%v; want the gap, the outage and its end", lines)
		}
	})
}

// TestTheEndOfADeliveryEndsItsOutage: nothing is logged later.
func TestTheEndOfADeliveryEndsItsOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{}, journal.Config{}, func(context.Context, *handler.Event, int) error { return refused })
		journals.MustAppend(t, r.journal, journals.User(1, ""))
		time.Sleep(time.Minute)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		before := len(r.log.With(t, failedLong))
		time.Sleep(24 * time.Hour)
		if after := len(r.log.With(t, failedLong)); before != 2 || after != 2 {
			t.Errorf("%d lines before the end and %d behind it, want 2", before, after)
		}
	})
}
