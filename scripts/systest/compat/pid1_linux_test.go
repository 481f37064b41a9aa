package compat

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// leavingScript leaves two processes behind, one of them in its own session,
// which note that they end. Its own status is what it reads.
const leavingScript = `#!/bin/sh
read status
(sleep 0.1; echo >>"$0.ended") >/dev/null 2>&1 &
setsid sh -c 'sleep 0.1; echo >>"$0.ended"' "$0" >/dev/null 2>&1 &
exit "$status"
`

// TestProcess1 runs the agent as process 1, as in a container, with a script
// that leaves processes behind: each is reaped, the script's own status is known
// all the same, and a signal makes the agent leave.
func TestProcess1(t *testing.T) {
	unshare := []string{"--pid", "--fork", "--kill-child", "--mount-proc", "--"}
	if out, err := exec.Command("unshare", append(unshare, "true")...).CombinedOutput(); err != nil {
		testkit.NotRun(t, "it needs root that may make namespaces of processes: %v: %s", err, out)
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "script.sh")
	if err := os.WriteFile(script, []byte(leavingScript), 0o755); err != nil {
		t.Fatal(err)
	}
	rpc := "unix:" + filepath.Join(dir, "rpc")
	p, err := proc.Start(dir, "one", os.Environ(), "unshare", append(unshare, "agentctl", "agent", "-node=one",
		"-bind=127.0.0.1:0", "-rpc-addr="+rpc, "-http-addr=off", "-event-handler=user:kong="+script)...)
	if err != nil {
		t.Fatal(err)
	}
	proc.KillAtEnd(t, p)
	n := &proc.Node{Process: p, RPC: rpc}
	if err := n.Answers(); err != nil {
		t.Fatalf("%v\n%s", err, p.Printed())
	}
	var agent int
	for pid := range childrenOf(t, p.Cmd.Process.Pid) {
		agent = pid
	}
	publish := proc.NewPublisher(t, n)
	for _, status := range []string{"0", "0", "0", "0", "7"} {
		publish(status)
	}
	testkit.WaitFor(t, "ten processes were left behind and have ended", func() bool {
		ended, _ := os.ReadFile(script + ".ended")
		return len(ended) == 10
	})
	testkit.WaitFor(t, "no process is left", func() bool { return len(childrenOf(t, agent)) == 0 })
	testkit.WaitFor(t, "the log tells of the last one", func() bool { return strings.Contains(p.Printed(), "exit status 7") })
	if n := strings.Count(p.Printed(), "event handler failed"); n != 1 {
		t.Errorf("the log tells of %d failures, want one", n)
	}
	if err := syscall.Kill(agent, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Exit(); status != 0 || err != nil {
		t.Errorf("exit status %d, %v after SIGTERM", status, err)
	}
}

// childrenOf are a process's children, with their states.
func childrenOf(t *testing.T, parent int) map[int]string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]string{}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it is gone
		}
		_, after, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(after)
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		found[pid] = fields[0]
	}
	return found
}
