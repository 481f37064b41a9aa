package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"

	"agentctl/scripts/loopback"
)

// managerSocket stands in for systemd: it notes what a service tells it.
type managerSocket struct {
	path string
	mu   sync.Mutex
	told []string
}

func newManagerSocket(t *testing.T) *managerSocket {
	t.Helper()
	dir, err := os.MkdirTemp("", "agentctl-") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	m := &managerSocket{path: filepath.Join(dir, "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		testkit.NotRun(t, "it needs unix datagram sockets: %v", err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-ended
		os.RemoveAll(dir)
	})
	go func() {
		defer close(ended)
		for buf := make([]byte, 4096); ; {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.told = append(m.told, strings.Split(strings.TrimSpace(string(buf[:n])), "\n")...)
			m.mu.Unlock()
		}
	}()
	return m
}

// count is how often a line was told that begins so.
func (m *managerSocket) count(prefix string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range m.told {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

// TestServiceManager runs agents as systemd does with Type=notify.
func TestServiceManager(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"agent", "serf"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			m := newManagerSocket(t)
			dir := t.TempDir()
			other, err := proc.StartAgent(dir, "other", os.Environ())
			if err != nil {
				t.Fatal(err)
			}
			proc.KillAtEnd(t, other.Process)
			config := filepath.Join(dir, "agent.json")
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			// Nobody is there yet to join.
			addr := loopback.Addr()
			write(`{"retry_join": ["` + addr + `"]}`)
			args := proc.AgentArgs("served", "-config-file="+config, "-event-handler=true")
			if command == "serf" {
				args = append([]string{"serf"}, args...)
			}
			env := append(os.Environ(), "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=150000")
			p, err := proc.Start(dir, "served", env, "agentctl", args...)
			if err != nil {
				t.Fatal(err)
			}
			proc.KillAtEnd(t, p)
			testkit.WaitFor(t, "it says that it is joining", func() bool { return m.count("STATUS=joining") == 1 })
			signal := func(sig os.Signal) {
				t.Helper()
				if err := p.Cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
			}
			testkit.WaitFor(t, "a join fails", func() bool { return strings.Contains(p.Printed(), "joining failed") })
			signal(syscall.SIGHUP)
			testkit.WaitFor(t, "it reloads meanwhile", func() bool { return strings.Contains(p.Printed(), "configuration reloaded") })
			if n := m.count("READY=1") + m.count("RELOADING=1") + m.count("WATCHDOG=1"); n > 0 {
				t.Fatalf("it has not joined, and told %q", m.told)
			}
			late, err := proc.StartAgent(dir, "late", os.Environ(), "-bind="+addr)
			if err != nil {
				t.Fatal(err)
			}
			proc.KillAtEnd(t, late.Process)
			testkit.WaitFor(t, "it is ready", func() bool { return m.count("READY=1") == 1 })
			testkit.WaitFor(t, "it feeds the watchdog", func() bool { return m.count("WATCHDOG=1") >= 3 })
			signal(syscall.SIGHUP)
			testkit.WaitFor(t, "it has reloaded", func() bool { return m.count("READY=1") == 2 })
			if m.count("RELOADING=1") != 1 || m.count("MONOTONIC_USEC=") != 1 {
				t.Errorf("at a reload it told %q", m.told)
			}
			signal(os.Interrupt)
			if status, err := p.Exit(); status != 0 || err != nil {
				t.Errorf("exit status %d, %v", status, err)
			}
			if m.count("STOPPING=1") != 1 {
				t.Errorf("at the end it told %q", m.told)
			}
		})
	}
}

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
	m := newManagerSocket(t)
	t.Setenv("NOTIFY_SOCKET", m.path)
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
	testkit.WaitFor(t, "a sign of life at 0, 10 and 20 seconds", func() bool { return m.count("WATCHDOG=1") == 3 })
}
