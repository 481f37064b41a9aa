package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"agentctl/rpcclient"
	"agentctl/scripts/loopback"
	"agentctl/scripts/stock"
)

// process is a program that runs beside the test. What it prints goes to the
// files NAME.out and NAME.err.
type process struct {
	name string
	cmd  *exec.Cmd
	out  string // paths of the two files
	err  string
	done chan struct{} // closed when it has ended
}

// startProcess starts a program with its output in dir. The caller has to see
// to it that kill is called.
func startProcess(dir, name string, env []string, program string, args ...string) (*process, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = env
	return startCommand(dir, name, cmd)
}

// startCommand is startProcess for a command with attributes of its own.
func startCommand(dir, name string, cmd *exec.Cmd) (*process, error) {
	p := &process{
		name: name,
		cmd:  cmd,
		out:  filepath.Join(dir, name+".out"),
		err:  filepath.Join(dir, name+".err"),
		done: make(chan struct{}),
	}
	stdout, err := os.Create(p.out)
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := os.Create(p.err)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, stdout, stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.cmd.Wait() // ProcessState says how it ended
	}()
	return p, nil
}

// ended reports whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// exit waits until the process ends by itself and returns its exit status, -1
// for one that a signal ended.
func (p *process) exit() (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(pollLimit):
		return 0, fmt.Errorf("%s has not ended after %v", p.name, pollLimit)
	}
}

// kill ends the process with no warning, if it still runs.
func (p *process) kill() {
	p.cmd.Process.Kill() // it has ended already
	<-p.done
}

// printed is all that the process has printed so far, errors last.
func (p *process) printed() string {
	out, _ := os.ReadFile(p.out)
	err, _ := os.ReadFile(p.err)
	return string(out) + string(err)
}

// bug returns what a process must never print, whatever else happens, or "".
func (p *process) bug() string {
	for _, sign := range []string{"DATA RACE", "panic: ", "fatal error: "} {
		if strings.Contains(p.printed(), sign) {
			return sign
		}
	}
	return ""
}

// node is a serf agent, stock or ours, in a process of its own.
type node struct {
	*process
	gossip, rpc, http string // addresses; http only of ours
}

// runningLine has the addresses of an agent of ours that is up.
var runningLine = regexp.MustCompile(`msg="agent is running".* gossip=(\S+) rpc=(\S+) http=(\S+) `)

// testProfile is the gossip of agents where a test does not say otherwise. With
// "local" a node has one second for a full sync and 200 ms for a probe, which a
// busy machine may take.
const testProfile = "-profile=lan"

// agentArgs is the command line of an agent of ours on free ports that it picks
// itself. Later flags win, so args may say otherwise.
func agentArgs(name string, args ...string) []string {
	return append([]string{"agent", "-node=" + name, "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0",
		"-http-addr=127.0.0.1:0", testProfile}, args...)
}

// startAgent starts an agent of ours, see agentArgs, and returns once it answers
// RPC.
func startAgent(dir, name string, env []string, args ...string) (*node, error) {
	return startProgram(dir, "agentctl", name, env, args...)
}

// startProgram is startAgent with a program of one's own, such as one of buildAs.
func startProgram(dir, program, name string, env []string, args ...string) (*node, error) {
	p, err := startProcess(dir, name, env, program, agentArgs(name, args...)...)
	if err != nil {
		return nil, err
	}
	n := &node{process: p}
	if !poll(func() bool {
		if m := runningLine.FindStringSubmatch(p.printed()); m != nil {
			n.gossip, n.rpc, n.http = m[1], m[2], m[3]
		}
		return n.rpc != "" || p.ended()
	}) || n.rpc == "" {
		p.kill()
		return nil, fmt.Errorf("agent %s did not come up:\n%s", name, p.printed())
	}
	return n, n.answers()
}

// startStock starts a stock serf agent on free ports and returns once it
// answers RPC.
func startStock(dir, name, version string, env []string, args ...string) (*node, error) {
	program, err := stock.Install(version)
	if err != nil {
		return nil, err
	}
	n := &node{gossip: "127.0.0.1:" + loopback.Port(), rpc: "127.0.0.1:" + loopback.Port()}
	n.process, err = startProcess(dir, name, env, program, append([]string{"agent", "-node=" + name,
		"-bind=" + n.gossip, "-rpc-addr=" + n.rpc, testProfile, "-log-level=debug"}, args...)...)
	if err != nil {
		return nil, err
	}
	if err = n.answers(); err != nil {
		n.kill()
		return nil, fmt.Errorf("%w:\n%s", err, n.printed())
	}
	return n, nil
}

// answers waits until the agent answers RPC.
func (n *node) answers() error {
	var last error
	if poll(func() bool {
		var c *rpcclient.Client
		if c, last = rpcclient.Dial(context.Background(), rpcclient.Config{Addr: n.rpc}); last == nil {
			c.Close()
		}
		// That a key is wanted is an answer, too.
		return last == nil || errors.Is(last, rpcclient.ErrAuthRequired) || n.ended()
	}) && !n.ended() {
		return nil
	}
	return fmt.Errorf("agent %s does not answer RPC: %w", n.name, last)
}

// killAtEnd ties a process to a test: it is killed at the end, if it still runs, and
// its output is shown where the test failed.
func killAtEnd(t *testing.T, p *process) {
	t.Cleanup(func() { p.end(t) })
}

// end is what killAtEnd does at the end.
func (p *process) end(t *testing.T) {
	p.kill()
	if bug := p.bug(); bug != "" {
		t.Errorf("%s printed %q", p.name, bug)
	}
	if t.Failed() {
		t.Logf("%s printed:\n%s", p.name, tail(p.printed(), 8<<10))
	}
}

// newAgent is startAgent for a test.
func newAgent(t *testing.T, name string, args ...string) *node {
	t.Helper()
	n, err := startAgent(t.TempDir(), name, os.Environ(), args...)
	if n != nil {
		killAtEnd(t, n.process)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// newStock is startStock for a test.
func newStock(t *testing.T, name, version string, args ...string) *node {
	t.Helper()
	n, err := startStock(t.TempDir(), name, version, os.Environ(), args...)
	if err != nil {
		t.Fatal(err)
	}
	killAtEnd(t, n.process)
	return n
}

// output runs a program to its end and returns its standard output; it has to
// exit with status 0.
func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s%s", filepath.Base(program), args, err, &stdout, &stderr)
	}
	return stdout.String()
}

// tail is the end of s, at most n bytes and from the beginning of a line.
func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	_, s, _ = strings.Cut(s[len(s)-n:], "\n")
	return s
}

// buildAs builds the program as Kong has it, with no race detector, and links
// it to the given name in a folder that any user can read.
func buildAs(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "agentctl-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "agentctl"), ".").CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	if err := os.Symlink("agentctl", filepath.Join(dir, name)); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(dir, name)
}
