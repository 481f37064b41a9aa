package compat

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// endedBy starts an agent, sends it a signal once it runs, and returns it with
// its exit status, -1 where the signal ended it.
func endedBy(t *testing.T, program []string, sig os.Signal) (*proc.Process, int) {
	t.Helper()
	rpc := loopback.Addr()
	p, err := proc.Start(t.TempDir(), "agent", os.Environ(), program[0], append(slices.Clone(program[1:]),
		"agent", "-node=n", "-bind="+loopback.Addr(), "-rpc-addr="+rpc, proc.Profile)...)
	if err != nil {
		t.Fatal(err)
	}
	proc.KillAtEnd(t, p)
	if err := (&proc.Node{Process: p, RPC: rpc}).Answers(); err != nil {
		t.Fatal(err)
	}
	testkit.WaitFor(t, "the log streams", func() bool { return strings.Contains(p.Printed(), "Log data will now stream in") })
	p.Cmd.Process.Signal(sig)
	status, err := p.Exit()
	if err != nil {
		t.Fatal(err)
	}
	return p, status
}

// Signals end an agent that stands in for serf as they end serf's.
func TestCompatSignals(t *testing.T) {
	ours, err := exec.LookPath("agentctl")
	if err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string][]string{"stock": {stock.Serf(t, stock.V011)}, "ours": {ours, "serf"}} {
		for sig, want := range map[os.Signal]int{os.Interrupt: 0, syscall.SIGTERM: 1} {
			t.Run(fmt.Sprintf("%s/%v", name, sig), func(t *testing.T) {
				t.Parallel()
				p, status := endedBy(t, program, sig)
				// Stock serf says that it runs before it listens for signals.
				for try := 0; try < 10 && name == "stock" && status < 0; try++ {
					p, status = endedBy(t, program, sig)
				}
				if status != want {
					t.Errorf("ended with status %d, want %d; it printed:\n%s", status, want, p.Printed())
				}
				if errs, _ := os.ReadFile(p.Err); len(errs) > 0 {
					t.Errorf("standard error has %q", errs)
				}
			})
		}
	}
}

// The link that Kong's serf_path names makes the program serf.
func TestCalledAsSerf(t *testing.T) {
	link := proc.BuildAs(t, "serf")
	run := func(env string, args ...string) string {
		cmd := exec.Command(link, args...)
		cmd.Env = append(os.Environ(), env)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("serf %v: %v", args, err)
		}
		return string(out)
	}
	kong := regexp.MustCompile(`^Serf v([0-9.]+)`) // as Kong looks for it
	if m := kong.FindStringSubmatch(run("X=", "version")); m == nil || m[1] != "0.7.0" {
		t.Errorf("serf version: %v, want 0.7.0", m)
	}
	if m := kong.FindStringSubmatch(run("AGENTCTL_SERF_VERSION=0.8.1", "version")); m == nil || m[1] != "0.8.1" {
		t.Errorf("serf version with AGENTCTL_SERF_VERSION: %v", m)
	}
	shim := filepath.Join(filepath.Dir(link), "serf_event.sh")
	if err := os.Symlink("agentctl", shim); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(shim)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "SERF_EVENT is not set") {
		t.Errorf("serf_event.sh without an event: %v, %s", err, stderr.String())
	}
}
