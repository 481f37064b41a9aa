package proc

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentctl/scripts/testkit"
)

// Process is a program that runs beside the test. What it prints goes to the
// files NAME.out and NAME.err.
type Process struct {
	Name string
	Cmd  *exec.Cmd
	Out  string // paths of the two files
	Err  string
	Done chan struct{} // closed when it has ended
}

// Start starts a program with its output in dir. The caller has to see
// to it that kill is called.
func Start(dir, name string, env []string, program string, args ...string) (*Process, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = env
	return StartCommand(dir, name, cmd)
}

// StartCommand is Start for a command with attributes of its own.
func StartCommand(dir, name string, cmd *exec.Cmd) (*Process, error) {
	p := &Process{
		Name: name,
		Cmd:  cmd,
		Out:  filepath.Join(dir, name+".out"),
		Err:  filepath.Join(dir, name+".err"),
		Done: make(chan struct{}),
	}
	stdout, err := os.Create(p.Out)
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := os.Create(p.Err)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	p.Cmd.Dir, p.Cmd.Stdout, p.Cmd.Stderr = dir, stdout, stderr
	if err := p.Cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.Done)
		p.Cmd.Wait() // ProcessState says how it ended
	}()
	return p, nil
}

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.Done:
		return true
	default:
		return false
	}
}

// Exit waits until the process ends by itself and returns its exit status, -1
// for one that a signal ended.
func (p *Process) Exit() (int, error) {
	select {
	case <-p.Done:
		return p.Cmd.ProcessState.ExitCode(), nil
	case <-time.After(testkit.Patience):
		return 0, fmt.Errorf("%s has not ended after %v", p.Name, testkit.Patience)
	}
}

// Kill ends the process with no warning, if it still runs.
func (p *Process) Kill() {
	p.Cmd.Process.Kill() // it has ended already
	<-p.Done
}

// Printed is all that the process has printed so far, errors last.
func (p *Process) Printed() string {
	out, _ := os.ReadFile(p.Out)
	err, _ := os.ReadFile(p.Err)
	return string(out) + string(err)
}

// Bug returns what a process must never print, whatever else happens, or "".
func (p *Process) Bug() string {
	for _, sign := range []string{"DATA RACE", "panic: ", "fatal error: "} {
		if strings.Contains(p.Printed(), sign) {
			return sign
		}
	}
	return ""
}

// KillAtEnd ties a process to a test: it is killed at the end, if it still runs, and
// its output is shown where the test failed.
func KillAtEnd(t *testing.T, p *Process) {
	t.Cleanup(func() { p.End(t) })
}

// End is what KillAtEnd does at the end.
func (p *Process) End(t *testing.T) {
	p.Kill()
	if bug := p.Bug(); bug != "" {
		t.Errorf("%s printed %q", p.Name, bug)
	}
	if t.Failed() {
		t.Logf("%s printed:\n%s", p.Name, Tail(p.Printed(), 8<<10))
	}
}

// Output runs a program to its end and returns its standard output; it has to
// exit with status 0.
func Output(t *testing.T, program string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s%s", filepath.Base(program), args, err, &stdout, &stderr)
	}
	return stdout.String()
}

// Tail is the end of s, at most n bytes and from the beginning of a line.
func Tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	_, s, _ = strings.Cut(s[len(s)-n:], "\n")
	return s
}
