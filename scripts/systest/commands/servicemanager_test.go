package commands

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
)

// TestServiceManager runs agents as systemd does with Type=notify.
func TestServiceManager(t *testing.T) {
	for _, command := range []string{"agent", "serf"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			m := testkit.NewNotifySocket(t)
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
			failed := "joining failed"
			if command == "serf" {
				args = append([]string{"serf"}, args...)
				failed = "agent: Join failed: "
			}
			env := append(os.Environ(), "NOTIFY_SOCKET="+m.Path, "WATCHDOG_USEC=150000")
			p, err := proc.Start(dir, "served", env, "agentctl", args...)
			if err != nil {
				t.Fatal(err)
			}
			proc.KillAtEnd(t, p)
			testkit.WaitFor(t, "it says that it is joining", func() bool { return m.Count("STATUS=joining") == 1 })
			signal := func(sig os.Signal) {
				t.Helper()
				if err := p.Cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
			}
			testkit.WaitFor(t, "a join fails", func() bool { return strings.Contains(p.Printed(), failed) })
			signal(syscall.SIGHUP)
			testkit.WaitFor(t, "it reloads meanwhile", func() bool { return strings.Contains(p.Printed(), "configuration reloaded") })
			if n := m.Count("READY=1") + m.Count("RELOADING=1") + m.Count("WATCHDOG=1"); n > 0 {
				t.Fatalf("it has not joined, and told %q", m.Told())
			}
			late, err := proc.StartAgent(dir, "late", os.Environ(), "-bind="+addr)
			if err != nil {
				t.Fatal(err)
			}
			proc.KillAtEnd(t, late.Process)
			testkit.WaitFor(t, "it is ready", func() bool { return m.Count("READY=1") == 1 })
			testkit.WaitFor(t, "it feeds the watchdog", func() bool { return m.Count("WATCHDOG=1") >= 3 })
			signal(syscall.SIGHUP)
			testkit.WaitFor(t, "it has reloaded", func() bool { return m.Count("READY=1") == 2 })
			if m.Count("RELOADING=1") != 1 || m.Count("MONOTONIC_USEC=") != 1 {
				t.Errorf("at a reload it told %q", m.Told())
			}
			signal(os.Interrupt)
			if status, err := p.Exit(); status != 0 || err != nil {
				t.Errorf("exit status %d, %v", status, err)
			}
			if m.Count("STOPPING=1") != 1 {
				t.Errorf("at the end it told %q", m.Told())
			}
		})
	}
}
