package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit"
)

// lineCounter is a log that counts its lines of an agent that hangs.
type lineCounter struct{ atomic.Int32 }

func (c *lineCounter) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "the agent hangs") && strings.Contains(string(line), "the intake") {
		c.Add(1)
	}
	return len(line), nil
}

// TestWatchdog sees that an agent which hangs is not said to be alive, and that
// the log says what of it does.
func TestWatchdog(t *testing.T) {
	m := testkit.NewNotifySocket(t)
	t.Setenv("NOTIFY_SOCKET", m.Path)
	synctest.Test(t, func(t *testing.T) {
		var hangs lineCounter
		var hung atomic.Bool
		manager := &serviceManager{logger: slog.New(slog.NewTextHandler(&hangs, nil))}
		ctx, cancel := context.WithCancel(t.Context())
		go manager.feedWatchdog(ctx, 30*time.Second, func(context.Context) []string {
			if hung.Load() {
				return []string{"the intake"}
			}
			return nil
		})
		pass := func(d time.Duration) {
			time.Sleep(d) // of the bubble's clock
			synctest.Wait()
		}
		pass(25 * time.Second)
		hung.Store(true)
		pass(20 * time.Second)
		if n := hangs.Load(); n != 2 {
			t.Errorf("%d lines of the log say that it hangs, want 2", n)
		}
		cancel()
	})
	testkit.WaitFor(t, "a sign of life at 0, 10 and 20 seconds", func() bool { return m.Count("WATCHDOG=1") == 3 })
}

// An agent that stops is not ready again, though a join or a reload ends after that.
func TestReadyNeverFollowsStopping(t *testing.T) {
	m := testkit.NewNotifySocket(t)
	t.Setenv("NOTIFY_SOCKET", m.Path)
	reloads := 0
	synctest.Test(t, func(t *testing.T) {
		manager := &serviceManager{logger: slog.New(slog.DiscardHandler)}
		manager.running("127.0.0.1:7946")
		manager.reloading(func() { reloads++; manager.stopping() })()
		manager.reloading(func() { reloads++ })()
		manager.running("127.0.0.1:7946")
		manager.tell("WATCHDOG=1") // a sign of life is no state
	})
	testkit.WaitFor(t, "the sign of life", func() bool { return m.Count("WATCHDOG=1") == 1 })
	told := slices.DeleteFunc(m.Told(), func(line string) bool { return strings.HasPrefix(line, "MONOTONIC") })
	testkit.Want(t, "reloads", reloads, 2)
	testkit.Want(t, "told", told, []string{"READY=1", "STATUS=running as 127.0.0.1:7946", "RELOADING=1",
		"STOPPING=1", "STATUS=leaving the cluster and delivering what waits", "WATCHDOG=1"})
}
